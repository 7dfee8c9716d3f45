//! Companions without which arbiter stops.

use tests::{Site, http, processes, signal};

/// A served program and a critical companion that ends while the file `broken` is there.
const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    [companion.other]
    command = ["@companion@"]
    [companion.db]
    command = ["@companion@", "--exit-if", "@site@/broken"]
    ready = "started"
    start_seconds = 0.2
    restart_delay = 0.1
    critical = true
    flapping = { attempts = 2, window = 20, retry_in = 0.1, max_retry = 0 }
"#;

#[test]
fn a_critical_companion_that_is_given_up_stops_arbiter_in_good_order_with_status_6() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("db", "RUNNING");
    http::who(&status.address("http")).unwrap();
    site.write("broken", "7");
    processes::signal(status.pid_of("db"), signal::KILL);
    assert_eq!(arbiter.wait_exit(), 6, "{}", site.log());
    let log = site.log();
    assert!(log.contains("db is critical: given up: it exited with status 7"), "{log}");
    assert!(log.contains("second time within 20 s, stopping"), "{log}");
    assert!(log.contains("arbiter ends with status 6"), "{log}");
}

#[test]
fn it_is_6_also_with_a_delay_before_the_stop_and_what_has_to_be_killed_changes_nothing() {
    let site = Site::new(&format!("pre_stop_delay = 0.3\n{SHOP}").replace(
        "[companion.other]\n    command = [\"@companion@\"]",
        "[companion.other]\n    command = [\"@companion@\", \"--ignore-term\"]\n    stop_timeout = 0.2",
    ));
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("db", "RUNNING");
    arbiter.wait_for_companion("other", "RUNNING");
    site.write("broken", "7");
    processes::signal(status.pid_of("db"), signal::KILL);
    assert_eq!(arbiter.wait_exit(), 6, "{}", site.log());
    assert!(site.log().contains("serving for another 0.3 s first"), "{}", site.log());
    assert!(site.log().contains("other: did not leave in time: killed"), "{}", site.log());
}

#[test]
fn one_that_is_never_started_again_stops_arbiter_where_it_ends_without_success() {
    let site = |code: u32| {
        Site::new(&format!(
            r#"
            [companion.job]
            command = ["@companion@", "--exit-after", "0.2", "--exit-code", "{code}"]
            restart = "never"
            critical = true
            "#
        ))
    };
    let failing = site(9);
    assert_eq!(failing.launch().wait_exit(), 6, "{}", failing.log());
    let succeeding = site(0);
    let arbiter = succeeding.start();
    arbiter.wait_for_companion("job", "EXITED");
    assert_eq!(arbiter.status().state(), "running");
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn it_is_lost_though_the_manager_dies_while_it_is() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("db", "RUNNING");
    site.write("broken", "7");
    processes::signal(status.pid_of("db"), signal::KILL);
    processes::signal(status.manager().expect("there is one"), signal::KILL);
    assert_eq!(arbiter.wait_exit(), 6, "{}", site.log());
}

#[test]
fn a_critical_companion_that_is_stopped_by_hand_is_no_loss() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    arbiter.wait_for_companion("db", "RUNNING");
    arbiter.done(&["stop", "companion", "db"]);
    arbiter.done(&["start", "companion", "db"]);
    arbiter.done(&["restart", "companion", "db"]);
    assert_eq!(arbiter.stop(), 0);
}
