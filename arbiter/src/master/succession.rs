//! Two masters beside each other: the classic upgrade for those who want to look before they leap.
//!
//! The one in charge (the *predecessor*) starts another on the same listeners (the *successor*), which starts
//! workers of its own and leaves companions, control socket and pidfile alone. Whichever of the two is told to
//! stop ends the matter: with the predecessor gone the successor takes charge; with the successor gone
//! everything is as before. In between the predecessor's workers can be withdrawn and brought back.

use super::operation::Kind;
use super::{Line, Master, MasterAction};
use supervise::{Monotonic, RunId};

/// The other master, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// There is none: this one is in charge.
    Nobody,
    /// This one was started by the other, which is in charge for as long as it lives.
    Predecessor,
    /// The other was started by this one.
    Successor(RunId),
}

impl Master {
    /// A master that was started beside another one, with a configuration in force and nothing running.
    #[must_use]
    pub fn beside_predecessor(spec: proto::spec::MasterSpec) -> Self {
        Self { beside: Beside::Predecessor, ..Self::new(spec) }
    }

    /// Whether companions, control socket and pidfile are this one's to look after.
    #[must_use]
    pub fn is_in_charge(&self) -> bool {
        self.beside != Beside::Predecessor
    }

    /// Another master is wanted beside this one.
    pub(super) fn succeed(&mut self) {
        let refusal = match self.beside {
            Beside::Predecessor => Some("the arbiter before this one has not left yet"),
            Beside::Successor(_) => Some("there is another arbiter beside this one already"),
            Beside::Nobody if self.is_stopping() => Some("arbiter is stopping"),
            Beside::Nobody if self.operation.is_some() || !self.waiting.is_empty() => {
                Some("a reload or restart is under way")
            }
            Beside::Nobody => None,
        };
        if let Some(reason) = refusal {
            return self.log(Line::Warn(format!("no other arbiter is started: {reason}")));
        }
        let run = self.ids.allot();
        self.beside = Beside::Successor(run);
        self.actions.push(MasterAction::StartSuccessor { run });
    }

    /// The other master has ended, or could not be started: everything is this one's again.
    pub(super) fn successor_gone(&mut self, now: Monotonic, run: RunId) {
        if self.beside == Beside::Successor(run) {
            self.beside = Beside::Nobody;
            self.bring_back(now);
        }
    }

    /// arbiter stops: another master that has not been started yet is not wanted any more.
    pub(super) fn abandon_successor(&mut self) {
        if let Beside::Successor(run) = self.beside {
            self.actions.push(MasterAction::AbandonSuccessor { run });
        }
    }

    /// The predecessor has gone, and what it ran with it. A master that ends itself has nothing to begin then.
    pub(super) fn take_charge(&mut self) {
        if self.beside == Beside::Predecessor && !self.is_stopping() {
            self.beside = Beside::Nobody;
            self.log(Line::Info("the arbiter before has left: this one is in charge".into()));
        }
    }

    /// The workers are to leave, and nothing else.
    pub(super) fn withdraw(&mut self, now: Monotonic) {
        if self.is_stopping() {
            return;
        }
        self.log(Line::Info(
            "withdrawing the workers: a reload, or one worker more, brings them back".into(),
        ));
        self.pool.withdraw(now, &mut self.ids);
        self.fail_replacement(now, "the workers are withdrawn");
    }

    /// Starts the workers again if they were withdrawn. Returns whether they were.
    pub(super) fn bring_back(&mut self, now: Monotonic) -> bool {
        let were_withdrawn = !self.is_stopping() && self.pool.bring_back(now, &mut self.ids);
        if were_withdrawn {
            self.log(Line::Info("bringing the workers back".into()));
        }
        were_withdrawn
    }

    /// Whether an operation of this kind can begin: without companions of one's own a configuration
    /// cannot be applied.
    pub(super) fn may_begin(&self, kind: Kind) -> bool {
        self.is_in_charge() || matches!(kind, Kind::RestartWorkers | Kind::RestartWorker(_))
    }
}
