//! Companions that do not do as they are told, and what an operator's stop makes of it.

use std::fmt::Write;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};
use tests::{Site, What, observe_for, processes, signal};

fn deaf(count: u32) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "[companion.deaf{number:02}]\ncommand = [\"@companion@\", \"--ignore-term\"]\nready = \"started\"\n\
             start_seconds = 0\nstop_timeout = 2"
        );
        text
    })
}

/// The time of one stop, and some for a loaded machine.
const ONE_STOP: Duration = Duration::from_secs(5);

#[test]
fn twenty_that_hear_nothing_are_gone_in_the_time_of_one_by_hand_and_with_arbiter() {
    let site = Site::new(&deaf(20));
    let arbiter = site.start();
    let all = || (0..20).flat_map(|number| site.started(&format!("deaf{number:02}"))).collect::<Vec<_>>();
    site.wait_for("all to run", || (all().len() == 20).then_some(()));
    let first = all();
    let begun = Instant::now();
    arbiter.done(&["stop", "companion", "*"]);
    assert!((Duration::from_secs(2)..ONE_STOP).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(first.iter().all(|&pid| !processes::is_alive(pid) && !processes::is_zombie(pid)));
    arbiter.done(&["start", "companion", "*"]);
    site.wait_for("all to run again", || (all().len() == 40).then_some(()));
    let begun = Instant::now();
    assert_eq!(arbiter.stop(), 5, "they had to be killed");
    assert!((Duration::from_secs(2)..ONE_STOP).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[test]
fn one_that_was_suspended_is_killed_all_the_same() {
    let site = Site::new(
        "[companion.app]\ncommand = [\"@companion@\", \"--fork-child\"]\nready = \"started\"\nstart_seconds = 0\nstop_timeout = 0.5\n",
    );
    let arbiter = site.start();
    let (pid, child) = (site.wait_for_start("app", 1), site.wait_for_start("app-child", 1));
    for process in [pid, child] {
        processes::signal(process, signal::STOP);
    }
    arbiter.done(&["stop", "companion", "app"]);
    assert!(!processes::is_alive(pid) && !processes::is_alive(child));
    assert_eq!(arbiter.status().companion("app").state, "STOPPED");
}

#[test]
fn the_main_process_goes_before_what_is_left_of_its_group_unless_all_are_asked_at_once() {
    let app = |group: bool| {
        format!(
            "[companion.app]\ncommand = [\"@companion@\", \"--fork-child\", \"--stop-after\", \"0.3\"]\n\
             ready = \"started\"\nstart_seconds = 0\nstop_group = {group}\n"
        )
    };
    for group in [false, true] {
        let site = Site::new(&app(group));
        let arbiter = site.start();
        let (pid, child) = (site.wait_for_start("app", 1), site.wait_for_start("app-child", 1));
        arbiter.done(&["stop", "companion", "app"]);
        let at = |pid: i32, what: What| {
            let found = site.events().iter().position(|event| event.pid == pid && event.what == what);
            found.unwrap_or_else(|| panic!("{what:?} of {pid} is missing\n{}", site.tail()))
        };
        let (gone, asked) = (at(pid, What::Leaves), at(child, What::Asked));
        assert_eq!(asked < gone, group, "{}", site.tail());
    }
}

#[test]
fn what_is_stopped_by_hand_comes_back_by_no_timer() {
    let site = Site::new(
        r#"
        [companion.failing]
        command = ["@companion@", "--exit-after", "0", "--exit-code", "1"]
        restart_delay = 0.3
        restart_delay_max = 0.3
        [companion.flapping]
        command = ["@companion@", "--exit-after", "0", "--exit-code", "1"]
        flapping = { attempts = 1, window = 60, retry_in = 0.3, max_retry = -1 }
        [companion.sick]
        command = ["@companion@", "--stop-after", "0.2"]
        ready = "started"
        start_seconds = 0
        health = { exec = ["false"], interval = 0.2, failures = 1 }
        [companion.old]
        command = ["@companion@", "--stop-after", "0.2"]
        ready = "started"
        start_seconds = 0
        max_lifetime = 0.3
        [companion.waiting]
        command = ["@companion@"]
        after = ["late"]
        [companion.late]
        command = ["@companion@", "--ready-when", "@site@/go"]
        ready = "notify"
        "#,
    );
    let arbiter = site.start();
    let names = ["failing", "flapping", "sick", "old"];
    for name in names {
        site.wait_for_start(name, 2);
    }
    arbiter.wait_for_status("one to wait", |status| {
        status.companion("waiting").reason() == "waiting for late to be ready"
    });
    let mut words = vec!["stop", "companion", "waiting"];
    words.extend(names);
    arbiter.done(&words);
    let started = || names.map(|name| site.started(name).len());
    let before = started();
    site.write("go", "");
    arbiter.wait_for_companion("late", "RUNNING");
    arbiter.kill_manager();
    observe_for(Duration::from_secs(1));
    assert_eq!((started(), site.started("waiting").len()), (before, 0));
    let status = arbiter.status();
    assert!(names.iter().all(|name| status.companion(name).state == "STOPPED"), "{status:?}");
}

#[test]
fn each_of_a_chain_waits_for_the_one_below_however_that_becomes_ready_and_says_for_whom() {
    let site = Site::new(
        r#"
        [companion.a]
        command = ["@companion@", "--ready-when", "@site@/one"]
        ready = "notify"
        [companion.b]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0.1
        after = ["a"]
        [companion.c]
        command = ["@companion@"]
        ready = { exec = ["test", "-e", "@site@/two"], interval = 0.1 }
        after = ["b"]
        [companion.d]
        command = ["@companion@"]
        ready = { tcp = "unix:@site@/three", interval = 0.1 }
        after = ["c"]
        [companion.e]
        command = ["@companion@"]
        after = ["a", "d"]
        "#,
    );
    let arbiter = site.launch();
    let waits = |name: &str, reason: &str| {
        arbiter.wait_for_status(reason, |status| {
            status.companions().iter().any(|known| known == name) && status.companion(name).reason() == reason
        });
    };
    waits("b", "waiting for a to be ready");
    waits("e", "waiting for a, d to be ready");
    site.write("one", "");
    waits("d", "waiting for c to be ready");
    site.write("two", "");
    waits("e", "waiting for d to be ready");
    site.wait_for_start("d", 1);
    assert!(site.started("e").is_empty());
    let _listener = UnixListener::bind(site.path("three")).unwrap();
    arbiter.wait_for_companion("e", "RUNNING");
    site.remove("three");
    // A process may come late to saying so: the kernel knows when each began.
    let began = ["a", "b", "c", "d", "e"].map(|name| {
        let pid = site.wait_for_start(name, 1);
        sys::procfs::stat(pid).expect("it runs").start_time_ticks
    });
    assert!(began.is_sorted(), "{began:?}");
    assert_eq!(site.events().len(), 5);
}
