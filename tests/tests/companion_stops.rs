//! How companions are stopped, and in which order.

use std::time::{Duration, Instant};
use tests::{Site, What, processes, signal};

/// A companion that does not leave when asked to.
fn deaf(stop_timeout: &str) -> Site {
    Site::new(&format!(
        r#"
        [companion.deaf]
        command = ["@companion@", "--ignore-term"]
        ready = "started"
        start_seconds = 0
        stop_timeout = {stop_timeout}
        "#
    ))
}

#[test]
fn a_stop_empties_the_whole_group() {
    let site = Site::new(
        r#"
        [companion.parent]
        command = ["@companion@", "--fork-child"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    let arbiter = site.start();
    let child = site.wait_for_start("parent-child", 1);
    arbiter.wait_for_companion("parent", "RUNNING");
    arbiter.done(&["stop", "companion", "parent"]);
    assert!(!processes::is_alive(child), "it is gone when stop answers");
    let asked = site.events().iter().any(|event| event.what == What::Asked && event.pid == child);
    assert!(asked, "it got the stop signal too");
}

#[test]
fn whoever_is_left_behind_by_one_of_many_is_found_and_stopped_too() {
    let site = Site::new(
        r#"
        [companion.crowd]
        command = ["@companion@"]
        count = 40
        ready = "started"
        start_seconds = 0
        [companion.parent]
        command = ["sh", "-c", "trap '' TERM; @companion@ --ignore-term & trap - TERM; wait"]
        count = 3
        ready = "started"
        start_seconds = 0
        stop_timeout = 0.3
        "#,
    );
    let arbiter = site.start();
    site.wait_for_start("crowd", 40);
    site.wait_for_start("parent", 3);
    let left = site.started("parent");
    // One that leaves nobody comes first.
    arbiter.done(&["restart", "companion", "crowd:1"]);
    arbiter.done(&["stop", "companion", "parent"]);
    for pid in left {
        assert!(!processes::is_alive(pid), "{pid} is gone when stop answers");
    }
    assert_eq!(arbiter.status().companion("crowd").state, "RUNNING");
}

#[test]
fn what_ignores_the_stop_signal_is_killed_at_stop_timeout_with_its_group() {
    let site = Site::new(
        r#"
        [companion.deaf]
        command = ["@companion@", "--ignore-term", "--fork-child", "--child-ignores-term"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 0.4
        "#,
    );
    let arbiter = site.start();
    let child = site.wait_for_start("deaf-child", 1);
    let pid = site.wait_for_start("deaf", 1);
    let begun = Instant::now();
    arbiter.done(&["stop", "companion", "deaf"]);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert!(!processes::is_alive(pid) && !processes::is_alive(child));
    assert_eq!(
        arbiter.stop(),
        0,
        "a companion that an operator's stop had to kill is no failed stop of arbiter"
    );
}

#[test]
fn a_stop_of_arbiter_that_has_to_kill_a_companion_ends_with_status_5() {
    let site = deaf("0.3");
    let arbiter = site.start();
    site.wait_for_start("deaf", 1);
    assert_eq!(arbiter.stop(), 5);
}

#[test]
fn a_third_term_that_has_to_kill_a_companion_is_told_by_status_5() {
    let site = deaf("3600");
    let arbiter = site.start();
    site.wait_for_start("deaf", 1);
    for said in ["stopping", "stopping quickly"] {
        arbiter.signal(signal::TERM);
        site.wait_for(said, || site.log().contains(said).then_some(()));
    }
    arbiter.signal(signal::TERM);
    assert_eq!(arbiter.wait_exit(), 5);
}

#[test]
fn a_forced_stop_kills_at_once() {
    let site = deaf("3600");
    let arbiter = site.start();
    site.wait_for_start("deaf", 1);
    arbiter.done(&["stop", "companion", "--force", "deaf"]);
    assert_eq!(arbiter.status().companion("deaf").state, "STOPPED");
}

#[test]
fn stopping_is_shown_while_it_lasts_and_start_waits_for_its_end() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--stop-after", "1"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    let arbiter = site.start();
    let first = site.wait_for_start("slow", 1);
    arbiter.done(&["--no-wait", "stop", "companion", "slow"]);
    arbiter.wait_for_companion("slow", "STOPPING");
    arbiter.done(&["start", "companion", "slow"]);
    let status = arbiter.status();
    assert_eq!(status.companion("slow").state, "RUNNING");
    assert_ne!(status.pid_of("slow"), first);
    site.wait_for_start("slow", 2);
    let order: Vec<_> = site.events().into_iter().map(|event| event.what).collect();
    assert_eq!(order, [What::Started, What::Asked, What::Leaves, What::Started], "never two at a time");
}

/// A chain: `top` comes after `middle`, and that after `bottom`.
const CHAIN: &str = r#"
    [companion.bottom]
    command = ["@companion@", "--ready-after", "0.1", "--stop-after", "0.1"]
    ready = "notify"
    [companion.middle]
    command = ["@companion@", "--ready-after", "0.1", "--stop-after", "0.1"]
    ready = "notify"
    after = ["bottom"]
    [companion.top]
    command = ["@companion@", "--ready-after", "0.1", "--stop-after", "0.1"]
    ready = "notify"
    after = ["middle"]
"#;

/// The names to which something happened, in order.
fn order(site: &Site, what: What) -> Vec<String> {
    site.events().into_iter().filter(|event| event.what == what).map(|event| event.name).collect()
}

#[test]
fn companions_start_in_the_order_of_after_and_stop_in_the_reverse_level_by_level() {
    let site = Site::new(CHAIN);
    let arbiter = site.launch();
    arbiter.wait_for_status("top to wait for middle", |status| {
        status.companions().len() == 3 && status.companion("top").reason() == "waiting for middle to be ready"
    });
    arbiter.wait_for_companion("top", "RUNNING");
    assert_eq!(order(&site, What::Started), ["bottom", "middle", "top"]);
    arbiter.done(&["stop", "companion", "*"]);
    let stops: Vec<_> = site.events().into_iter().skip(3).map(|event| (event.what, event.name)).collect();
    let each = |name: &str| [(What::Asked, name.to_owned()), (What::Leaves, name.to_owned())];
    assert_eq!(stops, [each("top"), each("middle"), each("bottom")].concat());
}

#[test]
fn a_stop_of_arbiter_goes_level_by_level_too() {
    let site = Site::new(CHAIN);
    let arbiter = site.start();
    arbiter.wait_for_companion("top", "RUNNING");
    assert_eq!(arbiter.stop(), 0);
    let stops: Vec<_> = site.events().into_iter().skip(3).map(|event| (event.what, event.name)).collect();
    let each = |name: &str| [(What::Asked, name.to_owned()), (What::Leaves, name.to_owned())];
    assert_eq!(stops, [each("top"), each("middle"), each("bottom")].concat());
}

#[test]
fn what_workers_require_outlives_them_and_the_others_leave_with_them() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@companion@", "--ready-after", "0", "--stop-after", "0.5"]
        ready = "notify"
        requires = ["redis"]
        [companion.redis]
        command = ["@companion@", "--ready-after", "0"]
        ready = "notify"
        [companion.other]
        command = ["@companion@", "--ready-after", "0"]
        ready = "notify"
        "#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("other", "RUNNING");
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(order(&site, What::Leaves), ["other", "arbiter", "redis"]);
}

#[test]
fn start_of_a_companion_whose_foundation_is_stopped_fails_at_once_and_says_so() {
    let site = Site::new(CHAIN);
    let arbiter = site.start();
    arbiter.wait_for_companion("top", "RUNNING");
    arbiter.done(&["stop", "companion", "top", "middle"]);
    let line = arbiter.ctl(&["start", "companion", "top"]).failed_with(1).to_owned();
    assert!(line.contains("middle"), "{line}");
    arbiter.done(&["start", "companion", "top", "middle"]);
    arbiter.wait_for_companion("top", "RUNNING");
}

#[test]
fn a_companion_killed_while_it_is_being_stopped_stays_stopped() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--stop-after", "3600"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 3600
        "#,
    );
    let arbiter = site.start();
    let pid = site.wait_for_start("slow", 1);
    arbiter.done(&["--no-wait", "stop", "companion", "slow"]);
    arbiter.wait_for_companion("slow", "STOPPING");
    processes::signal(pid, signal::KILL);
    arbiter.wait_for_companion("slow", "STOPPED");
    assert_eq!(site.started("slow").len(), 1);
}

#[test]
fn workers_do_not_mind_the_end_of_a_companion_they_required_at_their_start() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-after", "0"]
        ready = "notify"
        requires = ["redis"]
        [companion.redis]
        command = ["@companion@", "--ready-after", "0"]
        ready = "notify"
        "#,
    );
    let arbiter = site.start();
    let before = arbiter.status();
    processes::signal(before.pid_of("redis"), signal::KILL);
    site.wait_for_start("redis", 2);
    arbiter.wait_for_companion("redis", "RUNNING");
    arbiter.done(&["stop", "companion", "redis"]);
    let after = arbiter.status();
    assert_eq!(after.worker_pids(), before.worker_pids());
    assert_eq!((after.state(), after.ready_workers().len()), ("running", 1));
    processes::signal(after.worker_pids()[0], signal::KILL);
    arbiter.wait_for_status("a replacement", |status| {
        status.ready_workers().first().is_some_and(|worker| worker.pid != after.workers()[0].pid)
    });
}
