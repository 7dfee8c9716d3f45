//! `arbiterctl run`: extra processes from a companion's settings.

use std::time::Duration;
use tests::{Site, Status, processes, signal};

const JOBS: &str = r#"
    [companion.rq]
    command = ["sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.05; done', "rq"]
    ready = "started"
    start_seconds = 0
    [companion.shell]
    command = ["sh", "-c"]
    count = 0
    env = { WHO = "table", KEPT = "kept" }
    success_exit_codes = [0, 3]
"#;

/// The pids of a companion's one-offs.
fn oneoffs(status: &Status, name: &str) -> Vec<i32> {
    let processes = status.companion(name).processes;
    processes.into_iter().filter(|process| process.oneoff).filter_map(|process| process.pid).collect()
}

#[test]
fn a_one_off_runs_beside_its_companion_and_is_stopped_with_it() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("rq", "RUNNING").pid_of("rq");
    let mut pids = Vec::new();
    for _ in 0..2 {
        let printed = arbiter.done(&["run", "companion", "rq", "--", "--burst"]).stdout;
        pids.push(printed.trim().parse::<i32>().expect("a pid and nothing else"));
    }
    let status = arbiter.status();
    assert_eq!(oneoffs(&status, "rq"), pids);
    let rq = status.companion("rq");
    assert_eq!((rq.state.as_str(), rq.processes.len()), ("RUNNING", 3));
    assert!(rq.processes[1..].iter().all(|process| process.slot == 0 && process.state == "RUNNING"));
    let words = std::fs::read(format!("/proc/{}/cmdline", pids[0])).expect("it runs");
    assert!(words.ends_with(b"\0rq\0--burst\0"), "{}", String::from_utf8_lossy(&words));
    arbiter.done(&["restart", "companion", "rq"]);
    let status = arbiter.status();
    assert_ne!(status.companion("rq").processes[0].pid, Some(before));
    assert_eq!(oneoffs(&status, "rq"), pids, "a restart leaves them alone");
    arbiter.done(&["stop", "companion", "rq"]);
    assert!(pids.iter().all(|pid| !processes::is_alive(*pid)));
    assert!(oneoffs(&arbiter.status(), "rq").is_empty());
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn arguments_and_variables_are_added_to_the_companions_own() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    let script = r#"echo "$WHO $KEPT $1 $ARBITER_NAME $ARBITER_SLOT" > out; mv out said"#;
    let run = ["run", "companion", "shell", "--env", "WHO=me", "--env", "X=", "--wait", "--"];
    arbiter.done(&[&run[..], &[script, "shell", "with space"]].concat());
    let said = std::fs::read_to_string(site.path("said")).expect("it has run to its end");
    assert_eq!(said, "me kept with space shell 0\n");
    assert_eq!(arbiter.status().companion("shell").state, "STOPPED");
}

#[test]
fn the_exit_status_of_one_that_is_waited_for_tells_whether_it_succeeded() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    let run = |script: &str| arbiter.ctl(&["run", "companion", "shell", "--wait", "--", script]);
    for (script, code) in [("exit 0", 0), ("exit 3", 0), ("exit 4", 1), ("kill -9 $$", 1)] {
        let output = run(script);
        assert_eq!(output.code, code, "{script}: {output:?}");
        assert_eq!(output.stdout.is_empty(), code != 0, "{script}: {output:?}");
    }
    let output = run("exit 5");
    let line = output.failed_with(1);
    assert!(line.contains("exited with status 5"), "{line}");
    let json = arbiter.done(&["--json", "run", "companion", "shell", "--wait", "--", "exit 3"]).json();
    assert_eq!((&json["exit"]["code"], json["pid"].is_i64()), (&serde_json::json!(3), true));
}

#[test]
fn what_cannot_run_is_told_at_once() {
    let site = Site::new("[companion.gone]\ncommand = [\"/no/such/program\"]\nautostart = false\n");
    let arbiter = site.start();
    let output = arbiter.ctl(&["run", "companion", "gone"]);
    let line = output.failed_with(1);
    assert!(line.contains("/no/such/program"), "{line}");
    arbiter.ctl(&["run", "companion", "none"]).failed_with(4);
    arbiter.ctl(&["run", "companion", "*"]).failed_with(1);
    assert!(arbiter.status().companion("gone").processes.iter().all(|process| !process.oneoff));
}

#[test]
fn a_cut_off_clients_run_goes_on_and_is_waited_for_over_the_managers_death() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    let script = "echo x >> runs; until [ -e go ]; do sleep 0.02; done; exit 3";
    let mut command = site.ctl_command(&["--json", "run", "companion", "shell", "--wait", "--", script]);
    let mut waiting = command.stdout(std::process::Stdio::piped()).spawn().expect("arbiterctl starts");
    let status = arbiter.wait_for_status("the one-off", |status| !oneoffs(status, "shell").is_empty());
    site.wait_for("its first line", || site.path("runs").exists().then_some(()));
    let after = arbiter.kill_manager();
    assert_eq!(oneoffs(&after, "shell"), oneoffs(&status, "shell"), "it runs on");
    assert_eq!(after.companion("shell").state, "STOPPED");
    site.write("go", "");
    let exit = waiting.wait().expect("it ends");
    assert_eq!(exit.code(), Some(0), "3 is a success here");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut waiting.stdout.take().expect("it was piped"), &mut said).unwrap();
    let json: serde_json::Value = serde_json::from_str(&said).expect("an answer");
    assert_eq!(json["pid"], oneoffs(&status, "shell")[0]);
    assert_eq!(std::fs::read_to_string(site.path("runs")).unwrap(), "x\n", "it was run once");
    arbiter.wait_for_status("nothing of it", |status| oneoffs(status, "shell").is_empty());
}

#[test]
fn no_run_is_lost_or_done_twice_while_managers_die() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    let mut ended = Vec::new();
    // From the fifth death on arbiter waits five seconds.
    for round in 0..4 {
        let before = arbiter.wait_for_status("a manager", |status| status.manager().is_some());
        let asked: Vec<_> = (0..3)
            .map(|index| {
                let script = format!("echo {round}{index} >> runs");
                let mut command = site.ctl_command(&["run", "companion", "shell", "--wait", "--", &script]);
                (format!("{round}{index}"), command.spawn().expect("arbiterctl starts"))
            })
            .collect();
        // Another moment each time: before, while and after they are taken in.
        std::thread::sleep(Duration::from_millis(4 * round));
        processes::signal(before.manager().expect("there is one"), signal::KILL);
        for (script, mut child) in asked {
            ended.push((script, child.wait().expect("it ends").code().expect("by itself")));
        }
    }
    let text = std::fs::read_to_string(site.path("runs")).unwrap_or_default();
    for (line, code) in ended {
        let times = text.lines().filter(|other| *other == line).count();
        // 8 says that nobody knows: the request may have died with the manager before it was taken in.
        let is_right = if code == 8 { times <= 1 } else { code == 0 && times == 1 };
        assert!(is_right, "run {line} ended with {code} and was done {times} times\n{}", site.tail());
    }
}

#[test]
fn a_run_that_had_not_come_to_its_program_when_its_manager_died_is_begun_again() {
    let site = Site::new(JOBS);
    let arbiter = site.launch_to_fail();
    arbiter.wait_until_running();
    let manager = arbiter.wait_for_companion("rq", "RUNNING").manager().expect("there is one");
    let file = site.fail_at("spawn-before-session", "stop");
    let mut command = site.ctl_command(&["run", "companion", "shell", "--wait", "--", "echo x >> runs"]);
    let mut waiting = command.spawn().expect("arbiterctl starts");
    site.wait_for("it to be on its way", || (!file.exists()).then_some(()));
    // That it was spawned is on record, and would be believed.
    site.wait_for("the manager to say so", || site.log().contains("shell:0: started").then_some(()));
    processes::signal(manager, signal::KILL);
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));
    assert_eq!(std::fs::read_to_string(site.path("runs")).unwrap(), "x\n");
    assert!(
        site.log().contains("was stuck before its program started"),
        "not killed at once: {}",
        site.tail()
    );
}
