//! What each signal to arbiter means.

use super::Shell;
use crate::master::Event;
use proto::link::Pace;
use supervise::Monotonic;
use supervise::signal::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// The ones that mean anything.
pub(super) const HANDLED: [i32; 10] =
    [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGTTIN, SIGTTOU, SIGWINCH];

impl Shell {
    /// Acts upon every one that was delivered.
    pub(super) fn handle_signals(&mut self, now: Monotonic) {
        for (signal, count) in self.signals.take() {
            for _ in 0..count {
                match signal {
                    SIGTERM | SIGINT | SIGQUIT if self.ending.is_some() => self.hooks.give_up(),
                    SIGTERM => self.master.handle(now, Event::Stop(Pace::Graceful)),
                    SIGINT | SIGQUIT => self.master.handle(now, Event::Stop(Pace::Quick)),
                    SIGHUP => self.master.handle(now, Event::Reload),
                    SIGUSR1 => self.master.handle(now, Event::ReopenLogs),
                    SIGTTIN => self.master.handle(now, Event::ScaleWorkers(1)),
                    SIGTTOU => self.master.handle(now, Event::ScaleWorkers(-1)),
                    SIGUSR2 => self.want_successor(now),
                    SIGWINCH => self.withdraw(now),
                    _ => {}
                }
            }
            self.child_signal |= signal == SIGCHLD;
        }
    }
}
