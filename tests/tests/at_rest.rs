//! What must not grow and must not move while nothing happens.

use std::time::Duration;
use tests::{Arbiter, Site, Status, observe_for, processes, signal};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.clock]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    count = 2
"#;

fn open(site: &Site) -> (Arbiter<'_>, Status) {
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    (arbiter, status)
}

/// How often a process has gone to sleep so far: each time something has woken it before.
fn sleeps(pid: i32) -> u64 {
    processes::status_line(pid, "voluntary_ctxt_switches").parse().expect("a number")
}

#[test]
fn idle_is_idle() {
    let site = Site::new(SHOP);
    let (arbiter, status) = open(&site);
    let manager = status.manager().unwrap();
    // What the start has left to do (a readiness that is looked at, a client that leaves, the memory that is
    // given back a second later) ends first.
    observe_for(Duration::from_secs(3));
    let before = [sleeps(arbiter.pid()), sleeps(manager)];
    observe_for(Duration::from_secs(2));
    let after = [sleeps(arbiter.pid()), sleeps(manager)];
    assert_eq!(after, before, "arbiter and its manager were woken without a cause");
}

#[test]
fn descriptors_children_and_files_are_as_many_after_much_as_before() {
    let site = Site::new(SHOP);
    let (arbiter, status) = open(&site);
    arbiter.done(&["reload"]);
    let run = || {
        std::fs::read_dir(site.path("run")).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let notify = || {
        let directory =
            run().into_iter().find(|path| path.is_dir()).expect("the directory of notify sockets");
        std::fs::read_dir(directory).unwrap().count()
    };
    let count = |manager: i32| {
        [processes::descriptors(arbiter.pid()).len(), processes::descriptors(manager).len(), notify()]
    };
    let is_settled = |status: &Status| {
        status.state() == "running"
            && status.workers().len() == 2
            && status.companion("clock").state == "RUNNING"
    };
    arbiter.wait_for_status("rest", is_settled);
    let before = count(status.manager().unwrap());
    // One more may be open in passing, now as well as later.
    let not_more = |now: [usize; 3], which: &[usize]| which.iter().all(|&at| now[at] <= before[at]);
    for _ in 0..10 {
        arbiter.done(&["reload"]);
        arbiter.done(&["restart", "companion", "clock"]);
        arbiter.done(&["scale", "workers", "+1"]);
        arbiter.done(&["scale", "workers", "-1"]);
        processes::signal(arbiter.wait_for_status("rest", is_settled).worker_pids()[0], signal::KILL);
        arbiter.wait_for_status("rest", |status| is_settled(status) && status.ready_workers().len() == 2);
        arbiter.ctl(&["stop", "companion", "nobody"]).failed_with(4);
    }
    site.wait_for("as many descriptors as before", || {
        not_more(count(status.manager().unwrap()), &[0, 1, 2]).then_some(())
    });
    let status = arbiter.kill_manager();
    arbiter.done(&["restart", "companion", "clock"]);
    site.wait_for("as many descriptors as before, with another manager", || {
        not_more(count(status.manager().unwrap()), &[0, 2]).then_some(())
    });
    let zombies =
        sys::procfs::children_of(arbiter.pid()).into_iter().filter(|pid| processes::is_zombie(*pid));
    assert_eq!(zombies.count(), 0);
}
