//! Signs of life, and what becomes of a worker that gives none.

use std::time::Duration;
use tests::{Site, http, observe_for, processes, signal};

/// A site with one worker that beats until the file `quiet` is there.
fn site(settings: &str) -> Site {
    let command = r#"command = ["@worker@", "--ready-after", "0", "--beat-until", "@site@/quiet"]"#;
    Site::new(&format!("[workers]\n{command}\nready = \"notify\"\nabort_timeout = 0.5\n{settings}"))
}

#[test]
fn a_worker_that_stops_beating_is_aborted_and_replaced_and_one_that_never_beats_is_left_alone() {
    let site = site("timeout = 1.5");
    let arbiter = site.start();
    let first = site.wait_for_start("arbiter", 1);
    let age = |status: &tests::Status| status.0["workers"]["processes"][0]["heartbeat_age_seconds"].as_f64();
    arbiter.wait_for_status("a beat to be shown", |status| age(status).is_some());
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("arbiter"), [first], "a worker that beats is left alone");

    site.write("quiet", "");
    let second = site.wait_for_start("arbiter", 2);
    let status = arbiter.wait_until_running();
    let worker = &status.0["workers"]["processes"][0];
    assert_eq!(worker["last_exit"]["signal"], "SIGABRT", "{worker}");
    assert_eq!(status.workers()[0].restarts, 1);
    let log = site.log();
    assert!(log.contains("worker 1 (generation 1): silent for 1."), "{log}");
    assert!(log.contains("while serving (timeout), aborting it"), "{log}");

    // It found the file there when it began, so it has never beaten.
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("arbiter"), [first, second]);
    assert_eq!(age(&arbiter.status()), None);
}

#[test]
fn where_a_heartbeat_is_required_a_worker_that_never_beats_is_replaced() {
    let site = site("timeout = 0.5\nheartbeat = \"required\"");
    site.write("quiet", "");
    let arbiter = site.launch();
    site.wait_for_start("arbiter", 3);
    assert!(site.log().contains("aborting it"), "{}", site.log());
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_worker_that_says_it_has_failed_is_replaced_at_once() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-after", "0", "--trigger-when", "@site@/failed"]
        ready = "notify"
        timeout = 3600
        "#,
    );
    let arbiter = site.start();
    site.write("failed", "");
    site.wait_for_start("arbiter", 2);
    site.remove("failed");
    assert!(site.log().contains("says that it has failed while serving, aborting it"), "{}", site.log());
    arbiter.wait_until_running();
}

#[test]
fn a_worker_is_told_how_often_to_beat_only_where_that_is_watched() {
    let watchdog = |settings: &str| {
        let site = Site::new(&format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[workers]\ncommand = [\"@worker@\"]\n{settings}"
        ));
        let arbiter = site.start();
        let pid = arbiter.status().worker_pids()[0];
        assert!(http::who(&arbiter.status().address("http")).is_ok());
        let environment = processes::environment(pid);
        let own = environment.get("WATCHDOG_PID").map(|told| *told == pid.to_string());
        (environment.get("WATCHDOG_USEC").cloned(), own)
    };
    assert_eq!(watchdog("timeout = 2.5"), (Some("2500000".into()), Some(true)));
    assert_eq!(watchdog("heartbeat = \"off\""), (None, None));
    assert_eq!(watchdog("timeout = 0"), (None, None));
}

#[test]
fn nobody_is_aborted_for_what_arbiter_did_not_hear_while_it_was_stopped_itself() {
    let site = site("timeout = 1.5");
    let arbiter = site.start();
    let first = site.wait_for_start("arbiter", 1);
    arbiter.wait_for_status("a beat", |status| {
        status.0["workers"]["processes"][0]["heartbeat_age_seconds"].is_number()
    });
    // As when a machine is paused: both are away, and arbiter comes back first.
    arbiter.signal(signal::STOP);
    processes::signal(first, signal::STOP);
    observe_for(Duration::from_secs(3));
    arbiter.signal(signal::CONT);
    // An answer that only arbiter can give: it has had its turn.
    arbiter.done(&["scale", "workers", "1"]);
    processes::signal(first, signal::CONT);
    observe_for(Duration::from_secs(2));
    assert_eq!(site.started("arbiter"), [first], "{}", site.log());
    assert!(!site.log().contains("aborting it"), "{}", site.log());
}
