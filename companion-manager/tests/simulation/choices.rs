//! Random specifications and requests.

use crate::world::{self, companion, specification};
use fastrand::Rng;
use proto::control::{CompanionUntil, ScaleChange, ScaleTarget, SignalTarget, Verb};
use proto::spec::{Check, CompanionSpec, CompanionsSpec, Flapping, Health, Ready, Recycle, RestartPolicy};
use std::time::Duration;

/// In order.
pub(crate) const NAMES: [&str; 5] = ["a", "b", "c", "x.a", "x.b"];
/// The longest `stop_timeout`.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(10);

fn check() -> Check {
    Check::Tcp("127.0.0.1:80".into())
}

fn random_companion(rng: &mut Rng, index: usize) -> CompanionSpec {
    let mut spec = companion(NAMES[index]);
    spec.count = rng.u32(0..4);
    spec.loaded = rng.u8(..4) == 0;
    spec.listen = (rng.u8(..4) == 0).then(|| world::listener(NAMES[index]));
    spec.autostart = rng.u8(..4) > 0;
    // Only earlier ones, so that there is no circle.
    spec.after = NAMES[..index].iter().filter(|_| rng.u8(..3) == 0).map(|&name| name.to_owned()).collect();
    spec.ready = match rng.u8(..5) {
        0 => Ready::Exit,
        1 => Ready::Started,
        4 => {
            Ready::Probe { check: check(), interval: Duration::from_secs(1), timeout: Duration::from_secs(3) }
        }
        2 => Ready::Auto,
        _ => Ready::Notify,
    };
    spec.restart = match rng.u8(..4) {
        0 => RestartPolicy::OnFailure,
        1 => RestartPolicy::Never,
        _ => RestartPolicy::Always,
    };
    spec.health = (rng.u8(..3) == 0).then(|| Health {
        check: check(),
        interval: Duration::from_secs(rng.u64(1..20)),
        timeout: Duration::from_secs(rng.u64(1..5)),
        failures: rng.u32(1..4),
    });
    spec.recycle = Recycle {
        max_lifetime: Duration::from_secs(rng.u64(..3) * rng.u64(1..60)),
        max_lifetime_jitter: Duration::from_secs(rng.u64(..20)),
        memory_max: rng.u64(..3) * 1000,
    };
    spec.watchdog = Duration::from_secs(rng.u64(..3) * rng.u64(1..10));
    spec.critical = rng.u8(..4) == 0;
    spec.reload_signal = (rng.u8(..3) == 0).then_some(1);
    spec.flapping = (rng.u8(..2) == 0).then(|| Flapping {
        attempts: rng.u32(1..5),
        window: Duration::from_secs(rng.u64(1..90)),
        retry_in: Duration::from_secs(rng.u64(0..60)),
        max_retry: rng.i32(-1..3),
    });
    spec.start_timeout = Duration::from_secs(rng.u64(2..20));
    spec.stop.timeout = Duration::from_secs(rng.u64(0..=STOP_MAX.as_secs()));
    spec.stop.group = rng.bool();
    spec.process.command.push(rng.u8(..3).to_string());
    spec
}

pub(crate) fn random_spec(rng: &mut Rng) -> CompanionsSpec {
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
        2 => format!("{}:{}", NAMES[rng.usize(..NAMES.len())], rng.u32(0..4)),
        _ => NAMES[rng.usize(..NAMES.len())].into(),
    }
}

pub(crate) fn random_verb(rng: &mut Rng) -> Verb {
    let list = vec![random_name(rng)];
    match rng.u8(..10) {
        9 => world::run(NAMES[rng.usize(..NAMES.len())], &[]),
        0 | 1 => Verb::Start(list),
        2 | 3 => Verb::Stop { names: list, force: rng.u8(..4) == 0 },
        4 => Verb::Restart(list),
        8 => Verb::ReloadCompanion(list),
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
