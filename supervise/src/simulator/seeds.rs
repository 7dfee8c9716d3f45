//! One game after the other, each from its own seed, and one of them again.

/// A game that is to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Game {
    /// What it is drawn from.
    pub seed: u64,
    /// How many steps it has at most.
    pub steps: u64,
    /// Whether it is played again, to be looked at: each step is told then.
    pub is_told: bool,
}

/// Plays games of `each` steps with the seeds from 0 on until `total` steps are made; `play` answers how many it
/// has made. The environment has the last word: `SIMULATION_STEPS` is the total, and `SIMULATION_SEED` the one
/// game that is played and told instead. Answers whether at least `total` steps were made, so that whatever can
/// happen should have happened.
///
/// # Panics
/// A game is lost: the message names its seed. A variable is not a number.
#[expect(clippy::print_stdout, reason = "a simulation says how far it went")]
pub fn play(total: u64, each: u64, mut play: impl FnMut(Game) -> Result<u64, String>) -> bool {
    let mut made = 0;
    let mut play = |game: Game| match play(game) {
        Ok(steps) => steps.max(1),
        Err(lost) => panic!("{lost}\nplay it again with SIMULATION_SEED={}", game.seed),
    };
    let asked = number("SIMULATION_STEPS");
    if let Some(seed) = number("SIMULATION_SEED") {
        play(Game { seed, steps: asked.unwrap_or(each), is_told: true });
        return false;
    }
    let wanted = asked.unwrap_or(total);
    for seed in 0.. {
        if made >= wanted {
            break;
        }
        made += play(Game { seed, steps: each.min(wanted - made), is_told: false });
    }
    println!("{made} steps");
    wanted >= total
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}
