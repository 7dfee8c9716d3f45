//! What people and configurations do, at random.

use fastrand::Rng;
use std::time::Duration;
use supervise::{Flapping, Ladder, Policy, Readiness, Restart};

/// Something asked of one unit, or changed around it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Start,
    Stop,
    QuickStop,
    ForcedStop,
    Restart,
    Fail,
    /// The process asks for more time.
    MoreTime,
    /// The process leaves by itself.
    Leaves,
    ToggleGate,
    ToggleStorm,
    ChangePolicy,
    /// The driver is replaced and the next one goes on from the unit's record.
    HandOver,
}

impl Command {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        match rng.u8(..24) {
            0..5 => Self::Start,
            5..8 => Self::Stop,
            8 => Self::QuickStop,
            9 => Self::ForcedStop,
            10..13 => Self::Restart,
            13..15 => Self::Fail,
            15..18 => Self::ToggleGate,
            18 if rng.bool() => Self::ToggleStorm,
            18 => Self::HandOver,
            19..22 => Self::MoreTime,
            22 => Self::Leaves,
            _ => Self::ChangePolicy,
        }
    }
}

pub(crate) fn random_policy(rng: &mut Rng) -> Policy {
    let alive = short_time(rng);
    let readiness = match rng.u8(..5) {
        0 => Readiness::Told,
        1 => Readiness::Alive(alive),
        2 => Readiness::ToldOrAlive(alive),
        3 => Readiness::ToldOrTimeout,
        _ => Readiness::Success,
    };
    let restart = match rng.u8(..6) {
        0 => Restart::Never,
        1 | 2 => Restart::OnFailure,
        _ => Restart::Always,
    };
    Policy {
        restart,
        success_codes: if rng.bool() { vec![0] } else { vec![0, 3, 7] },
        delay: Duration::from_millis(rng.u64(100..2000)),
        delay_max: Duration::from_secs(rng.u64(0..60)),
        flapping: (rng.u8(..3) == 0).then(|| Flapping {
            attempts: rng.u32(1..6),
            window: Duration::from_secs(rng.u64(1..120)),
            retry_in: Duration::from_secs(rng.u64(0..60)),
            max_retry: rng.i32(-1..4),
        }),
        healthy_after: short_time(rng),
        readiness,
        start_timeout: short_time(rng) * 4,
        stop: random_ladder(rng),
        abort: random_ladder(rng),
    }
}

fn random_ladder(rng: &mut Rng) -> Ladder {
    let timeout = if rng.u8(..8) == 0 { Duration::ZERO } else { short_time(rng) * 4 };
    Ladder { signal: rng.i32(1..9), timeout, group: rng.bool() }
}

fn short_time(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(0..5000))
}
