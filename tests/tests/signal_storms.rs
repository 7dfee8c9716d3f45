//! Signals to arbiter in any number and mix, at any moment.

use std::collections::BTreeSet;
use tests::{Site, processes, signal};

/// What a storm is made of: more get fewer than get more, so that it ends with a few workers.
const MIX: [i32; 7] =
    [signal::HUP, signal::TTIN, signal::TTOU, signal::USR1, signal::CHLD, signal::TTOU, signal::CHLD];
/// Signals in one storm.
const STORM: usize = 4000;

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.clock]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
"#;

/// Marsaglia's xorshift64: small, and the same everywhere.
fn storm(arbiter: i32, seed: u64) {
    let mut state = seed;
    for _ in 0..STORM {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = usize::try_from(state % MIX.len() as u64).expect("less than the kinds");
        processes::signal(arbiter, MIX[at]);
    }
}

#[test]
fn a_storm_leaves_a_consistent_state() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let clock = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    for seed in [1, 2, 3] {
        storm(arbiter.pid(), seed);
        // It is done when all before it is.
        arbiter.done(&["reload"]);
        let status = arbiter.wait_for_status("all workers of one generation alone", |status| {
            let (workers, target) = (status.workers(), status.target());
            let generation = status.generation();
            status.state() == "running"
                && workers.len() as u64 == target
                && workers.iter().all(|worker| worker.ready && worker.generation == generation)
        });
        assert!(status.target() >= 1);
        let slots: BTreeSet<_> = status.workers().iter().map(|worker| worker.slot).collect();
        assert_eq!(slots.len(), status.workers().len(), "no slot twice: {:?}", status.workers());
        let live = processes_of(&site, "fake-worker");
        assert_eq!(live, status.worker_pids().into_iter().collect(), "nobody else is there");
        assert_eq!(status.pid_of("clock"), clock, "companions have nothing to do with it");
        assert!(tests::http::who(&status.address("http")).is_ok());
    }
    arbiter.done(&["scale", "workers", "3"]);
    arbiter.wait_for_status("three workers", |status| status.ready_workers().len() == 3);
}

fn processes_of(site: &Site, program: &str) -> BTreeSet<i32> {
    let all = site.processes().into_iter();
    all.filter(|(_, line)| line.contains(program)).map(|(pid, _)| pid).collect()
}

#[test]
fn a_term_in_the_midst_of_a_storm_ends_all_in_good_order() {
    for seed in [7, 8] {
        let site = Site::new(SHOP);
        let arbiter = site.start();
        storm(arbiter.pid(), seed);
        arbiter.signal(signal::TERM);
        // Once it stops, nothing of this counts any more.
        for number in [signal::HUP, signal::TTIN, signal::USR1, signal::TTOU, signal::HUP] {
            if arbiter.poll_exit().is_none() {
                arbiter.signal(number);
            }
        }
        assert_eq!(arbiter.wait_exit(), 0, "{}", site.tail());
    }
}

/// A worker that lost the signal it is stopped with would be there until it is killed, and arbiter would say so.
#[test]
fn a_term_right_after_a_fork_reaches_the_new_child() {
    let text = SHOP.replace("count = 2", "count = 6\ngraceful_timeout = 15");
    // The first of them is the manager.
    for children in 1..=7 {
        let site = Site::new(&text);
        let arbiter = site.launch();
        site.wait_for("so many children", || {
            let has_begun = site.log().contains("companion manager started");
            (has_begun && sys::procfs::children_of(arbiter.pid()).len() >= children).then_some(())
        });
        arbiter.signal(signal::TERM);
        assert_eq!(arbiter.wait_exit(), 0, "{children}: {}", site.tail());
        assert!(!site.log().contains("in time, killed"), "{}", site.log());
    }
}
