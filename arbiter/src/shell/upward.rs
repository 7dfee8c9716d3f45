//! What arbiter tells its own service manager, by the protocol of sd_notify(3).

use crate::upgrade::SavedUpward;
use proto::control::{ArbiterState, WorkersStatus};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::time::Duration;
use supervise::{Monotonic, State};
use sys::launch::Environment;

/// How much more time is asked for at once in a stop, and how often: in time for the shortest limit that
/// makes sense.
const MORE_TIME: Duration = Duration::from_secs(20);
const MORE_TIME_EVERY: Duration = Duration::from_secs(5);

/// How often what found no room is said again.
const AGAIN: Duration = Duration::from_millis(100);
/// How many messages that found no room are kept.
const MOST_OWED: usize = 100;
/// How long the last words may wait for room, in tries of [`AGAIN`]: nothing else is left to do then.
const LAST_TRIES: u32 = 20;

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
    /// What found no room, in order: it may be busy with others.
    owed: VecDeque<String>,
    again_at: Option<Monotonic>,
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
        Self {
            address,
            state: ArbiterState::Starting,
            status: String::new(),
            watchdog,
            more_time_at: None,
            owed: VecDeque::new(),
            again_at: None,
        }
    }

    /// What was told, for the program that follows.
    pub(super) fn save(&self) -> SavedUpward {
        SavedUpward {
            watchdog_at: self.watchdog.map(|(_, at)| at),
            status: self.status.clone(),
            owed: self.owed.iter().cloned().collect(),
        }
    }

    /// Goes on as the program before, which ran.
    pub(super) fn restore(&mut self, saved: SavedUpward) {
        self.state = ArbiterState::Running;
        self.status = saved.status;
        self.owed = saved.owed.into();
        if let Some(((_, at), saved)) = self.watchdog.as_mut().zip(saved.watchdog_at) {
            *at = saved;
        }
    }

    /// Whether anybody wants to know.
    pub(super) fn is_wanted(&self) -> bool {
        self.address.is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.watchdog.map(|(_, at)| at).into_iter().chain(self.more_time_at).chain(self.again_at).min()
    }

    /// Says what has changed: to be called at the end of each turn, which proves that the loop turns. The end
    /// of a master that another one follows is not the end of the service.
    pub(super) fn tell(
        &mut self,
        now: Monotonic,
        state: ArbiterState,
        workers: &WorkersStatus,
        is_followed: bool,
    ) {
        let mut lines = Vec::new();
        // A program that is replaced in place is nothing for those above.
        let goes_on = is_followed || state == ArbiterState::Upgrading;
        let shown = if goes_on { ArbiterState::Running } else { state };
        let before = std::mem::replace(&mut self.state, shown);
        match shown {
            ArbiterState::Running if before != shown => lines.push("READY=1".to_owned()),
            ArbiterState::Reloading if before != shown => {
                lines.push("RELOADING=1".to_owned());
                // Read anew: what does not come after the manager's request is not taken for its answer.
                lines.push(format!("MONOTONIC_USEC={}", super::now().since_boot().as_micros()));
            }
            ArbiterState::Stopping if before != shown => {
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
        if let Some((interval, at)) = self.watchdog.as_mut().filter(|(_, at)| *at <= now) {
            *at = now + *interval;
            lines.push("WATCHDOG=1".to_owned());
        }
        if self.more_time_at.is_some_and(|at| at <= now) {
            self.more_time_at = Some(now + MORE_TIME_EVERY);
            lines.push(format!("EXTEND_TIMEOUT_USEC={}", MORE_TIME.as_micros()));
        }
        if !lines.is_empty() {
            self.owe(lines.join("\n"));
        }
        if self.again_at.is_none_or(|at| at <= now) {
            let is_done = self.say_owed();
            self.again_at = (!is_done).then_some(now + AGAIN);
        }
    }

    /// The last words: another process is the service's main one from here on.
    pub(super) fn tell_successor(&mut self, pid: i32) {
        self.owe(format!("MAINPID={pid}"));
        for _ in 0..LAST_TRIES {
            if self.say_owed() {
                return;
            }
            std::thread::sleep(AGAIN);
        }
        tracing::warn!("cannot tell the service manager above that pid {pid} follows: it does not listen");
    }

    /// This process is the service's main one from here on, and nobody has said so.
    pub(super) fn tell_own(&mut self) {
        self.owe(format!("MAINPID={}", sys::process::pid()));
    }

    /// To be said after everything else. Of what only counts as the newest, one is enough.
    fn owe(&mut self, text: String) {
        let is_passing = |text: &String| {
            let passing = ["STATUS=", "WATCHDOG=", "EXTEND_TIMEOUT_USEC="];
            text.lines().all(|line| passing.iter().any(|key| line.starts_with(key)))
        };
        let merges = is_passing(&text) && self.owed.back().is_some_and(is_passing);
        if let Some(before) = merges.then(|| self.owed.pop_back()).flatten() {
            let key = |line: &str| line.split_once('=').map(|(key, _)| key.to_owned());
            let kept = before.lines().filter(|line| !text.lines().any(|newer| key(newer) == key(line)));
            let text = kept.chain(text.lines()).collect::<Vec<_>>().join("\n");
            return self.owed.push_back(text);
        }
        if self.owed.len() >= MOST_OWED {
            self.owed.pop_front();
        }
        self.owed.push_back(text);
    }

    /// Says what has not been said yet; whether there was room for all of it.
    fn say_owed(&mut self) -> bool {
        while let (Some(address), Some(text)) = (&self.address, self.owed.front()) {
            match sys::notify::send_upward(address, text) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(error) => tracing::warn!("cannot tell the service manager above: {error}"),
                Ok(()) => {}
            }
            self.owed.pop_front();
        }
        self.owed.clear();
        true
    }
}

/// One line about everything.
fn summary(state: ArbiterState, workers: &WorkersStatus) -> String {
    let ready = workers.processes.iter().filter(|worker| worker.process.state == State::Running).count();
    format!("{state}, {ready} of {} workers ready", workers.target)
}
