//! Keys of `[workers]` that are changed by a reload: each takes effect on the next workers.

use std::os::unix::fs::PermissionsExt;
use tests::{Arbiter, Site, is_root, processes, signal};

/// One worker of `command` with these lines in its table.
fn worker(command: &str, lines: &str) -> String {
    format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[workers]\ncommand = [{command}]\n{lines}\n")
}

/// Reloads into these lines; the new worker.
fn reload(site: &Site, arbiter: &Arbiter<'_>, command: &str, lines: &str) -> i32 {
    let before = arbiter.status().worker_pids();
    site.configure(&worker(command, lines));
    arbiter.done(&["reload"]);
    let status = arbiter.wait_for_status("the new worker alone", |status| {
        status.ready_workers().len() == 1 && status.workers().len() == 1
    });
    let pid = status.worker_pids()[0];
    assert!(!before.contains(&pid), "{lines}: there is a new one");
    pid
}

fn proc_file(pid: i32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the process lives")
}

#[test]
fn what_a_process_is_given_is_what_the_reload_says() {
    let site = Site::new(&worker("\"@worker@\"", ""));
    site.write("variables", "FROM_FILE=1\n");
    let arbiter = site.start();
    let reload = |lines: &str| reload(&site, &arbiter, "\"@worker@\"", lines);
    let variable = |pid, name: &str| processes::environment(pid).get(name).cloned();

    assert_eq!(variable(reload("env = { COLOUR = \"red\" }"), "COLOUR").as_deref(), Some("red"));
    let pid = reload("unset_env = [\"XDG_RUNTIME_DIR\"]");
    assert_eq!((variable(pid, "XDG_RUNTIME_DIR"), variable(pid, "COLOUR")), (None, None));
    assert_eq!(variable(reload("env_file = \"@site@/variables\""), "FROM_FILE").as_deref(), Some("1"));
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", reload("cwd = \"@site@/run\""))).unwrap();
    assert_eq!(cwd, site.path("run").canonicalize().unwrap());
    assert_eq!(processes::status_line(reload("umask = \"0057\""), "Umask"), "0057");
    let limits = proc_file(reload("limits = { nofile = 123 }"), "limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("123"));
    let stat = proc_file(reload("nice = 7"), "stat");
    assert_eq!(stat.rsplit(')').next().unwrap().split_whitespace().nth(16), Some("7"));
    assert_eq!(proc_file(reload("oom_score_adj = 321"), "oom_score_adj").trim(), "321");
    assert_eq!(processes::status_line(reload("no_new_privileges = true"), "NoNewPrivs"), "1");
    assert_eq!(variable(reload("timeout = 7"), "WATCHDOG_USEC").as_deref(), Some("7000000"));
    assert_eq!(variable(reload("heartbeat = \"off\""), "WATCHDOG_USEC"), None);
    let pid = reload("");
    assert_eq!((variable(pid, "WATCHDOG_USEC"), variable(pid, "FROM_FILE")), (Some("30000000".into()), None));
    assert_eq!(processes::status_line(pid, "NoNewPrivs"), "0", "what is not said any more is as ever");
}

#[test]
fn user_and_group_are_those_that_the_reload_says() {
    if !is_root() {
        return;
    }
    let site = Site::new(&worker("\"@site@/worker\"", ""));
    std::fs::set_permissions(site.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(site.path("announcements"), PermissionsExt::from_mode(0o666)).unwrap();
    tests::copy_program(&tests::program("fake-worker"), &site.path("worker"));
    let arbiter = site.start();
    let nobody = sys::users::user_by_name("nobody").unwrap().unwrap();
    let first =
        |pid, name: &str| processes::status_line(pid, name).split_whitespace().next().unwrap().to_owned();
    for (lines, uid, gid) in [
        ("user = \"nobody\"", nobody.uid, nobody.gid),
        ("user = \"nobody\"\ngroup = 12345", nobody.uid, 12345),
        ("group = 12345", 0, 12345),
        ("", 0, 0),
    ] {
        let pid = reload(&site, &arbiter, "\"@site@/worker\"", lines);
        assert_eq!((first(pid, "Uid"), first(pid, "Gid")), (uid.to_string(), gid.to_string()), "{lines}");
    }
}

#[test]
fn how_a_worker_is_stopped_and_reopens_is_as_its_own_configuration_said() {
    let site = Site::new(&worker("\"@worker@\"", ""));
    let arbiter = site.start();
    let told = |words: &str| {
        site.wait_for(words, || site.log().contains(words).then_some(()));
    };
    let pid = reload(&site, &arbiter, "\"@worker@\"", "stop_signal = \"USR2\"");
    let pid = (pid, reload(&site, &arbiter, "\"@worker@\", \"--ignore-term\"", "graceful_timeout = 0.3"));
    told(&format!("pid {} was killed by SIGUSR2 while draining", pid.0));
    let reopening = "\"@worker@\", \"--reopened\", \"@site@/reopened\"";
    let next = reload(&site, &arbiter, reopening, "reopen_signal = \"USR1\"");
    told("not gone after 0.3 s while draining (graceful_timeout), killed");
    assert!(!processes::is_alive(pid.1));
    arbiter.signal(signal::USR1);
    site.wait_for("the worker's log to be reopened", || {
        let text = std::fs::read_to_string(site.path("reopened")).ok()?;
        text.contains(&next.to_string()).then_some(())
    });
    // New ones that are late or broken fail the reload, each in the time that their own table gives.
    site.configure(&worker(
        "\"@worker@\"",
        "ready = \"notify\"\nstart_timeout = 0.4\nabort_signal = \"INT\"",
    ));
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains("not ready within its start_timeout"), "{line}");
    told("s while booting (start_timeout), aborting it");
    told("was killed by SIGINT while");
    let recycled = reload(&site, &arbiter, "\"@worker@\"", "max_lifetime = 0.5");
    arbiter.wait_for_status("another worker", |status| {
        let pids = status.ready_workers().into_iter().filter_map(|worker| worker.pid).collect::<Vec<_>>();
        pids.len() == 1 && !pids.contains(&recycled)
    });
    let last = reload(&site, &arbiter, "\"@worker@\"", "quick_stop_signal = \"ALRM\"");
    arbiter.signal(signal::INT);
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(
        site.log().contains(&format!("pid {last} was killed by SIGALRM while draining")),
        "{}",
        site.tail()
    );
}
