//! `max_lifetime` and `memory_max` of companions: stopped and started again though nothing is wrong.

use std::time::Duration;
use tests::{Site, What, observe_for, processes, signal};

#[test]
fn companions_that_have_lived_long_enough_are_restarted_one_by_one_and_that_is_no_failure() {
    let site = Site::new(
        r#"
        [companion.rq]
        command = ["@companion@", "--ready-after", "0.1"]
        ready = "notify"
        count = 2
        max_lifetime = 1
        max_lifetime_jitter = 0.5
        flapping = { attempts = 1, window = 60, retry_in = 3600, max_retry = 0 }
        "#,
    );
    let arbiter = site.start();
    site.wait_for_start("rq", 6);
    let status = arbiter.wait_for_companion("rq", "RUNNING");
    assert!(status.0["companions"][0]["processes"][0]["restarts"] == 0, "{status:?}");
    let mut down = 0_i32;
    for event in site.events().into_iter().skip_while(|event| event.what == What::Started) {
        match event.what {
            What::Asked => down += 1,
            What::Started => down -= 1,
            _ => {}
        }
        assert!(down <= 1, "no two at a time: {:?}", site.events());
    }
    let log = site.log();
    let told = log.lines().find(|line| line.contains("(max_lifetime), restarting it")).expect("it is told");
    assert!(told.contains("has lived 1."), "{told}");
    assert!(!log.contains("WARN"), "{log}");
    // What an operator stops no lifetime brings back.
    arbiter.done(&["stop", "companion", "rq"]);
    observe_for(Duration::from_secs(2));
    assert_eq!(arbiter.status().companion("rq").state, "STOPPED");
}

#[test]
fn a_lifetime_goes_on_under_the_next_manager() {
    let site = Site::new(
        "[companion.rq]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\nmax_lifetime = 2\n",
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("rq", "RUNNING");
    let manager = arbiter.status().manager().expect("there is one");
    observe_for(Duration::from_secs(1));
    processes::signal(manager, signal::KILL);
    site.wait_for_start("rq", 2);
    let log = site.log();
    let told = log.lines().find(|line| line.contains("rq: has lived 2.")).expect("it is told");
    assert!(told.contains("(max_lifetime), restarting it"), "{told}");
    arbiter.wait_for_companion("rq", "RUNNING");
}

#[test]
fn a_companion_that_uses_too_much_memory_is_restarted() {
    let site = Site::new(
        r#"
        [companion.rq]
        command = ["@companion@", "--hold", "@site@/hold"]
        ready = "started"
        start_seconds = 0
        memory_max = "48MiB"
        "#,
    );
    site.write("hold", "64");
    let arbiter = site.start();
    let big = arbiter.wait_for_companion("rq", "RUNNING").pid_of("rq");
    site.remove("hold");
    let small = site.wait_for_start("rq", 2);
    assert_ne!(big, small);
    assert!(site.log().contains("rq: uses 6"), "{}", site.log());
    assert!(site.log().contains("(memory_max 48 MiB), restarting it"), "{}", site.log());
    observe_for(Duration::from_secs(11));
    assert_eq!(arbiter.status().pid_of("rq"), small, "the small one is left alone");
}
