//! One generation's settings and the policies made from them.

use proto::link::Pace;
use proto::spec::{Ready, WorkersSpec};
use std::time::Duration;
use supervise::{Ladder, Policy, Readiness, Restart};

/// The first wait of a worker that died before it was ready.
const BACKOFF: Duration = Duration::from_millis(100);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// The longest a quick stop waits before SIGKILL.
pub(crate) const QUICK_STOP: Duration = Duration::from_secs(5);

/// What the workers of one generation share.
#[derive(Debug)]
pub struct Settings {
    /// As configured.
    pub spec: WorkersSpec,
    /// The rules of a worker in its slot.
    pub policy: Policy,
    /// The rules of one that gets a single chance: a successor, or one that leaves.
    pub once: Policy,
    /// Whether there are listeners to inherit.
    pub has_listeners: bool,
    /// Whether a starting one is watched for waiting on its listeners.
    pub watch_listeners: bool,
}

impl Settings {
    /// The settings of `spec` where the workers get listeners, or do not.
    #[must_use]
    pub fn new(spec: WorkersSpec, has_listeners: bool) -> Self {
        let policy = Policy {
            restart: Restart::Always,
            success_codes: vec![0],
            delay: BACKOFF,
            delay_max: BACKOFF_MAX,
            flapping: None,
            healthy_after: Duration::ZERO,
            readiness: readiness(&spec, has_listeners),
            start_timeout: spec.start_timeout,
            stop: Ladder { signal: spec.stop.signal, timeout: spec.stop.timeout, group: spec.stop.group },
            abort: Ladder { signal: spec.abort_signal, timeout: spec.abort_timeout, group: false },
        };
        let once = Policy { restart: Restart::Never, ..policy.clone() };
        let watch_listeners = has_listeners && matches!(spec.ready, Ready::Auto | Ready::Listening);
        Self { spec, policy, once, has_listeners, watch_listeners }
    }

    /// How a worker is asked to leave at this pace.
    #[must_use]
    pub fn ladder(&self, pace: Pace) -> Ladder {
        match pace {
            Pace::Graceful => self.policy.stop,
            Pace::Quick => {
                Ladder { signal: self.spec.quick_stop_signal, ..self.policy.stop }.within(QUICK_STOP)
            }
            Pace::Force => Ladder::FORCE,
        }
    }
}

fn readiness(spec: &WorkersSpec, has_listeners: bool) -> Readiness {
    match &spec.ready {
        Ready::Auto if has_listeners => Readiness::ToldOrTimeout,
        Ready::Auto => Readiness::ToldOrAlive(spec.start_seconds),
        Ready::Started => Readiness::Alive(spec.start_seconds),
        Ready::Notify | Ready::Listening | Ready::Exit | Ready::Probe { .. } => Readiness::Told,
    }
}
