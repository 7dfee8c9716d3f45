//! Everything at once: deaths, stops, reloads, upgrades and orders of every kind from several clients, under load.
//! Afterwards exactly what was asked for runs, once, and nothing was lost that did not have to be.
//!
//! `CHAOS_SECONDS=n` says for how long (15 unless given); `CHAOS_SEED=n` rolls the dice of another run again, which
//! prints it. What is rolled is the same then, what it meets is not.

#[path = "chaos/companions.rs"]
mod companions;
#[path = "chaos/guests.rs"]
mod guests;
#[path = "chaos/hunter.rs"]
mod hunter;
#[path = "chaos/master.rs"]
mod master;
#[path = "chaos/stage.rs"]
mod stage;
#[path = "chaos/verdict.rs"]
mod verdict;

use stage::Stage;
use std::time::{Duration, SystemTime};
use tests::traffic::{Plan, Traffic};
use tests::{Dice, Site, installed};

const SECONDS: u64 = 15;
/// Longer than anything that is not lost may take on a busy machine.
const LATE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    u64::from(now.subsec_nanos()) + now.as_secs() % 1000
}

#[test]
fn whatever_happens_at_once_ends_with_exactly_what_was_asked_for() {
    let seconds = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(SECONDS));
    let seed = number("CHAOS_SEED").unwrap_or_else(any_seed);
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={}", seconds.as_secs());
    let site = Site::new("");
    installed::install(&site);
    let arbiter = stage::launch(&site);
    let plan = Plan {
        address: arbiter.status().address("http").parse().expect("an address"),
        closing: 6,
        keeping: 0,
        pause: PAUSE,
        limit: LATE,
    };
    let before = verdict::at_rest(&arbiter);
    let traffic = Traffic::start(plan);
    let stage = Stage::new(&site, arbiter.pid(), seconds);
    let dice = |number: u64| Dice::new(seed.wrapping_add(number.wrapping_mul(7919)));
    let (asked, sent, told) = std::thread::scope(|scope| {
        let actors =
            [scope.spawn(|| hunter::hunt(&stage, dice(1))), scope.spawn(|| master::order(&stage, dice(2)))];
        let keeper = scope.spawn(|| companions::order(&stage, dice(3)));
        let guest = scope.spawn(|| guests::come_and_go(&stage, dice(4)));
        let asker = scope.spawn(|| guests::ask(&stage, dice(5)));
        let talker = scope.spawn(|| guests::talk(&stage, dice(6)));
        let reader = scope.spawn(|| guests::read_events(&stage));
        actors.into_iter().for_each(|actor| actor.join().expect("an actor does not panic"));
        asker.join().expect("an actor does not panic");
        let mut asked = keeper.join().expect("an actor does not panic");
        guest.join().expect("an actor does not panic").hand_over(&mut asked);
        let sent = talker.join().expect("an actor does not panic");
        (asked, sent, reader.join().expect("an actor does not panic"))
    });
    stage.report();
    verdict::of_the_end(&stage, &arbiter, &asked);
    verdict::of_talk(&arbiter, &sent);
    verdict::of_requests(&stage, &traffic.finish());
    verdict::of_rest(&site, &arbiter, &before);
    let code = arbiter.stop();
    assert!(matches!(code, 0 | 5), "arbiter ended with {code}\n{}", site.tail());
    verdict::of_events(&told);
    verdict::of_processes(&site, &asked);
    verdict::of_lines(&site);
    stage.assert_answered();
}
