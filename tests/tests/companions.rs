//! Companions by arbiterctl: start, stop, restart, scale, and what their states say.

use tests::{Site, What, processes, signal};

/// One companion that is ready at once.
const CLOCK: &str = r#"
    [companion.clock]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
"#;

#[test]
fn a_companion_is_stopped_and_started_by_hand() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    let stopped = arbiter.done(&["--json", "stop", "companion", "clock"]).json();
    let result = &stopped["results"][0];
    assert_eq!(
        (&result["name"], &result["state"], &result["changed"]),
        (&"clock".into(), &"STOPPED".into(), &true.into())
    );
    assert!(!processes::is_alive(pid));
    assert_eq!(arbiter.status().companion("clock").state, "STOPPED");
    let again = arbiter.done(&["--json", "stop", "companion", "clock"]).json();
    assert_eq!(again["results"][0]["changed"], false);
    let started = arbiter.done(&["--json", "start", "companion", "clock"]).json();
    assert_eq!(started["results"][0]["state"], "RUNNING");
    let new = arbiter.status().pid_of("clock");
    assert_ne!(new, pid);
    arbiter.done(&["start", "companion", "clock"]);
    assert_eq!(arbiter.status().pid_of("clock"), new, "it was running already");
}

#[test]
fn start_answers_when_the_companion_is_ready() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--ready-when", "@site@/go"]
        ready = "notify"
        autostart = false
        "#,
    );
    let arbiter = site.start();
    assert_eq!(arbiter.status().companion("slow").state, "STOPPED");
    let mut client = site.ctl_command(&["start", "companion", "slow"]).spawn().unwrap();
    arbiter.wait_for_companion("slow", "STARTING");
    assert!(client.try_wait().unwrap().is_none(), "it still waits");
    site.write("go", "");
    assert!(client.wait().unwrap().success());
    assert_eq!(arbiter.status().companion("slow").state, "RUNNING");
}

#[test]
fn start_answers_at_the_first_failure_with_its_reason_and_trying_goes_on() {
    let site = Site::new(
        r#"
        [companion.broken]
        command = ["@companion@", "--exit-if", "@site@/broken"]
        autostart = false
        restart_delay = 0.1
        start_seconds = 0.1
        "#,
    );
    site.write("broken", "9");
    let arbiter = site.start();
    let line = arbiter.ctl(&["start", "companion", "broken"]).failed_with(1).to_owned();
    assert!(line.contains("broken") && line.contains("status 9"), "{line}");
    site.remove("broken");
    arbiter.wait_for_companion("broken", "RUNNING");
}

#[test]
fn restart_brings_a_new_process_and_also_starts_a_stopped_one_by_name() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    arbiter.done(&["restart", "companion", "clock"]);
    let after = arbiter.status().pid_of("clock");
    assert_ne!(before, after);
    assert!(!processes::is_alive(before));
    arbiter.done(&["stop", "companion", "clock"]);
    arbiter.done(&["restart", "companion", "*"]);
    assert_eq!(arbiter.status().companion("clock").state, "STOPPED", "a pattern leaves it alone");
    arbiter.done(&["restart", "companion", "clock"]);
    assert_eq!(arbiter.status().companion("clock").state, "RUNNING");
}

#[test]
fn restart_of_several_processes_goes_one_by_one() {
    let site = Site::new(
        r#"
        [companion.rq]
        command = ["@companion@", "--ready-after", "0.1"]
        ready = "notify"
        count = 3
        "#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("rq", "RUNNING");
    arbiter.done(&["restart", "companion", "rq"]);
    let events: Vec<_> = site.events().into_iter().skip_while(|event| event.what == What::Started).collect();
    let order: Vec<_> = events.iter().map(|event| (event.what, event.slot)).collect();
    let each = |slot| [(What::Asked, slot), (What::Leaves, slot), (What::Started, slot)];
    assert_eq!(order, [each(1), each(2), each(3)].concat(), "no two at a time");
}

#[test]
fn scale_starts_more_and_stops_the_oldest_first() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let first = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    assert_eq!(arbiter.done(&["scale", "companion", "clock", "3"]).stdout.trim(), "3");
    let status =
        arbiter.wait_for_status("three clocks", |status| status.companion("clock").pids().len() == 3);
    let clock = status.companion("clock");
    assert_eq!((clock.target, clock.configured), (3, 1));
    assert_eq!(clock.processes.iter().map(|process| process.slot).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(arbiter.done(&["scale", "companion", "clock", "-1"]).stdout.trim(), "2");
    arbiter.wait_for_status("the oldest to be gone", |status| {
        let pids = status.companion("clock").pids();
        pids.len() == 2 && !pids.contains(&first)
    });
    assert_eq!(arbiter.done(&["scale", "companion", "clock", "0"]).stdout.trim(), "0");
    arbiter.wait_for_status("none to be left", |status| status.companion("clock").pids().is_empty());
    assert_eq!(arbiter.done(&["scale", "companion", "clock", "-5"]).stdout.trim(), "0", "never below 0");
    assert_eq!(arbiter.done(&["scale", "companion", "clock", "+1"]).stdout.trim(), "1");
    arbiter.wait_for_companion("clock", "RUNNING");
}

#[test]
fn a_companion_that_dies_after_a_healthy_run_is_restarted_at_once() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    processes::signal(before, signal::KILL);
    let after = site.wait_for_start("clock", 2);
    let status = arbiter.wait_for_status("the new one", |status| status.companion("clock").pids() == [after]);
    let process = &status.0["companions"][0]["processes"][0];
    assert_eq!(process["last_exit"]["signal"], "SIGKILL");
    assert_eq!(process["last_exit"]["requested"], false);
    assert_eq!(process["restarts"], 1);
}

#[test]
fn a_companion_that_keeps_failing_backs_off_with_its_reason() {
    let site = Site::new(
        r#"
        [companion.broken]
        command = ["@companion@", "--exit-code", "7", "--exit-after", "0"]
        restart_delay = 30
        "#,
    );
    let arbiter = site.start();
    let broken = arbiter.wait_for_companion("broken", "BACKOFF").companion("broken");
    let process = &broken.processes[0];
    assert_eq!((process.pid, process.ready), (None, false));
    assert!(process.reason.contains("status 7"), "{process:?}");
    assert!(process.retry_in.is_some_and(|seconds| seconds <= 30.0), "{process:?}");
    arbiter.done(&["stop", "companion", "broken"]);
    assert_eq!(arbiter.status().companion("broken").state, "STOPPED", "BACKOFF is stopped at once");
}

#[test]
fn restart_policies_say_what_ends_a_companion() {
    let site = Site::new(
        r#"
        [companion.done]
        command = ["@companion@", "--exit-after", "0"]
        restart = "on-failure"
        [companion.failed]
        command = ["@companion@", "--exit-after", "0", "--exit-code", "1"]
        restart = "on-failure"
        restart_delay = 0.1
        [companion.forgiven]
        command = ["@companion@", "--exit-after", "0", "--exit-code", "1"]
        restart = "on-failure"
        success_exit_codes = [0, 1]
        [companion.once]
        command = ["@companion@", "--exit-after", "0", "--exit-code", "1"]
        restart = "never"
        [companion.always]
        command = ["@companion@", "--exit-after", "0"]
        restart_delay = 0.1
        "#,
    );
    let arbiter = site.start();
    for name in ["done", "forgiven", "once"] {
        arbiter.wait_for_companion(name, "EXITED");
    }
    site.wait_for_start("failed", 3);
    site.wait_for_start("always", 3);
    for name in ["done", "forgiven", "once"] {
        assert_eq!(site.started(name).len(), 1, "{name}");
    }
    arbiter.done(&["start", "companion", "done"]);
    site.wait_for_start("done", 2);
}

#[test]
fn names_may_be_slots_and_patterns_and_one_unknown_name_means_nothing_is_done() {
    let site = Site::new(
        r#"
        [companion."batch.one"]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        [companion."batch.two"]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        [companion.web]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        count = 2
        "#,
    );
    let arbiter = site.start();
    let all = |status: &tests::Status| {
        status.companions().iter().all(|name| status.companion(name).state == "RUNNING")
    };
    let status = arbiter.wait_for_status("all to run", all);
    assert_eq!(status.companions(), ["batch.one", "batch.two", "web"], "sorted by full name");
    assert_eq!(status.0["companions"][0]["session"], "batch");
    let pids = status.companion("web").pids();

    let line = arbiter.ctl(&["stop", "companion", "web", "nobody"]).failed_with(4).to_owned();
    assert!(line.contains("nobody"), "{line}");
    arbiter.ctl(&["stop", "companion", "nobody.*"]).failed_with(4);
    arbiter.ctl(&["stop", "companion", "web:9"]).failed_with(4);
    assert_eq!(arbiter.status().companion("web").pids(), pids, "nothing was done");

    arbiter.done(&["restart", "companion", "web:2"]);
    let after = arbiter.status().companion("web").pids();
    assert_eq!(after[0], pids[0]);
    assert_ne!(after[1], pids[1]);

    arbiter.done(&["stop", "companion", "batch.*"]);
    let status = arbiter.status();
    assert_eq!(status.companion("batch.one").state, "STOPPED");
    assert_eq!(status.companion("batch.two").state, "STOPPED");
    assert_eq!(status.companion("web").state, "RUNNING");
    arbiter.done(&["stop", "companion", "*"]);
    assert_eq!(arbiter.status().companion("web").state, "STOPPED");
    arbiter.done(&["start", "companion", "*"]);
    assert!(all(&arbiter.status()));
}

#[test]
fn what_cannot_be_started_says_why_and_arbiter_goes_on() {
    let site = Site::new(
        r#"
        [companion.missing]
        command = ["@site@/no-such-program"]
        [companion.lost]
        command = ["@companion@"]
        cwd = "@site@/no-such-directory"
        "#,
    );
    let arbiter = site.start();
    let missing = arbiter.wait_for_companion("missing", "BACKOFF").companion("missing");
    assert!(missing.reason().contains("no-such-program"), "{missing:?}");
    let lost = arbiter.wait_for_companion("lost", "BACKOFF").companion("lost");
    assert!(lost.reason().contains("no-such-directory"), "{lost:?}");
}

#[test]
fn a_companion_is_told_who_it_is() {
    let site = Site::new(
        r#"
        name = "shop"
        [companion."batch.clock"]
        command = ["@companion@", "{name}", "{slot}"]
        count = 2
        ready = "started"
        start_seconds = 0
        env = { COLOUR = "blue" }
        "#,
    );
    let arbiter = site.start();
    let pids = arbiter.wait_for_companion("batch.clock", "RUNNING").companion("batch.clock").pids();
    site.wait_for_start("batch.clock", 2);
    for (slot, pid) in (1..).zip(pids) {
        let environment = processes::environment(pid);
        assert_eq!(environment["ARBITER_NAME"], "batch.clock");
        assert_eq!(environment["ARBITER_SLOT"], slot.to_string());
        assert_eq!(environment["ARBITER_PID"], arbiter.pid().to_string());
        assert_eq!(environment["COLOUR"], "blue");
        assert!(!environment.contains_key("LISTEN_FDS"));
        assert!(processes::command_line(pid).ends_with(&format!(" batch.clock {slot}")));
        let stat = sys::procfs::stat(pid).unwrap();
        assert_eq!((stat.session, stat.pgrp), (pid, pid));
        let open = processes::descriptors(pid);
        let inherited = open.values().filter(|what| !what.starts_with("anon_inode:")).count();
        assert_eq!(inherited, 3, "{open:?}");
    }
}

#[test]
fn wait_and_signal_and_pid_speak_of_the_same_process() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    arbiter.done(&["wait", "companion", "clock", "ready"]);
    let pid = arbiter.status().pid_of("clock");
    assert_eq!(arbiter.done(&["pid", "clock"]).stdout.trim(), pid.to_string());
    assert_eq!(arbiter.done(&["pid"]).stdout.trim(), arbiter.pid().to_string());
    arbiter.done(&["signal", "companion", "clock", "KILL"]);
    site.wait_for_start("clock", 2);
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    let last = &status.0["companions"][0]["processes"][0]["last_exit"];
    assert_eq!((&last["signal"], &last["requested"]), (&"SIGKILL".into(), &true.into()));
}
