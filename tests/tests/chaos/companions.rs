//! Orders about companions, and what has to come of them.

use crate::stage::Stage;
use std::collections::BTreeMap;
use tests::Dice;

/// Done, or failed for a reason that others have made: somebody was killed before it was ready.
const EITHER: [i32; 2] = [0, 1];

/// What was asked for in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Which companions should run, and how many processes of each.
    pub(crate) companions: BTreeMap<String, (bool, u64)>,
    /// How many extra processes.
    pub(crate) runs: usize,
}

impl Asked {
    fn set(&mut self, name: &str, is_up: bool) {
        self.entry(name).0 = is_up;
    }

    fn entry(&mut self, name: &str) -> &mut (bool, u64) {
        self.companions.get_mut(name).expect("it is configured")
    }
}

pub(crate) fn order(stage: &Stage<'_>, mut dice: Dice) -> Asked {
    let counts = [("redis", 1), ("rq", 3), ("batch.clock", 1), ("flood", 1), ("echo", 1)];
    let companions = counts.map(|(name, count)| (name.to_owned(), (true, count)));
    let mut asked = Asked { companions: companions.into(), runs: 0 };
    while stage.goes_on(&mut dice, 400) {
        let name = dice.pick(&["rq", "rq", "batch.clock", "flood"]);
        match dice.roll(12) {
            0 | 1 => stop(stage, &mut asked, &["stop", "companion", name], name),
            2 => stop(stage, &mut asked, &["stop", "companion", "--force", name], name),
            3..=5 => {
                stage.ask(&["start", "companion", name], &EITHER);
                asked.set(name, true);
            }
            6 | 10 => {
                // By name that starts what is stopped, too.
                stage.ask(&[dice.pick(&["restart", "reload"]), "companion", name], &EITHER);
                asked.set(name, true);
            }
            // What is stopped stays so.
            7 => drop(stage.ask(&["restart", "companion", "r*"], &EITHER)),
            8 => drop(stage.ask(&["restart", "companion", "redis"], &EITHER)),
            9 => scale(stage, &mut asked, &mut dice),
            _ => drop(stage.ask(&["signal", "companion", name, "HUP"], &EITHER)),
        }
    }
    asked
}

fn stop(stage: &Stage<'_>, asked: &mut Asked, words: &[&str], name: &str) {
    stage.ask(words, &[0]);
    asked.set(name, false);
}

fn scale(stage: &Stage<'_>, asked: &mut Asked, dice: &mut Dice) {
    let (word, target): (&str, fn(u64) -> u64) = dice.pick(&[
        ("2", |_| 2),
        ("5", |_| 5),
        ("+1", |target| target + 1),
        ("-1", |target| target.saturating_sub(1)),
        ("0", |_| 0),
    ]);
    let output = stage.ask_once(&["scale", "companion", "rq", word], &EITHER);
    let count = &mut asked.entry("rq").1;
    *count = if matches!(output.code, 0 | 1) {
        target(*count)
    } else {
        stage.status().map_or(*count, |status| status.companion("rq").target)
    };
}
