//! arbiter's master and pool over a simulated kernel and a simulated manager, with everything going wrong
//! at random: after every step the invariants hold. A failure names its seed; `SIMULATION_SEED` plays that
//! one again and tells every step, `SIMULATION_STEPS` says how many steps to make in total.

mod act;
mod faults;
mod invariants;
mod manager;
mod matrix;
#[path = "../samples/mod.rs"]
mod samples;
mod upgrade;
mod world;

use supervise::simulator;
use world::World;

const STEPS: u64 = 500_000;
const STEPS_PER_SEED: u64 = 1_000;

#[test]
fn the_invariants_hold_whatever_happens() {
    let mut seen = world::Seen::default();
    let is_whole = simulator::play(STEPS, STEPS_PER_SEED, |game| {
        let mut world = World::new(game.seed);
        if game.is_told {
            world = world.telling();
        }
        world.live(game.steps).map_err(|broken| format!("step {}: {broken}", world.steps))?;
        seen.add(&world.seen);
        Ok(world.steps)
    });
    println!("{seen:?}");
    if is_whole {
        seen.assert_everything_was_seen();
    }
}

#[test]
fn the_same_seed_gives_the_same_life() {
    for seed in 0..10 {
        let live = || {
            let mut world = World::new(seed);
            world.live(500).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
            (world.steps, format!("{:?}", world.seen))
        };
        assert_eq!(live(), live(), "seed {seed}");
    }
}
