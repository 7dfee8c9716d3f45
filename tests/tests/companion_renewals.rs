//! Restart and reload of single companions, and requests that are equal.

use std::collections::BTreeSet;
use std::time::Duration;
use tests::{Site, What, observe_for, processes};

/// `told` writes a line at each HUP, and so does nobody else.
const SERVICES: &str = r#"
    [companion.told]
    command = ["sh", "-c", "trap 'echo told >> heard' HUP; echo up > up; while :; do sleep 0.02; done"]
    cwd = "@site@"
    ready = { exec = ["test", "-e", "@site@/up"], interval = 0.1 }
    reload_signal = "HUP"
    [companion.plain]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
    [companion.mortal]
    command = ["sleep", "3600"]
    ready = "started"
    start_seconds = 0
    restart_delay = 60
    reload_signal = "HUP"
"#;

#[test]
fn reload_sends_the_signal_where_there_is_one_and_restarts_the_others() {
    let site = Site::new(SERVICES);
    let arbiter = site.start();
    for name in ["told", "plain", "mortal"] {
        arbiter.wait_for_companion(name, "RUNNING");
    }
    let before = arbiter.status();
    let answer = arbiter.done(&["--json", "reload", "companion", "told", "plain"]).json();
    let results = answer["results"].as_array().expect("there are results");
    let shown: Vec<_> = results.iter().map(|one| (&one["name"], &one["message"], &one["changed"])).collect();
    let (told, plain) = (("told", "SIGHUP sent"), ("plain", "restarted"));
    for (name, message) in [told, plain] {
        assert!(shown.contains(&(&name.into(), &message.into(), &true.into())), "{answer}");
    }
    site.wait_for("it to hear that", || site.path("heard").exists().then_some(()));
    let after = arbiter.status();
    assert_eq!(after.pid_of("told"), before.pid_of("told"));
    assert_ne!(after.pid_of("plain"), before.pid_of("plain"));

    // One that does not know the signal dies of it, and that was asked for: it is back at once.
    let mortal = before.pid_of("mortal");
    arbiter.done(&["reload", "companion", "mortal"]);
    let status = arbiter.wait_for_status("another process", |status| {
        let one = status.companion("mortal");
        one.state == "RUNNING" && !one.pids().contains(&mortal)
    });
    assert!(!processes::is_alive(mortal), "{status:?}");

    arbiter.done(&["stop", "companion", "told", "plain"]);
    let line = arbiter.ctl(&["reload", "companion", "told"]);
    assert!(line.code == 1, "{line:?}");
    arbiter.done(&["reload", "companion", "*"]);
    assert_eq!(arbiter.status().companion("told").state, "STOPPED");
    assert_eq!(arbiter.status().companion("plain").state, "STOPPED", "a pattern leaves it alone");
    arbiter.done(&["reload", "companion", "plain"]);
    assert_eq!(arbiter.status().companion("plain").state, "RUNNING", "as restart by name does");
}

#[test]
fn twenty_restarts_at_once_are_one_or_two() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--ready-after", "1", "--stop-after", "0.3"]
        ready = "notify"
        "#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("slow", "RUNNING");
    let restart = || site.ctl_command(&["restart", "companion", "slow"]).spawn().expect("it can be started");
    let first = restart();
    site.wait_for_start("slow", 2);
    // The new process is there: whoever asks now gets another one, all of them the same.
    let clients: Vec<_> = (0..19).map(|_| restart()).chain([first]).collect();
    for mut client in clients {
        assert!(client.wait().expect("it ends").success());
    }
    let runs = site.started("slow").len();
    assert_eq!(runs, 3, "{}", site.log());
    assert_eq!(arbiter.status().companion("slow").state, "RUNNING");
}

#[test]
fn two_companions_are_restarted_beside_each_other_and_nobody_waits_for_anybody() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--ignore-term"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 3600
        [companion.quick]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    let arbiter = site.start();
    for name in ["slow", "quick"] {
        arbiter.wait_for_companion(name, "RUNNING");
    }
    arbiter.done(&["--no-wait", "restart", "companion", "slow", "quick"]);
    site.wait_for_start("quick", 2);
    arbiter.wait_for_companion("slow", "STOPPING");
    arbiter.ctl(&["--timeout", "0.2", "stop", "companion", "slow"]).failed_with(7);
    arbiter.done(&["restart", "companion", "quick"]);
    arbiter.done(&["stop", "companion", "--force", "slow"]);
    assert_eq!(arbiter.status().companion("slow").state, "STOPPED");
    observe_for(Duration::from_millis(300));
    assert_eq!(site.started("slow").len(), 1, "the stop came after the restart");
}

#[test]
fn deadlines_do_not_queue_and_what_has_escaped_from_the_group_holds_nothing_up() {
    let site = Site::new(
        r#"
        [companion.deaf]
        command = ["@companion@", "--ignore-term"]
        ready = "started"
        start_seconds = 0
        count = 6
        stop_timeout = 1
        [companion.parent]
        command = ["sh", "-c", "setsid --fork sleep 5; exec @companion@"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 3600
        "#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("deaf", "RUNNING");
    arbiter.wait_for_companion("parent", "RUNNING");
    site.wait_for_start("parent", 1);
    arbiter.done(&["--timeout", "60", "stop", "companion", "parent"]);
    let begun = std::time::Instant::now();
    arbiter.done(&["stop", "companion", "deaf"]);
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "six after another? {took:?}");
    let asked: BTreeSet<u32> =
        site.events().iter().filter(|event| event.what == What::Asked).map(|event| event.slot).collect();
    assert_eq!(asked.len(), 6, "each was asked first");
    assert_eq!(arbiter.stop(), 0);
}
