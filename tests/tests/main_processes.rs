//! `MAINPID=`: another process counts in a worker's or a companion's place.

use tests::{Arbiter, SAY, Site, Status, processes, signal};

/// A worker whose first process names a child of its as the main process and ends, or stays.
fn forking(then: &str) -> Site {
    let site = Site::new(
        r#"
        [workers]
        command = ["python3", "@site@/script.py"]
        ready = "notify"
        "#,
    );
    site.write("script.py", &format!("{SAY}{FORK}{then}"));
    site
}

const FORK: &str = r#"
import signal
ready, tell = os.pipe()
pid = os.fork()
if pid == 0:
    def leave(*_):
        open("asked", "w").close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    os.write(tell, b"x")
    while not os.path.exists("fail"):
        time.sleep(0.01)
    os.remove("fail")
    os._exit(7)
os.read(ready, 1)
say("MAINPID=%d\nREADY=1" % pid)
"#;

#[test]
fn a_process_that_a_worker_names_is_its_main_one_and_the_first_may_end() {
    let site = forking("sys.exit(3)\n");
    let arbiter = site.start();
    let status = arbiter.wait_for_status("the main process to be shown", |status| {
        status.ready_workers().first().and_then(|worker| worker.pid).is_some_and(|pid| {
            sys::procfs::stat(pid).is_some_and(|stat| stat.session != pid && stat.ppid == arbiter.pid())
        })
    });
    let main = status.worker_pids()[0];
    assert_eq!(status.workers()[0].restarts, 0, "the first one's end was none of the worker's");
    site.write("fail", "");
    let status = arbiter.wait_for_status("another worker", |status| {
        status.ready_workers().first().is_some_and(|worker| worker.pid != Some(main))
    });
    let last = &status.0["workers"]["processes"][0]["last_exit"];
    assert_eq!(last["code"], 7, "{last}");
    assert_eq!(arbiter.stop(), 0, "{}", site.tail());
    assert!(site.path("asked").exists(), "the main process was asked to leave");
}

#[test]
fn when_the_main_process_of_a_worker_ends_the_first_one_goes_with_it() {
    let site = forking("time.sleep(1000)\n");
    let arbiter = site.start();
    let main = arbiter.status().worker_pids()[0];
    let first = sys::procfs::stat(main).expect("it lives").session;
    assert_ne!(first, main);
    site.write("fail", "");
    arbiter.wait_for_status("another worker", |status| {
        status.ready_workers().first().is_some_and(|worker| worker.pid != Some(main))
    });
    assert!(!processes::is_alive(first));
}

#[test]
fn a_stranger_is_not_taken_as_main_process() {
    let site = forking(
        "say(\"MAINPID=1\")\nsay(\"MAINPID=x\")\nbarrier()\nopen(\"said\", \"w\").close()\ntime.sleep(1000)\n",
    );
    let arbiter = site.start();
    let main = arbiter.status().worker_pids();
    site.wait_for("it to have said so", || site.path("said").exists().then_some(()));
    assert_eq!(arbiter.status().worker_pids(), main);
    assert!(site.log().contains("process 1 is not of the session"), "{}", site.log());
    assert_eq!(arbiter.stop(), 0);
}

/// A companion whose first process waits for the file `go`, names a child of its as the main process and ends, or
/// stays.
const APP: &str = r#"
    [companion.app]
    command = ["python3", "@site@/script.py"]
    ready = "notify"
    start_seconds = 0
"#;

/// Others, so many that the manager does not ask after each group.
const CROWD: &str = r#"
    [companion.crowd]
    command = ["@companion@"]
    count = 40
    ready = "started"
    start_seconds = 0
"#;

fn companion(then: &str) -> Site {
    companion_of(APP, then)
}

fn companion_of(text: &str, then: &str) -> Site {
    let site = Site::new(text);
    site.write("script.py", &format!("{SAY}wait_for(\"go\")\n{FORK}{then}"));
    site
}

const ENDS: &str = "sys.exit(3)\n";

/// The first process of the companion, which waits.
fn first(arbiter: &Arbiter<'_>) -> i32 {
    arbiter.wait_for_companion("app", "STARTING").pid_of("app")
}

fn counts(status: &Status, first: i32) -> bool {
    let app = status.companion("app");
    app.state == "RUNNING" && app.pids().first().is_some_and(|pid| *pid != first)
}

/// The process that counts in the place of `first`.
fn wait_for_main(arbiter: &Arbiter<'_>, first: i32) -> i32 {
    let status = arbiter.wait_for_status("the main process to be shown", |status| counts(status, first));
    assert_eq!(
        status.companion("app").processes[0].restarts,
        0,
        "the first one's end was none of the companion's"
    );
    status.pid_of("app")
}

/// Lets the main process fail, and waits until that was seen and another companion process waits.
fn fail(site: &Site, arbiter: &Arbiter<'_>, main: i32) {
    let first = sys::procfs::stat(main).expect("it lives").session;
    // While that lives, only it can know how the other one ends.
    site.wait_for("the first one's end", || (!processes::is_alive(first)).then_some(()));
    site.remove("go");
    site.write("fail", "");
    assert_failed(arbiter, main);
}

fn assert_failed(arbiter: &Arbiter<'_>, main: i32) {
    let status = arbiter.wait_for_status("another process", |status| {
        let app = status.companion("app");
        app.state == "STARTING" && app.pids().first().is_some_and(|pid| *pid != main)
    });
    let process = &status.0["companions"][0]["processes"][0];
    assert_eq!((&process["last_exit"]["code"], &process["restarts"]), (&7.into(), &1.into()), "{process}");
    assert!(!processes::is_alive(main));
}

#[test]
fn a_process_that_a_companion_names_is_its_main_one_and_the_first_may_end() {
    let site = companion(ENDS);
    let arbiter = site.start();
    let first = first(&arbiter);
    site.write("go", "");
    let main = wait_for_main(&arbiter, first);
    assert_eq!(arbiter.done(&["pid", "app"]).stdout.trim(), main.to_string());
    let status = arbiter.status();
    assert!(counts(&status, first) && status.0["strays"] == serde_json::json!([]), "{status:?}");
    fail(&site, &arbiter, main);
    assert!(!processes::is_zombie(first), "nothing is left of the first run");
    site.write("go", "");
    arbiter.wait_for_companion("app", "RUNNING");
    arbiter.done(&["stop", "companion", "app"]);
    assert!(site.path("asked").exists(), "the main process was asked to leave");
}

#[test]
fn when_the_main_process_of_a_companion_ends_the_first_one_goes_with_it() {
    first_goes_with_main(&companion("time.sleep(1000)\n"));
}

#[test]
fn when_the_main_process_of_a_companion_ends_among_many_the_first_one_goes_with_it() {
    let site = companion_of(&format!("{APP}{CROWD}"), "time.sleep(1000)\n");
    first_goes_with_main(&site);
    assert!(!site.log().contains("cannot be reaped"), "{}", site.tail());
}

fn first_goes_with_main(site: &Site) {
    let arbiter = site.start();
    let first = first(&arbiter);
    site.write("go", "");
    let main = wait_for_main(&arbiter, first);
    site.remove("go");
    site.write("fail", "");
    arbiter.wait_for_status("another process", |status| {
        status.companion("app").pids().first().is_some_and(|pid| *pid != main)
    });
    assert!(!processes::is_alive(first));
}

#[test]
fn a_stranger_is_not_taken_as_main_process_of_a_companion() {
    let site = companion("say(\"MAINPID=1\")\nsay(\"MAINPID=x\")\nbarrier()\ntime.sleep(1000)\n");
    let arbiter = site.start();
    let first = first(&arbiter);
    site.write("go", "");
    let main = wait_for_main(&arbiter, first);
    site.wait_for("it to be refused", || {
        site.log().contains("app:1 names 1 as its main process, not believed").then_some(())
    });
    assert_eq!(arbiter.status().pid_of("app"), main);
}

#[test]
fn a_process_that_names_itself_changes_nothing() {
    let site = companion("say(\"MAINPID=%d\\nSTATUS=back\" % os.getpid())\ntime.sleep(1000)\n");
    let arbiter = site.start();
    let first = first(&arbiter);
    site.write("go", "");
    let status = arbiter.wait_for_status("it to be itself again", |status| {
        status.companion("app").processes[0].status_text == "back"
    });
    assert_eq!(status.pid_of("app"), first);
    arbiter.done(&["stop", "companion", "app"]);
    assert!(!site.path("asked").exists() || !processes::is_alive(first));
}

#[test]
fn the_main_process_of_a_companion_outlives_the_manager_and_is_known_to_the_next() {
    let site = companion(ENDS);
    let arbiter = site.start();
    let first = first(&arbiter);
    site.write("go", "");
    let main = wait_for_main(&arbiter, first);
    let status = arbiter.kill_manager();
    assert!(counts(&status, first) && status.pid_of("app") == main, "{status:?}");
    assert_eq!(status.0["strays"], serde_json::json!([]));
    fail(&site, &arbiter, main);
    site.write("go", "");
    arbiter.wait_for_companion("app", "RUNNING");
    arbiter.kill_manager();
    arbiter.done(&["stop", "companion", "app"]);
    assert!(site.path("asked").exists(), "the main process was asked to leave");
}

#[test]
fn a_companion_that_the_manager_before_has_started_names_its_main_process() {
    let site = companion(ENDS);
    let arbiter = site.start();
    let first = first(&arbiter);
    arbiter.kill_manager();
    site.write("go", "");
    let main = wait_for_main(&arbiter, first);
    fail(&site, &arbiter, main);
}

#[test]
fn what_a_main_process_does_while_the_manager_dies_is_seen_by_the_next() {
    let site = companion(ENDS);
    let arbiter = site.start();
    let first = first(&arbiter);
    let stop_manager = || {
        let manager = arbiter.status().manager().expect("there is one");
        processes::signal(manager, signal::STOP);
        manager
    };
    let manager = stop_manager();
    site.write("go", "");
    site.wait_for("the first one's end", || (!processes::is_alive(first)).then_some(()));
    processes::signal(manager, signal::KILL);
    let main = wait_for_main(&arbiter, first);
    let manager = stop_manager();
    site.remove("go");
    site.write("fail", "");
    site.wait_for("the main one's end", || (!processes::is_alive(main)).then_some(()));
    processes::signal(manager, signal::KILL);
    assert_failed(&arbiter, main);
}

#[test]
fn arbiters_next_program_knows_whose_end_counts() {
    for rest in [ENDS, "time.sleep(1000)\n"] {
        let site = forking(rest);
        let arbiter = site.start();
        let main = arbiter.status().worker_pids()[0];
        arbiter.done(&["upgrade"]);
        assert_eq!(arbiter.status().worker_pids(), [main]);
        site.write("fail", "");
        arbiter.wait_for_status("another worker", |status| {
            status.ready_workers().first().is_some_and(|worker| worker.pid != Some(main))
        });
        let site = companion(rest);
        let arbiter = site.start();
        let first = first(&arbiter);
        site.write("go", "");
        let main = wait_for_main(&arbiter, first);
        arbiter.done(&["upgrade"]);
        assert_eq!(arbiter.status().pid_of("app"), main);
        site.remove("go");
        site.write("fail", "");
        arbiter.wait_for_status("another process", |status| {
            status.companion("app").pids().first().is_some_and(|pid| *pid != main)
        });
        assert!(!processes::is_zombie(main));
    }
}
