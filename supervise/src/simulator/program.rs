//! How a simulated program behaves, and how likely each behaviour is.

use crate::ExitStatus;
use fastrand::Rng;
use std::time::Duration;

/// What one simulated process will do. Times count from its start unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// No process comes into being.
    pub spawn_fails: bool,
    /// The process never becomes the program and exits at once.
    pub exec_fails: bool,
    /// When it says that it is ready, if ever.
    pub ready_after: Option<Duration>,
    /// When and how it ends by itself, if ever.
    pub ends_after: Option<(Duration, ExitStatus)>,
    /// How long after a signal it leaves, and with which code; `None` ignores signals.
    pub leaves_after: Option<(Duration, i32)>,
    /// How many others of its group it starts.
    pub others: u8,
    /// How long after a signal each of the others leaves; `None`: they ignore signals.
    pub others_leave_after: Option<Duration>,
    /// When it falls into a sleep that not even SIGKILL ends.
    pub sleep: Option<Sleep>,
}

/// An uninterruptible sleep: a death that falls into it happens at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// When it begins, after the start.
    pub begins: Duration,
    /// How long it lasts; `None` is for ever.
    pub lasts: Option<Duration>,
}

impl Program {
    /// A program that is ready at once, runs for ever and leaves when it is asked.
    #[must_use]
    pub fn obedient() -> Self {
        Self {
            spawn_fails: false,
            exec_fails: false,
            ready_after: Some(Duration::ZERO),
            ends_after: None,
            leaves_after: Some((Duration::ZERO, 0)),
            others: 0,
            others_leave_after: Some(Duration::ZERO),
            sleep: None,
        }
    }

    /// A program drawn from `odds`.
    #[must_use]
    pub fn random(rng: &mut Rng, odds: &Odds) -> Self {
        let code = |rng: &mut Rng| if rng.bool() { 0 } else { rng.i32(1..=255) };
        let ends = happens(rng, odds.ends).then(|| {
            let crash = ExitStatus::Signal { number: 11, core_dumped: rng.bool() };
            let status = if rng.u8(..4) == 0 { crash } else { ExitStatus::Code(code(rng)) };
            (some_time(rng), status)
        });
        Self {
            spawn_fails: happens(rng, odds.spawn_fails),
            exec_fails: happens(rng, odds.exec_fails),
            ready_after: (!happens(rng, odds.never_ready)).then(|| some_time(rng) / 8),
            ends_after: ends,
            leaves_after: (!happens(rng, odds.ignores_signals)).then(|| (some_time(rng), code(rng))),
            others: if happens(rng, odds.has_others) { rng.u8(1..=3) } else { 0 },
            others_leave_after: (!happens(rng, odds.ignores_signals)).then(|| some_time(rng)),
            sleep: happens(rng, odds.sleeps).then(|| Sleep {
                begins: some_time(rng),
                lasts: (!happens(rng, odds.never_wakes)).then(|| some_time(rng)),
            }),
        }
    }
}

/// How likely each behaviour is, from 0 (never) to 1 (always).
#[derive(Clone, Debug, PartialEq)]
pub struct Odds {
    /// No process comes into being.
    pub spawn_fails: f64,
    /// The process cannot become the program.
    pub exec_fails: f64,
    /// It never says that it is ready.
    pub never_ready: f64,
    /// It ends by itself.
    pub ends: f64,
    /// It, or what it starts, ignores signals.
    pub ignores_signals: f64,
    /// It has others in its group.
    pub has_others: f64,
    /// It falls into an uninterruptible sleep.
    pub sleeps: f64,
    /// It never comes out of that.
    pub never_wakes: f64,
    /// A message about a run comes a second time, later.
    pub duplicates: f64,
    /// The longest time between an event and the message that tells it.
    pub latency: Duration,
}

impl Odds {
    /// Everything works and nothing ends by itself.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            spawn_fails: 0.0,
            exec_fails: 0.0,
            never_ready: 0.0,
            ends: 0.0,
            ignores_signals: 0.0,
            has_others: 0.0,
            sleeps: 0.0,
            never_wakes: 0.0,
            duplicates: 0.0,
            latency: Duration::from_millis(5),
        }
    }

    /// Everything goes wrong now and then, more often than in any life.
    #[must_use]
    pub fn rough() -> Self {
        Self {
            spawn_fails: 0.05,
            exec_fails: 0.05,
            never_ready: 0.1,
            ends: 0.5,
            ignores_signals: 0.15,
            has_others: 0.2,
            sleeps: 0.05,
            never_wakes: 0.02,
            duplicates: 0.1,
            latency: Duration::from_millis(500),
        }
    }
}

/// Whether something of this likelihood happens this time.
pub(super) fn happens(rng: &mut Rng, likelihood: f64) -> bool {
    likelihood > 0.0 && rng.f64() < likelihood
}

/// A time from nothing to minutes, each order of magnitude as likely as the others.
fn some_time(rng: &mut Rng) -> Duration {
    let longest = 10_u64.pow(rng.u32(0..=8));
    Duration::from_micros(rng.u64(0..=longest))
}
