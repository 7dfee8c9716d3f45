//! Sets of units under a simulated kernel, with everything going wrong at random: after every step the
//! invariants hold. A failure names its seed; `SIMULATION_SEED` plays that one again and tells every
//! step, `SIMULATION_STEPS` says how many steps to make in total.

mod invariants;
mod mischief;
mod operator;
mod seen;
mod world;

use mischief::Mischief;
use world::World;

const STEPS: u64 = 1_000_000;
const STEPS_PER_SEED: u64 = 2_000;
/// Enough for each kind of mischief to show: most do within the first few seeds.
const SEEDS_FOR_MISCHIEF: u64 = 200;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn the_invariants_hold_whatever_happens() {
    if let Some(seed) = from_environment("SIMULATION_SEED") {
        let steps = from_environment("SIMULATION_STEPS").unwrap_or(STEPS_PER_SEED);
        World::new(seed, None).telling().live(steps).unwrap_or_else(|broken| panic!("{broken}"));
        return;
    }
    let total = from_environment("SIMULATION_STEPS").unwrap_or(STEPS);
    let mut made = 0;
    let mut seen = seen::Seen::default();
    for seed in 0.. {
        if made >= total {
            break;
        }
        let mut world = World::new(seed, None);
        if let Err(broken) = world.live(STEPS_PER_SEED.min(total - made)) {
            panic!("step {}: {broken}\nplay it again with SIMULATION_SEED={seed}", world.steps());
        }
        made += world.steps();
        seen.add(world.seen());
    }
    println!("{made} steps, {seen:?}");
    if total >= STEPS {
        seen.assert_everything_was_seen();
    }
}

#[test]
fn the_same_seed_gives_the_same_life() {
    for seed in 0..20 {
        let live = || {
            let mut world = World::new(seed, None);
            world.live(500).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
            format!("{world:?}")
        };
        assert_eq!(live(), live(), "seed {seed}");
    }
}

#[test]
fn every_invariant_is_broken_by_a_driver_that_errs() {
    for (mischief, expected) in Mischief::ALL {
        let mut others = Vec::new();
        let found = (0..SEEDS_FOR_MISCHIEF)
            .filter_map(|seed| World::new(seed, Some(mischief)).live(STEPS_PER_SEED).err())
            .map(|violation| violation.to_string())
            .inspect(|told| others.push(told.clone()))
            .any(|told| told.contains(expected));
        others.truncate(5);
        assert!(found, "{mischief:?} should be found out as {expected:?}, but that gave {others:#?}");
    }
}
