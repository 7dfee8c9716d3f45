//! Companions that end again and again, and when they are given up.

use std::time::Duration;
use tests::{Arbiter, Site, observe_for};

/// Two ends within the window are a flap; after the second flap it is given up.
fn site(more: &str) -> Site {
    Site::new(&format!(
        r#"
        [companion.shaky]
        command = ["@companion@", "--exit-if", "@site@/broken"]
        ready = "started"
        start_seconds = 0.2
        restart_delay = 0.1
        flapping = {{ attempts = 2, window = 20, retry_in = 0.5, max_retry = 1 }}
        {more}
        "#
    ))
}

fn reason(arbiter: &Arbiter<'_>) -> String {
    let status = arbiter.status();
    let process = &status.0["companions"][0]["processes"][0];
    process["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_companion_that_flaps_waits_longer_and_is_given_up_until_somebody_starts_it() {
    let site = site("");
    site.write("broken", "7");
    let arbiter = site.start();
    arbiter.wait_for_companion("shaky", "FATAL");
    let reason = reason(&arbiter);
    assert!(reason.starts_with("given up: it exited with status 7 after 0"), "{reason}");
    assert!(reason.ends_with("second time within 20 s, 2 times over"), "{reason}");
    let log = site.log();
    assert!(log.contains("second time within 20 s, retrying in 0.5 s"), "{log}");
    assert_eq!(log.matches("shaky: started, pid").count(), 4, "two flaps of two: {log}");
    observe_for(Duration::from_secs(1));
    assert_eq!(site.log().matches("shaky: started, pid").count(), 4, "nothing brings it back");
    assert_eq!(arbiter.status().state(), "running", "arbiter itself goes on");

    let line = arbiter.ctl(&["start", "companion", "shaky"]).failed_with(1).to_owned();
    assert!(line.contains("status 7"), "{line}");
    arbiter.wait_for_companion("shaky", "FATAL");
    assert_eq!(site.log().matches("shaky: started, pid").count(), 8, "its counters began anew");
    site.remove("broken");
    arbiter.done(&["start", "companion", "shaky"]);
    assert_eq!(arbiter.status().companion("shaky").state, "RUNNING");
}

#[test]
fn what_is_given_up_stays_so_and_what_flaps_goes_on_when_the_manager_dies() {
    let site = site("");
    site.write("broken", "7");
    let arbiter = site.start();
    arbiter.wait_for_status("the first flap", |_| site.log().contains("retrying in 0.5 s"));
    arbiter.kill_manager();
    arbiter.wait_for_companion("shaky", "FATAL");
    assert_eq!(site.log().matches("shaky: started, pid").count(), 4, "{}", site.log());
    let before = reason(&arbiter);
    arbiter.kill_manager();
    observe_for(Duration::from_secs(1));
    assert_eq!(arbiter.status().companion("shaky").state, "FATAL");
    assert_eq!(reason(&arbiter), before);
    assert_eq!(site.log().matches("shaky: started, pid").count(), 4, "{}", site.log());
}

#[test]
fn restarts_by_hand_never_count() {
    let site = site("");
    let arbiter = site.start();
    arbiter.wait_for_companion("shaky", "RUNNING");
    for _ in 0..5 {
        arbiter.done(&["restart", "companion", "shaky"]);
    }
    assert!(!site.log().contains("within 20 s"), "{}", site.log());
    assert_eq!(arbiter.status().companion("shaky").state, "RUNNING");
}
