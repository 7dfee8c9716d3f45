//! Random operators, reloads, stops and manager crashes in a world where everything goes wrong now and then.
//!
//! The table checks its own invariants after every input, the kernel that no slot ever holds two runs and
//! that nothing is signalled after it was reaped; what else has to hold is in `rules`. A failure prints its
//! seed: `SIMULATION_SEED=n` replays it, `SIMULATION_STEPS` sets how much is played.

mod choices;
mod game;
mod rules;
#[path = "../world/mod.rs"]
mod world;

use choices::NAMES;
use game::Game;
use std::collections::HashSet;
use supervise::simulator;
use world::names;

/// Enough for everything to have met everything.
const STEPS: u64 = 200_000;
/// Steps of the longest game: many are short, so that a stop comes early too.
const GAME: u64 = 2_000;

struct Announce(u64);

#[expect(clippy::print_stderr, reason = "a failure tells how to replay it")]
impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("play it again with SIMULATION_SEED={}", self.0);
        }
    }
}

#[test]
fn in_any_interleaving_no_invariant_breaks_and_a_stop_leaves_nothing() {
    let mut seen = HashSet::new();
    let is_whole = simulator::play(STEPS, GAME, |game| {
        let _announce = Announce(game.seed);
        let (steps, of_game) = Game::new(game.seed).play(GAME, game.steps);
        seen.extend(of_game);
        Ok(steps)
    });
    if is_whole {
        for what in game::WHATS {
            for state in game::STATES {
                assert!(seen.contains(&(what, state)), "{what} never met a companion that was {state}");
            }
        }
    }
}

#[test]
fn the_names_of_the_game_are_in_order() {
    assert!(names(&NAMES).is_sorted());
}
