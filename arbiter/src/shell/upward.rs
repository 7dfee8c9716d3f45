//! What arbiter tells its own service manager, by the protocol of sd_notify(3).

use proto::control::{ArbiterState, WorkersStatus};
use std::ffi::{OsStr, OsString};
use std::time::Duration;
use supervise::{Monotonic, State};
use sys::launch::Environment;

/// How much more time is asked for at once in a stop, and how often: in time for the shortest limit that
/// makes sense.
const MORE_TIME: Duration = Duration::from_secs(20);
const MORE_TIME_EVERY: Duration = Duration::from_secs(5);

/// The line to the service manager above, if there is one.
#[derive(Debug)]
pub(super) struct Upward {
    address: Option<OsString>,
    state: ArbiterState,
    status: String,
    /// How often it wants a sign of life, and when the next one is due.
    watchdog: Option<(Duration, Monotonic)>,
    /// When more time for a stop is asked for again.
    more_time_at: Option<Monotonic>,
}

impl Upward {
    /// As the environment says.
    pub(super) fn new(environment: &Environment, now: Monotonic) -> Self {
        let address =
            environment.get(OsStr::new("NOTIFY_SOCKET")).filter(|address| !address.is_empty()).cloned();
        let number = |name: &str| environment.get(OsStr::new(name))?.to_str()?.parse::<u64>().ok();
        let meant = number("WATCHDOG_PID").is_none_or(|pid| i32::try_from(pid) == Ok(sys::process::pid()));
        // Half the interval leaves room for a machine that is slow once.
        let watchdog = number("WATCHDOG_USEC").filter(|&usec| usec > 0 && meant && address.is_some());
        let watchdog = watchdog.map(|usec| (Duration::from_micros(usec / 2), now));
        Self { address, state: ArbiterState::Starting, status: String::new(), watchdog, more_time_at: None }
    }

    /// Whether anybody wants to know.
    pub(super) fn is_wanted(&self) -> bool {
        self.address.is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.watchdog.map(|(_, at)| at).into_iter().chain(self.more_time_at).min()
    }

    /// Says what has changed: to be called at the end of each turn, which proves that the loop turns.
    pub(super) fn tell(&mut self, now: Monotonic, state: ArbiterState, workers: &WorkersStatus) {
        let mut lines = Vec::new();
        let before = std::mem::replace(&mut self.state, state);
        match state {
            ArbiterState::Running if before != state => lines.push("READY=1".to_owned()),
            ArbiterState::Reloading | ArbiterState::Upgrading if before != state => {
                lines.push("RELOADING=1".to_owned());
                lines.push(format!("MONOTONIC_USEC={}", now.since_boot().as_micros()));
            }
            ArbiterState::Stopping if before != state => {
                lines.push("STOPPING=1".to_owned());
                self.more_time_at = Some(now);
            }
            _ => {}
        }
        let status = summary(state, workers);
        if status != self.status {
            lines.push(format!("STATUS={status}"));
            self.status = status;
        }
        if let Some((interval, at)) = &mut self.watchdog
            && *at <= now
        {
            *at = now + *interval;
            lines.push("WATCHDOG=1".to_owned());
        }
        if self.more_time_at.is_some_and(|at| at <= now) {
            self.more_time_at = Some(now + MORE_TIME_EVERY);
            lines.push(format!("EXTEND_TIMEOUT_USEC={}", MORE_TIME.as_micros()));
        }
        if !lines.is_empty() {
            self.send(&lines.join("\n"));
        }
    }

    fn send(&self, text: &str) {
        let Some(address) = &self.address else { return };
        if let Err(error) = sys::notify::send_upward(address, text) {
            tracing::warn!("cannot tell the service manager above: {error}");
        }
    }
}

/// One line about everything.
fn summary(state: ArbiterState, workers: &WorkersStatus) -> String {
    let ready = workers.processes.iter().filter(|worker| worker.process.state == State::Running).count();
    format!("{state}, {ready} of {} workers ready", workers.target)
}
