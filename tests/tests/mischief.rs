//! Seeded mischief: kills, signals and orders in any mix. Afterwards everything is as configured and asked
//! for, nobody runs twice, and the stop is a clean one. A failure names its seed.

use std::collections::{BTreeMap, BTreeSet};
use tests::{Arbiter, Dice, Site, Status, processes, signal};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    requires = ["redis"]
    [companion.redis]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    restart_delay = 0.1
    [companion.rq]
    command = ["@companion@", "--fork-child"]
    ready = "started"
    start_seconds = 0
    count = 2
    after = ["redis"]
    restart_delay = 0.1
    [companion.clock]
    command = ["@companion@", "--ready-after", "0.05"]
    ready = "notify"
    restart_delay = 0.1
"#;
const STEPS: usize = 40;
/// From the third on the next manager waits for a second or more.
const MOST_MANAGERS: u32 = 3;
const COMPANIONS: [&str; 3] = ["redis", "rq", "clock"];

/// One scenario.
struct Mischief<'s> {
    site: &'s Site,
    arbiter: Arbiter<'s>,
    dice: Dice,
    managers_killed: u32,
    /// Which companions should run.
    wanted: BTreeMap<&'static str, bool>,
    done: Vec<String>,
}

impl Mischief<'_> {
    fn step(&mut self) {
        let name = COMPANIONS[self.dice.roll(COMPANIONS.len())];
        match self.dice.roll(9) {
            0 => self.arbiter.signal(signal::HUP),
            1 => self.arbiter.signal(signal::TTIN),
            2 => self.arbiter.signal(signal::TTOU),
            3 => self.kill_one("worker", Status::worker_pids),
            4 => self.kill_one(name, |status| status.companion(name).pids()),
            5 if self.managers_killed < MOST_MANAGERS => {
                self.managers_killed += 1;
                self.kill_one("manager", |status| status.manager().into_iter().collect());
            }
            6 => self.order(&["--no-wait", "restart", "companion", name], Some((name, true))),
            7 => self.order(&["--no-wait", "stop", "companion", name], Some((name, false))),
            8 => self.order(&["--no-wait", "start", "companion", name], Some((name, true))),
            _ => self.order(&["--no-wait", "restart", "workers"], None),
        }
    }

    fn kill_one(&mut self, what: &str, of: impl Fn(&Status) -> Vec<i32>) {
        let pids = self.arbiter.try_status().map(|status| of(&status)).unwrap_or_default();
        if pids.is_empty() {
            return;
        }
        let pid = pids[self.dice.roll(pids.len())];
        self.done.push(format!("kill {what} {pid}"));
        // It may have ended meanwhile.
        let _ = sys::process::send_signal(pid, signal::KILL);
    }

    /// Gives an order. One whose outcome is unknown is given again: these can be.
    fn order(&mut self, words: &[&str], wanted: Option<(&'static str, bool)>) {
        self.done.push(words[1..].join(" "));
        loop {
            let output = self.site.ctl(words);
            match output.code {
                8 => self.done.push("outcome unknown, once more".into()),
                // A foundation that is stopped refuses what comes after it.
                0 | 1 => {
                    let (state, code) = (wanted, output.code);
                    if let Some((name, up)) = state.filter(|_| code == 0 || words[1] != "start") {
                        self.wanted.insert(name, up);
                    }
                    return;
                }
                _ => panic!("{words:?}: {output:?}"),
            }
        }
    }

    /// Lets everything run that was stopped, and waits until all is as it should be.
    fn settle(&mut self) {
        let stopped: Vec<_> = self.wanted.iter().filter(|(_, up)| !**up).map(|(name, _)| *name).collect();
        for name in stopped {
            self.arbiter.wait_for_companion(name, "STOPPED");
        }
        self.order(&["--no-wait", "start", "companion", "redis"], Some(("redis", true)));
        self.arbiter.wait_for_companion("redis", "RUNNING");
        for name in ["rq", "clock"] {
            self.order(&["--no-wait", "start", "companion", name], Some((name, true)));
        }
        self.arbiter.wait_for_status("all to be as it should be", |status| {
            let target = usize::try_from(status.target()).expect("a small number");
            let workers = status.workers();
            let is_up = |name: &&str| status.companion(name).state == "RUNNING";
            status.state() == "running"
                && workers.len() == target
                && status.ready_workers().len() == target
                && workers.iter().all(|worker| worker.generation == status.generation())
                && status.manager().is_some()
                && COMPANIONS.iter().all(is_up)
                && status.companion("rq").pids().len() == 2
        });
    }
}

fn run(seed: u64) {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let dice = Dice::new(seed);
    let wanted = COMPANIONS.iter().map(|name| (*name, true)).collect();
    let mut mischief = Mischief { site: &site, arbiter, dice, managers_killed: 0, wanted, done: Vec::new() };
    for _ in 0..STEPS {
        mischief.step();
    }
    mischief.settle();
    let arbiter = &mischief.arbiter;
    site.wait_for("nobody to run whom the status does not know", || {
        // A restart may still be under way: each look has its own status.
        let status = arbiter.try_status()?;
        let mut known: BTreeSet<i32> = status.worker_pids().into_iter().collect();
        known.extend(COMPANIONS.iter().flat_map(|name| status.companion(name).pids()));
        known.extend([arbiter.pid()].into_iter().chain(status.manager()));
        // A companion's child belongs to its group.
        let is_known = |pid: i32| {
            known.contains(&pid) || sys::procfs::stat(pid).is_some_and(|stat| known.contains(&stat.pgrp))
        };
        site.processes().into_iter().all(|(pid, _)| is_known(pid)).then_some(())
    });
    let children = sys::procfs::children_of(mischief.arbiter.pid());
    assert!(!children.into_iter().any(processes::is_zombie), "zombies are left: {:?}", mischief.done);
    assert_eq!(mischief.arbiter.stop(), 0, "{:?}", mischief.done);
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs four seeds (or `ARBITER_TEST_SEEDS`) from `first` (or `ARBITER_TEST_SEED`) on.
fn run_seeds(first: u64) {
    let (given, count) = (number("ARBITER_TEST_SEED"), number("ARBITER_TEST_SEEDS"));
    let first = given.unwrap_or(first);
    for seed in first..first + count.unwrap_or(if given.is_some() { 1 } else { 4 }) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed} failed, see above");
    }
}

#[test]
fn mischief_of_any_kind_leaves_everything_as_asked_for() {
    run_seeds(1);
}

#[test]
fn more_mischief_leaves_everything_as_asked_for() {
    run_seeds(1000);
}
