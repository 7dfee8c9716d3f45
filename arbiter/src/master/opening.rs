//! The beginning: nothing is started before the hook that may forbid it.

use super::{Line, Master, MasterAction, Phase};
use proto::link::Pace;
use proto::spec::{HookEvent, OnBootFailure};
use supervise::Monotonic;

/// The exit status when arbiter cannot start.
pub(crate) const EXIT_CANNOT_START: u8 = 1;

impl Master {
    /// Begins: with the hook `on_starting` where there is one.
    pub fn start(&mut self, now: Monotonic) {
        if self.spec.hooks.iter().any(|hook| hook.event == HookEvent::OnStarting) {
            self.phase = Phase::Opening;
            self.actions.push(MasterAction::Open);
        } else {
            self.begin(now);
        }
    }

    /// The hook `on_starting` is over.
    pub fn opened(&mut self, now: Monotonic, result: Result<(), String>) {
        if !matches!(self.phase, Phase::Opening) {
            return;
        }
        match result {
            Ok(()) => {
                self.phase = Phase::Starting;
                self.begin(now);
            }
            Err(reason) => {
                self.log(Line::Error(format!("{reason}: arbiter does not start")));
                self.end_unopened(now, EXIT_CANNOT_START);
            }
        }
    }

    /// The manager starts, and the workers as soon as what they require is ready.
    fn begin(&mut self, now: Monotonic) {
        if self.needs_manager() {
            self.actions.push(MasterAction::StartManager);
        }
        self.maybe_start_pool(now);
        self.settle(now);
    }

    /// A first worker could not become its program.
    pub(super) fn cannot_start(&mut self, now: Monotonic) {
        self.halt(now, EXIT_CANNOT_START, "the workers cannot be started: stopping".into());
    }

    /// A first worker says that it cannot work, by this code.
    pub(super) fn boot_failed(&mut self, now: Monotonic, code: u8, reason: &str) {
        self.halt(now, code, format!("{reason}: stopping, see the program's own output"));
    }

    fn halt(&mut self, now: Monotonic, code: u8, line: String) {
        let halts = self.spec.on_boot_failure == OnBootFailure::Halt;
        // A reload under way may be just what mends it; if not, the next attempt ends arbiter.
        if halts && !self.is_stopping() && !self.is_reloading() {
            self.log(Line::Error(line));
            self.begin_stop(now, Pace::Graceful, code);
        }
    }
}
