//! `EXTEND_TIMEOUT_USEC=` and `STOPPING=1`: what processes say of their own deadlines.

use tests::{Arbiter, Site, Status, What, http, processes, signal};

#[test]
fn a_worker_that_asks_for_more_time_may_start_and_drain_longer() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "--ready-after", "3", "--more-time", "6000000"]
        ready = "notify"
        start_timeout = 2
        graceful_timeout = 1
        "#,
    );
    let arbiter = site.start();
    assert_eq!(site.started("arbiter").len(), 1, "it was not aborted\n{}", site.tail());
    let address = arbiter.status().address("http");
    let slow = std::thread::spawn(move || http::get(&address, "/sleep/2"));
    site.wait_for("the request to be under way", || {
        let pids = arbiter.status().worker_pids();
        pids.iter().any(|pid| processes::status_line(*pid, "Threads") == "2").then_some(())
    });
    assert_eq!(arbiter.stop(), 0, "nothing was killed\n{}", site.tail());
    assert!(slow.join().unwrap().is_ok());
}

#[test]
fn more_time_ends_at_three_times_the_timeout() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--no-listener", "--ready-after", "0", "--ignore-term", "--more-time", "3600000000"]
        ready = "notify"
        graceful_timeout = 0.5
        "#,
    );
    let arbiter = site.start();
    let begun = std::time::Instant::now();
    assert_eq!(arbiter.stop(), 5);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[test]
fn a_companion_that_asks_for_more_time_may_start_and_stop_longer() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--ready-after", "3", "--stop-after", "2", "--more-time", "6000000"]
        ready = "notify"
        start_timeout = 2
        stop_timeout = 1
        "#,
    );
    let arbiter = site.launch();
    arbiter.wait_for_companion("slow", "RUNNING");
    assert_eq!(site.started("slow").len(), 1, "{}", site.tail());
    arbiter.done(&["stop", "companion", "slow"]);
    let left = site.events().iter().filter(|event| event.what == What::Leaves).count();
    assert_eq!(left, 1, "it was not killed\n{}", site.tail());
}

/// A worker that has said that it leaves by itself, and does nothing about it.
fn leaving<'s>(site: &'s Site, arbiter: &Arbiter<'s>) -> i32 {
    let pid = arbiter.status().worker_pids()[0];
    site.write("words.new", "STOPPING=1");
    std::fs::rename(site.path("words.new"), site.path("words")).expect("a file can be renamed");
    let is_leaving = |status: &Status| status.workers().iter().any(|worker| worker.state == "STOPPING");
    let status = arbiter.wait_for_status("a worker that leaves", is_leaving);
    assert_eq!(status.worker_pids(), [pid], "it is not replaced before it has gone");
    site.remove("words");
    pid
}

fn talking(settings: &str) -> Site {
    let command = r#"["@worker@", "--no-listener", "--ready-after", "0", "--say-when", "@site@/words"]"#;
    Site::new(&format!("[workers]\ncommand = {command}\nready = \"notify\"\n{settings}"))
}

#[test]
fn a_worker_that_leaves_by_itself_hears_nothing_and_is_replaced_when_it_has_gone() {
    let site = talking("");
    let arbiter = site.start();
    let pid = leaving(&site, &arbiter);
    processes::signal(pid, signal::KILL);
    let status = arbiter.wait_for_status("another", |status| {
        status.ready_workers().iter().any(|worker| worker.pid != Some(pid))
    });
    assert_eq!(status.workers()[0].restarts, 1);
    let asked = site.events().iter().any(|event| event.what == What::Asked && event.pid == pid);
    assert!(!asked, "{}", site.tail());
}

#[test]
fn a_worker_that_leaves_by_itself_and_does_not_go_is_killed_and_replaced() {
    let site = talking("graceful_timeout = 1");
    let arbiter = site.start();
    let pid = leaving(&site, &arbiter);
    arbiter.wait_for_status("another", |status| {
        status.ready_workers().iter().any(|worker| worker.pid != Some(pid))
    });
    assert!(site.log().contains("killed by SIGKILL while draining"), "{}", site.log());
}
