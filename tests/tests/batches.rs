//! `reload_batch`: a new generation so many workers at a time.

use std::process::Stdio;
use tests::http::{self, Load};
use tests::{Arbiter, Site, Status, signal};

/// Three workers; what comes after them is ready when a file for its slot is there.
const THREE: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--exit-if", "@site@/broken-{generation}"]
    count = 3
"#;

/// The next settings: one by one, each ready when its file is there, on one listener more.
const NEXT: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [[listener]]
    name = "extra"
    address = "unix:@site@/extra.sock"
    [workers]
    command = ["@worker@", "--ready-when", "@site@/go-{slot}", "--exit-if", "@site@/broken-{generation}-{slot}"]
    ready = "notify"
    count = 3
    reload_batch = 1
"#;

/// Slot and generation of all that are ready.
fn ready(status: &Status) -> Vec<(u64, u64)> {
    status.ready_workers().into_iter().map(|worker| (worker.slot, worker.generation)).collect()
}

#[track_caller]
fn wait_for(arbiter: &Arbiter<'_>, expected: &[(u64, u64)]) -> Status {
    arbiter.wait_for_status(&format!("{expected:?} alone"), |status| {
        assert!(status.ready_workers().len() >= 3, "fewer serve than should: {status:?}");
        ready(status) == expected && status.workers().iter().all(|worker| worker.state != "STOPPING")
    })
}

#[test]
fn each_batch_takes_over_before_the_next_begins_and_no_request_fails() {
    let site = Site::new(THREE);
    let arbiter = site.start();
    let before = arbiter.status();
    let load = Load::start(&before.address("http"), 2);
    site.configure(NEXT);
    let mut client = site.ctl_command(&["reload"]).spawn().unwrap();
    for slot in 1..=3_usize {
        site.wait_for_start("arbiter", 3 + slot);
        let status = arbiter.status();
        assert_eq!((status.state(), status.generation()), ("reloading", 1));
        site.write(&format!("go-{slot}"), "");
        let expected: Vec<_> = (1..=3).map(|s| (s, if s <= slot as u64 { 2 } else { 1 })).collect();
        wait_for(&arbiter, &expected);
        assert!(http::get_unix(&site.path("extra.sock"), "/").is_ok(), "a new one serves what is new");
    }
    assert!(client.wait().unwrap().success());
    assert_eq!(arbiter.wait_until_running().generation(), 2);
    load.finish();
}

#[test]
fn what_was_replaced_goes_back_when_a_later_one_fails_and_no_request_fails() {
    let site = Site::new(THREE);
    let arbiter = site.start();
    let before = arbiter.status();
    let load = Load::start(&before.address("http"), 2);
    site.configure(NEXT);
    let client = site.ctl_command(&["reload"]).stderr(Stdio::piped()).spawn().unwrap();
    site.write("go-1", "");
    site.wait_for("a new one to serve", || {
        http::who(&before.address("http")).is_ok_and(|who| who.generation == 2).then_some(())
    });
    site.write("broken-2-3", "1");
    site.write("go-2", "");
    let ended = client.wait_with_output().unwrap();
    let line = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{line}");
    assert!(line.contains("nothing was changed: new worker 3 exited with status 1"), "{line}");
    let status = wait_for(&arbiter, &[(1, 1), (2, 1), (3, 1)]);
    assert_eq!((status.state(), status.generation()), ("running", 1));
    assert_eq!(status.worker_pids()[2], before.worker_pids()[2], "nobody touched the third");
    assert_ne!(status.worker_pids()[..2], before.worker_pids()[..2]);
    assert!(!site.path("extra.sock").exists(), "its listener is gone");
    assert!(site.log().contains("going back to the workers before"), "{}", site.log());
    load.finish();
    let arguments = http::get(&status.address("http"), "/args").unwrap();
    assert!(!arguments.contains("--ready-when"), "{arguments}");
}

#[test]
fn a_new_worker_stays_where_the_one_before_does_not_start_any_more() {
    let site = Site::new(THREE);
    let arbiter = site.start();
    let load = Load::start(&arbiter.status().address("http"), 2);
    site.configure(NEXT);
    let mut client = site.ctl_command(&["reload"]).spawn().unwrap();
    site.write("go-1", "");
    wait_for(&arbiter, &[(1, 2), (2, 1), (3, 1)]);
    let second = site.wait_for("the second to have a successor", || {
        arbiter.status().workers().into_iter().find(|w| (w.slot, w.generation) == (2, 2))?.pid
    });
    site.write("broken-1", "1");
    tests::processes::signal(second, signal::KILL);
    assert_eq!(client.wait().unwrap().code(), Some(1));
    let status = wait_for(&arbiter, &[(1, 2), (2, 1), (3, 1)]);
    assert_eq!(status.state(), "running");
    let log = site.log();
    assert!(log.contains("not all of it could be undone: new worker 2 was killed by SIGKILL"), "{log}");
    assert!(log.contains("worker 1 stays as it is, for one as before exited with status 1"), "{log}");
    load.finish();
    site.remove("broken-1");
    tests::processes::signal(status.worker_pids()[0], signal::KILL);
    arbiter.wait_for_status("one as before", |status| ready(status) == [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn the_number_changes_and_workers_die_in_the_middle_of_a_reload_and_a_stop_ends_it() {
    let site = Site::new(THREE);
    let arbiter = site.start();
    site.configure(NEXT);
    arbiter.signal(signal::HUP);
    site.write("go-1", "");
    let status = wait_for(&arbiter, &[(1, 2), (2, 1), (3, 1)]);
    arbiter.done(&["scale", "workers", "4"]);
    arbiter
        .wait_for_status("one more, as before", |status| ready(status) == [(1, 2), (2, 1), (3, 1), (4, 1)]);
    let dead = [status.worker_pids()[0], *status.worker_pids().last().unwrap()];
    for pid in dead {
        tests::processes::signal(pid, signal::KILL);
    }
    arbiter.wait_for_status("both to be replaced as they were", |status| {
        ready(status) == [(1, 2), (2, 1), (3, 1), (4, 1)]
            && !status.worker_pids().iter().any(|pid| dead.contains(pid))
    });
    assert_eq!(arbiter.status().state(), "reloading");
    assert_eq!(arbiter.stop(), 0);
}
