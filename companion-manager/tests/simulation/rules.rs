//! What has to hold in every game.

use crate::choices::STOP_MAX;
use crate::game::Game;
use companion_manager::table::Asker;
use proto::control::Verb;
use proto::link::Pace;
use std::time::Duration;
use supervise::Monotonic;
use supervise::simulator::check_unit;

/// How long something may take to be given up after SIGKILL, late messages included.
const GIVEN_UP: Duration = Duration::from_secs(12);
/// How long a quick stop waits for each level.
const QUICK: Duration = Duration::from_secs(5);
/// A process may put off its end to so many times its timeout.
const EXTENDED: u32 = 3;
/// As many companions may come one after the other.
const LEVELS: u32 = 5;

/// A request that is to be answered once.
pub(crate) struct Owed {
    pub(crate) asker: Asker,
    pub(crate) verb: Verb,
    pub(crate) at: Monotonic,
    /// How long the machine had slept by then.
    pub(crate) slept: Duration,
}

/// A stop of everything.
pub(crate) struct Ending {
    pub(crate) required_too: bool,
    pub(crate) is_orphaned: bool,
    pace: Pace,
    at: Monotonic,
    slept: Duration,
    /// How much arbiter had been told by then.
    pub(crate) told: usize,
}

impl Ending {
    pub(crate) fn begin(game: &Game, required_too: bool, pace: Pace) -> Self {
        let world = &game.world;
        let (at, told) = (world.kernel.now(), world.told.len());
        Self { required_too, is_orphaned: false, pace, at, slept: game.slept, told }
    }

    fn bound(&self) -> Duration {
        match self.pace {
            _ if self.is_orphaned => QUICK + GIVEN_UP,
            Pace::Graceful => LEVELS * (STOP_MAX * EXTENDED + GIVEN_UP),
            Pace::Quick => LEVELS * (QUICK + GIVEN_UP),
            Pace::Force => GIVEN_UP,
        }
    }
}

/// How long ago that was, for a machine that was awake.
fn awake_since(game: &Game, at: Monotonic, slept: Duration) -> Duration {
    game.world.kernel.now().since(at).saturating_sub(game.slept - slept)
}

/// `spawned`: how many processes had been started before the step.
pub(crate) fn check_step(game: &mut Game, spawned: usize) {
    game.world.kernel.check().expect("nobody does what nobody may do");
    let (now, rested) = (game.world.kernel.now(), game.world.is_rested);
    for (_, companion) in game.world.table.companions() {
        for (number, slot) in &companion.slots {
            if let Err(violation) = check_unit(&slot.unit, now, false, rested) {
                panic!("{}: {violation}", companion.label(*number));
            }
        }
    }
    if rested {
        let deadline = game.world.table.next_deadline();
        assert!(deadline.is_none_or(|deadline| deadline >= now), "nothing becomes of a deadline");
    }
    game.world.table.view(&[], now, Duration::ZERO).expect("it can be shown at any moment");
    check_answers(game);
    if let Some(ending) = &game.ending {
        let required = |name: &String| !ending.required_too && game.world.spec.required.contains(name);
        for (name, slot) in &game.world.spawned[spawned..] {
            assert!(required(name), "{name}:{slot} was started in the stop of everything");
        }
        let taken = awake_since(game, ending.at, ending.slept);
        assert!(taken <= ending.bound(), "the stop of everything has no end");
    }
}

/// Each request is answered once at most, and a stop in time.
fn check_answers(game: &mut Game) {
    let bound = LEVELS * (STOP_MAX * EXTENDED + GIVEN_UP);
    let (world, slept, now) = (&game.world, game.slept, game.world.kernel.now());
    for owed in game.owed.iter().filter(|owed| matches!(owed.verb, Verb::Stop { .. })) {
        let taken = now.since(owed.at).saturating_sub(slept - owed.slept);
        assert!(taken <= bound || world.reply(owed.asker).is_some(), "{:?} is not answered", owed.verb);
    }
    game.owed.retain(|owed| match world.answers(owed.asker) {
        0 => true,
        1 => false,
        many => panic!("{:?} was answered {many} times", owed.verb),
    });
}

/// Everything has been stopped: nothing is left but what sleeps in the kernel, and nobody waits.
pub(crate) fn check_end(game: &mut Game) {
    let world = &game.world;
    for (run, sight) in world.kernel.runs() {
        assert!(sight.living() == 0 || world.kernel.is_asleep(run), "run {run} is left");
    }
    assert!(world.table.is_empty());
    for owed in &game.owed {
        assert!(world.reply(owed.asker).is_some(), "{:?} was never answered", owed.verb);
    }
    for asker in world.asked() {
        let many = world.answers(asker);
        assert!(many <= 1, "request {} was answered {many} times", asker.id);
    }
    assert!(world.is_prepared_told(), "a reload was never answered");
}
