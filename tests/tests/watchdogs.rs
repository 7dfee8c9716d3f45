//! Companions that give no sign of life any more.

use std::time::Duration;
use tests::{Arbiter, Site, observe_for, processes, signal};

/// A companion that beats until the file `quiet` is there.
fn site(settings: &str) -> Site {
    let command = r#"command = ["@companion@", "--ready-after", "0", "--beat-until", "@site@/quiet"]"#;
    Site::new(&format!("[companion.beating]\n{command}\nready = \"notify\"\nstart_seconds = 0.1\n{settings}"))
}

/// Waits for its first sign of life: the fake gives one as soon as it is ready, and the log of nobody tells.
fn running(arbiter: &Arbiter<'_>) -> i32 {
    let pid = arbiter.wait_for_companion("beating", "RUNNING").pid_of("beating");
    observe_for(Duration::from_millis(500));
    pid
}

#[test]
fn a_companion_that_stops_beating_is_restarted_and_one_that_never_beats_is_left_alone() {
    let site = site("watchdog = 1.5");
    let arbiter = site.start();
    let first = running(&arbiter);
    assert_eq!(processes::environment(first).get("WATCHDOG_USEC").map(String::as_str), Some("1500000"));
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("beating"), [first], "one that beats is left alone");
    site.write("quiet", "");
    let second = site.wait_for_start("beating", 2);
    let log = site.log();
    assert!(log.contains("beating: is not well, stopping it: silent for 1.5 s"), "{log}");
    let status = arbiter.wait_for_companion("beating", "RUNNING");
    let process = &status.0["companions"][0]["processes"][0];
    assert_eq!((&process["restarts"], &process["last_exit"]["requested"]), (&1.into(), &false.into()));
    // It found the file there when it began, so it has never beaten.
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("beating"), [first, second]);
}

#[test]
fn one_that_says_it_has_failed_is_restarted_at_once() {
    let site = Site::new(
        r#"
        [companion.failing]
        command = ["@companion@", "--ready-after", "0", "--trigger-when", "@site@/failed"]
        ready = "notify"
        start_seconds = 0.1
        "#,
    );
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("failing", "RUNNING").pid_of("failing");
    assert_eq!(processes::environment(pid).get("WATCHDOG_USEC"), None, "nothing is watched");
    site.write("failed", "");
    site.wait_for_start("failing", 2);
    site.remove("failed");
    assert!(site.log().contains("failing: is not well, stopping it: it said so itself"), "{}", site.log());
}

#[test]
fn nothing_is_believed_of_what_was_not_heard_while_arbiter_or_the_manager_was_stopped() {
    let site = site("watchdog = 1.5");
    let arbiter = site.start();
    let first = running(&arbiter);
    arbiter.signal(signal::STOP);
    observe_for(Duration::from_secs(4));
    arbiter.signal(signal::CONT);
    arbiter.done(&["reload"]);
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("beating"), [first], "{}", site.log());

    // Away with all of it, as when a machine is paused; the manager comes back first.
    let manager = arbiter.status().manager().expect("there is one");
    let away = [arbiter.pid(), manager, first];
    away.into_iter().for_each(|pid| processes::signal(pid, signal::STOP));
    observe_for(Duration::from_secs(4));
    for pid in [manager, arbiter.pid()] {
        processes::signal(pid, signal::CONT);
    }
    let _ = arbiter.status();
    processes::signal(first, signal::CONT);
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("beating"), [first], "{}", site.log());
    assert!(!site.log().contains("is not well"), "{}", site.log());
}

#[test]
fn the_next_manager_watches_on_for_one_that_has_beaten_before() {
    let site = site("watchdog = 1.5");
    let arbiter = site.start();
    let first = running(&arbiter);
    site.write("quiet", "");
    let manager = arbiter.status().manager().expect("there is one");
    processes::signal(manager, signal::KILL);
    let second = site.wait_for_start("beating", 2);
    assert_ne!(first, second);
    assert!(site.log().contains("silent for"), "{}", site.log());
}
