//! arbiter's master and pool over a simulated kernel and a simulated manager, with everything going wrong
//! at random: after every step the invariants hold. A failure names its seed; `SIMULATION_SEED` plays that
//! one again and tells every step, `SIMULATION_STEPS` says how many steps to make in total.

mod act;
mod invariants;
mod manager;
#[path = "../samples/mod.rs"]
mod samples;
mod world;

use world::World;

const STEPS: u64 = 500_000;
const STEPS_PER_SEED: u64 = 1_000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn the_invariants_hold_whatever_happens() {
    if let Some(seed) = from_environment("SIMULATION_SEED") {
        let steps = from_environment("SIMULATION_STEPS").unwrap_or(STEPS_PER_SEED);
        World::new(seed).telling().live(steps).unwrap_or_else(|broken| panic!("{broken}"));
        return;
    }
    let total = from_environment("SIMULATION_STEPS").unwrap_or(STEPS);
    let mut made = 0;
    let mut seen = world::Seen::default();
    for seed in 0.. {
        if made >= total {
            break;
        }
        let mut world = World::new(seed);
        if let Err(broken) = world.live(STEPS_PER_SEED) {
            panic!("step {}: {broken}\nplay it again with SIMULATION_SEED={seed}", world.steps);
        }
        made += world.steps;
        seen.add(&world.seen);
    }
    println!("{made} steps, {seen:?}");
    if total >= STEPS {
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
