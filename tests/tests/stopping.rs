//! TERM, INT and QUIT.

use std::time::{Duration, Instant};
use tests::{Site, What, http, processes, signal};

const PLAIN: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
"#;

/// Workers that do not leave when asked to.
fn stubborn(graceful_timeout: f64) -> Site {
    Site::new(&format!(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "--ignore-term"]
        count = 2
        graceful_timeout = {graceful_timeout}
        "#
    ))
}

/// Waits until the log says so.
fn wait_for_log(site: &Site, text: &str) {
    site.wait_for(&format!("\"{text}\" in the log"), || site.log().contains(text).then_some(()));
}

#[test]
fn term_lets_workers_finish_what_they_have_begun() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || http::get(&address, "/sleep/1"))
        })
        .collect();
    site.wait_for("all requests to be under way", || {
        let pids = arbiter.status().worker_pids();
        let threads: usize = pids.iter().map(|pid| usize_of(&processes::status_line(*pid, "Threads"))).sum();
        (threads >= 2 + 6).then_some(())
    });
    assert_eq!(arbiter.stop(), 0);
    for client in clients {
        let body = client.join().unwrap();
        assert!(body.is_ok(), "{body:?}");
    }
    let refused = http::get(&address, "/").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

fn usize_of(text: &str) -> usize {
    text.parse().expect("a number")
}

#[test]
fn newcomers_are_refused_once_no_worker_accepts_although_one_still_works() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let slow = {
        let address = address.clone();
        std::thread::spawn(move || http::get(&address, "/sleep/3"))
    };
    site.wait_for("the request to be under way", || {
        let pids = arbiter.status().worker_pids();
        pids.iter().any(|pid| processes::status_line(*pid, "Threads") == "2").then_some(())
    });
    arbiter.signal(signal::TERM);
    site.wait_for("newcomers to be refused", || http::get(&address, "/").is_err().then_some(()));
    assert!(arbiter.poll_exit().is_none(), "the slow request is still under way");
    assert!(slow.join().unwrap().is_ok());
    assert_eq!(arbiter.wait_exit(), 0);
}

#[test]
fn int_and_quit_stop_quickly_with_status_0() {
    for number in [signal::INT, signal::QUIT] {
        let site = Site::new(PLAIN);
        let arbiter = site.start();
        arbiter.signal(number);
        assert_eq!(arbiter.wait_exit(), 0, "signal {number}");
    }
}

#[test]
fn a_worker_that_ignores_term_is_killed_at_its_graceful_timeout_and_told_by_status_5() {
    let site = stubborn(0.5);
    let arbiter = site.start();
    let begun = Instant::now();
    assert_eq!(arbiter.stop(), 5);
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert!(site.log().contains("killed"), "{}", site.log());
}

#[test]
fn a_second_term_makes_the_stop_quick() {
    let site = stubborn(3600.0);
    let arbiter = site.start();
    let begun = Instant::now();
    arbiter.signal(signal::TERM);
    wait_for_log(&site, "stopping");
    arbiter.signal(signal::TERM);
    assert_eq!(arbiter.wait_exit(), 5);
    assert!(begun.elapsed() >= Duration::from_secs(5), "a quick stop gives five seconds");
}

#[test]
fn a_third_term_kills() {
    let site = stubborn(3600.0);
    let arbiter = site.start();
    let begun = Instant::now();
    arbiter.signal(signal::TERM);
    wait_for_log(&site, "stopping");
    arbiter.signal(signal::TERM);
    wait_for_log(&site, "stopping quickly");
    arbiter.signal(signal::TERM);
    assert_eq!(arbiter.wait_exit(), 5);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_stop_before_the_workers_are_ready_ends_with_status_0() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/never"]
        ready = "notify"
        "#,
    );
    let arbiter = site.launch();
    site.wait_for_start("arbiter", 1);
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn shutdown_by_arbiterctl_is_a_graceful_stop() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    arbiter.done(&["shutdown"]);
    assert_eq!(arbiter.wait_exit(), 0);
    let leaves = site.events().iter().filter(|event| event.what == What::Leaves).count();
    assert_eq!(leaves, 2);
}

#[test]
fn a_forced_shutdown_kills_at_once_and_ends_with_status_0() {
    let site = stubborn(3600.0);
    let arbiter = site.start();
    arbiter.done(&["shutdown", "--force"]);
    assert_eq!(arbiter.wait_exit(), 0);
}

#[test]
fn a_stop_with_stop_group_asks_the_whole_group_and_waits_for_it() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@companion@", "--fork-child", "--ready-after", "0"]
        ready = "notify"
        stop_group = true
        "#,
    );
    let arbiter = site.start();
    let child = site.wait_for_start("arbiter-child", 1);
    assert_eq!(arbiter.stop(), 0);
    assert!(site.events().iter().any(|event| event.what == What::Leaves && event.pid == child));
}

#[test]
fn what_a_worker_leaves_of_its_group_is_asked_too_and_waited_for() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@companion@", "--fork-child", "--ready-after", "0"]
        ready = "notify"
        "#,
    );
    let arbiter = site.start();
    let child = site.wait_for_start("arbiter-child", 1);
    assert_eq!(arbiter.stop(), 0);
    assert!(site.events().iter().any(|event| event.what == What::Leaves && event.pid == child));
}

#[test]
fn after_term_workers_serve_on_for_the_pre_stop_delay_and_a_second_term_skips_it() {
    let site = Site::new(&format!("pre_stop_delay = 600\n{PLAIN}"));
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    arbiter.signal(signal::TERM);
    arbiter.wait_for_status("the stop", |status| status.0["arbiter"]["state"] == "stopping");
    assert!(http::get(&address, "/").is_ok(), "still served");
    assert_eq!(arbiter.ctl(&["status", "--check"]).code, 3, "load balancers are told");
    arbiter.signal(signal::TERM);
    assert_eq!(arbiter.wait_exit(), 0);
}

#[test]
fn nothing_is_started_during_the_pre_stop_delay_and_what_runs_can_be_stopped_and_signalled() {
    let site = Site::new(&format!(
        "pre_stop_delay = 600\n{PLAIN}\n[companion.mail]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n\
         [companion.spare]\ncommand = [\"@companion@\"]\nautostart = false\n"
    ));
    let arbiter = site.start();
    arbiter.wait_for_companion("mail", "RUNNING");
    arbiter.signal(signal::TERM);
    let before = arbiter.wait_for_status("the stop", |status| status.state() == "stopping");
    let is_refused = |verbs: &[&str]| {
        for verb in verbs {
            let words: Vec<&str> = verb.split(' ').collect();
            let output = arbiter.ctl(&words);
            let reason = "arbiter is stopping: nothing is started or changed any more";
            assert!(output.code == 1 && output.stderr.contains(reason), "{verb}: {output:?}");
        }
    };
    let starting = [
        "start companion spare",
        "run companion spare",
        "scale companion mail 2",
        "restart companion mail",
        "reload companion mail",
        "restart workers",
        "reload companions",
        "restart manager",
    ];
    is_refused(&starting);
    assert_eq!(arbiter.ctl(&["start", "companion", "nobody"]).code, 4);
    arbiter.done(&["signal", "companion", "mail", "CONT"]);
    // Another manager knows it as well.
    let after = arbiter.kill_manager();
    assert_eq!(after.companion("mail").pids(), before.companion("mail").pids());
    is_refused(&starting);
    arbiter.done(&["stop", "companion", "mail"]);
    assert_eq!((site.started("mail").len(), site.started("spare").len()), (1, 0));
    arbiter.signal(signal::TERM);
    assert_eq!(arbiter.wait_exit(), 0);
}
