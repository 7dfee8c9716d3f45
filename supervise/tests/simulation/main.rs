//! Sets of units under a simulated kernel, with everything going wrong at random: after every step the
//! invariants hold. A failure names its seed; `SIMULATION_SEED` plays that one again and tells every
//! step, `SIMULATION_STEPS` says how many steps to make in total.

mod invariants;
mod mischief;
mod operator;
mod seen;
mod world;

use mischief::Mischief;
use supervise::simulator;
use world::World;

const STEPS: u64 = 1_000_000;
const STEPS_PER_SEED: u64 = 2_000;
/// Enough for each kind of mischief to show: most do within the first few seeds.
const SEEDS_FOR_MISCHIEF: u64 = 200;

#[test]
fn the_invariants_hold_whatever_happens() {
    let mut seen = seen::Seen::default();
    let is_whole = simulator::play(STEPS, STEPS_PER_SEED, |game| {
        let mut world = World::new(game.seed, None);
        if game.is_told {
            world = world.telling();
        }
        world.live(game.steps).map_err(|broken| format!("step {}: {broken}", world.steps()))?;
        seen.add(world.seen());
        Ok(world.steps())
    });
    println!("{seen:?}");
    if is_whole {
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
