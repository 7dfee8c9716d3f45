//! Random operators, reloads and manager crashes in a world where everything goes wrong now and then.
//!
//! The table checks its own invariants after every input, the kernel that no slot ever holds two runs and
//! that nothing is signalled after it was reaped. A failure prints its seed: `SIMULATION_SEED=n` replays it,
//! `SIMULATION_STEPS` sets how much is played.

mod world;

use companion_manager::table::Input;
use fastrand::Rng;
use proto::control::{CompanionUntil, Reply, ScaleChange, ScaleTarget, SignalTarget, Verb};
use proto::link::{Pace, ToArbiter};
use proto::spec::{CompanionSpec, CompanionsSpec, Ready, RestartPolicy};
use std::collections::BTreeSet;
use std::time::Duration;
use supervise::simulator::{Kernel, Odds};
use world::{World, companion, names, specification};

const NAMES: [&str; 5] = ["a", "b", "c", "x.a", "x.b"];
/// Steps of one game.
const GAME: u64 = 2_000;

fn random_companion(rng: &mut Rng, index: usize) -> CompanionSpec {
    let mut spec = companion(NAMES[index]);
    spec.count = rng.u32(0..4);
    spec.autostart = rng.u8(..4) > 0;
    // Only earlier ones, so that there is no circle.
    spec.after = NAMES[..index].iter().filter(|_| rng.u8(..3) == 0).map(|&name| name.to_owned()).collect();
    spec.ready = match rng.u8(..4) {
        0 => Ready::Exit,
        1 => Ready::Started,
        2 => Ready::Auto,
        _ => Ready::Notify,
    };
    spec.restart = match rng.u8(..4) {
        0 => RestartPolicy::OnFailure,
        1 => RestartPolicy::Never,
        _ => RestartPolicy::Always,
    };
    spec.start_timeout = Duration::from_secs(rng.u64(2..20));
    spec.stop.timeout = Duration::from_secs(rng.u64(0..10));
    spec.stop.group = rng.bool();
    spec.process.command.push(rng.u8(..3).to_string());
    spec
}

fn random_spec(rng: &mut Rng) -> CompanionsSpec {
    let present: Vec<usize> = (0..NAMES.len()).filter(|_| rng.u8(..5) > 0).collect();
    let mut companions: Vec<_> = present.iter().map(|&index| random_companion(rng, index)).collect();
    let known: Vec<String> = companions.iter().map(|spec| spec.name.clone()).collect();
    for spec in &mut companions {
        spec.after.retain(|name| known.contains(name));
    }
    let mut spec = specification(companions);
    spec.required = known.into_iter().filter(|_| rng.u8(..4) == 0).collect();
    spec
}

fn random_name(rng: &mut Rng) -> String {
    match rng.u8(..8) {
        0 => "*".into(),
        1 => "x.*".into(),
        2 => format!("{}:{}", NAMES[rng.usize(..NAMES.len())], rng.u32(1..4)),
        _ => NAMES[rng.usize(..NAMES.len())].into(),
    }
}

fn random_verb(rng: &mut Rng) -> Verb {
    let list = vec![random_name(rng)];
    match rng.u8(..8) {
        0 | 1 => Verb::Start(list),
        2 | 3 => Verb::Stop { names: list, force: rng.u8(..4) == 0 },
        4 => Verb::Restart(list),
        5 => {
            let target = ScaleTarget::Companion(NAMES[rng.usize(..NAMES.len())].into());
            let change =
                if rng.bool() { ScaleChange::To(rng.u32(..4)) } else { ScaleChange::By(rng.i32(-2..3)) };
            Verb::Scale { target, change }
        }
        6 => {
            let signal = [15, 9, 1][rng.usize(..3)];
            Verb::Signal { target: SignalTarget::Companions(list), signal }
        }
        _ => {
            let until = if rng.bool() { CompanionUntil::Ready } else { CompanionUntil::Stopped };
            Verb::Wait { name: list[0].clone(), until }
        }
    }
}

struct Game {
    rng: Rng,
    world: World,
    /// Companions that were stopped by hand and that nobody has started since.
    stopped: BTreeSet<String>,
    /// The specification that is being prepared.
    candidate: Option<CompanionsSpec>,
    /// Requests that the manager has to answer some time.
    owed: Vec<companion_manager::table::Asker>,
}

impl Game {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let spec = random_spec(&mut rng);
        let mut world = World::with(spec, Kernel::new(seed ^ 0xabcd, Odds::rough()), true);
        world.perform(usize::MAX);
        Self { rng, world, stopped: BTreeSet::new(), candidate: None, owed: Vec::new() }
    }

    fn command(&mut self) {
        let verb = random_verb(&mut self.rng);
        if let Verb::Start(_) | Verb::Restart(_) = &verb {
            self.stopped.clear();
        }
        let wait = self.rng.bool();
        let asked = self.world.ask_and(verb.clone(), wait);
        self.owed.push(asked);
        let refused = matches!(self.world.reply(asked), Some(Reply::Failed(_)));
        if let (Verb::Stop { names, .. }, false) = (verb, refused) {
            self.stopped.extend(names.into_iter().filter(|name| NAMES.contains(&name.as_str())));
        }
    }

    fn reload(&mut self) {
        match self.candidate.take() {
            None => {
                let spec = random_spec(&mut self.rng);
                self.world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
                self.candidate = Some(spec);
            }
            Some(spec) if self.rng.bool() => {
                // A changed autostart, and a removal, say otherwise than the operator.
                self.stopped.clear();
                self.world.handle(Input::Commit);
                self.world.spec = spec;
            }
            Some(_) => {
                self.world.handle(Input::Abort);
                self.forget_removed();
            }
        }
    }

    /// What was only being prepared is forgotten, and with it that it was stopped by hand.
    fn forget_removed(&mut self) {
        let in_force = &self.world.spec.companions;
        self.stopped.retain(|name| in_force.iter().any(|spec| spec.name == *name));
    }

    fn crash(&mut self) {
        let now = self.world.kernel.now();
        if self.rng.bool() {
            // In the middle of a command.
            let verb = random_verb(&mut self.rng);
            if let Verb::Start(_) | Verb::Restart(_) = &verb {
                self.stopped.clear();
            }
            let request = proto::control::Request { id: 9, token: [9; 16], wait: true, verb };
            let asker = companion_manager::table::Asker { client: 9, id: 9, token: [9; 16] };
            self.world.table.handle(Input::Command { asker, request }, now);
        }
        let performed = self.rng.usize(..6);
        self.world.crash(performed);
        // arbiter repeats what it had asked for.
        self.forget_removed();
        if let Some(spec) = &self.candidate {
            self.world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
        }
    }

    fn step(&mut self) {
        let spawned = self.world.spawned.len();
        match self.rng.u8(..200) {
            0..=5 => self.command(),
            6 => self.reload(),
            7 | 8 => self.crash(),
            9 => {
                // The machine slept.
                let pause = Duration::from_secs(self.rng.u64(..100));
                let later = self.world.kernel.now() + pause;
                self.world.kernel.advance_to(later);
            }
            _ => {
                let until = self.world.kernel.now() + Duration::from_secs(2);
                self.world.step(until);
            }
        }
        for (name, _) in &self.world.spawned[spawned..] {
            assert!(!self.stopped.contains(name), "{name} was stopped by hand and is started");
        }
        self.world.kernel.check().expect("nobody does what nobody may do");
    }

    /// Everything is stopped, in order, and nothing is left but what sleeps in the kernel.
    fn finish(mut self) {
        let required_too = |told: &[ToArbiter]| {
            told.iter().any(|message| matches!(message, ToArbiter::Stopped { required_too: true, .. }))
        };
        self.world.take_told();
        self.world.handle(Input::Stop { required_too: false, pace: Pace::Graceful });
        self.world.seconds(40);
        if self.rng.bool() {
            self.world.crash(0);
        }
        let pace = if self.rng.bool() { Pace::Graceful } else { Pace::Quick };
        self.world.handle(Input::Stop { required_too: true, pace });
        // Each of five levels: ten seconds to leave, ten more until it is given up, and late messages.
        self.world.seconds(150);
        assert!(required_too(&self.world.told), "the stop has no end");
        for (run, sight) in self.world.kernel.runs() {
            assert!(sight.living() == 0 || self.world.kernel.is_asleep(run), "run {run} is left");
        }
        assert!(self.world.table.is_empty());
        for asked in self.owed {
            assert!(self.world.reply(asked).is_some(), "request {} was never answered", asked.id);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

struct Announce(u64);

#[expect(clippy::print_stderr, reason = "a failure tells how to replay it")]
impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with SIMULATION_SEED={}", self.0);
        }
    }
}

#[test]
fn in_any_interleaving_no_invariant_breaks_and_a_stop_leaves_nothing() {
    let games = number("SIMULATION_STEPS").unwrap_or(200_000) / GAME;
    let seeds: Vec<u64> = number("SIMULATION_SEED").map_or_else(|| (0..games).collect(), |seed| vec![seed]);
    for seed in seeds {
        let _announce = Announce(seed);
        let mut game = Game::new(seed);
        for _ in 0..GAME {
            game.step();
        }
        game.finish();
    }
}

#[test]
fn the_names_of_the_game_are_in_order() {
    assert!(names(&NAMES).is_sorted());
}
