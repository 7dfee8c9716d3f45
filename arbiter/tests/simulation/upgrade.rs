//! arbiter's own program is replaced: everything goes through the bytes that the next program reads.

use crate::manager::some_time;
use crate::world::{Told, World};
use arbiter::master::Master;
use std::time::Duration;
use supervise::Monotonic;
use supervise::simulator::Violation;

/// How long arbiter's shell waits for hooks and launches before it leaves.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far a replacement has come.
#[derive(Debug, Default)]
pub(crate) struct Replacement {
    /// When the installed program has said whether it can take over.
    pub(crate) trial: Option<Monotonic>,
    /// Until when this program may leave, and from when on it can.
    pub(crate) leaving: Option<(Monotonic, Monotonic)>,
    /// Whether the next program goes back at once.
    pub(crate) is_sent_back: bool,
}

impl Replacement {
    pub(crate) fn next_event(&self) -> Option<Monotonic> {
        let leaving = self.leaving.into_iter().flat_map(|(until, from)| [until, from]);
        self.trial.into_iter().chain(leaving).min()
    }
}

impl World {
    pub(crate) fn try_upgrade(&mut self) {
        self.require(self.replacement.trial.is_none(), "two programs are tried at once");
        self.require(!self.is_stopping(), "a program is tried in a stop");
        let until = self.now() + some_time(&mut self.rng);
        self.replacement = Replacement { trial: Some(until), ..Replacement::default() };
    }

    pub(crate) fn abandon_upgrade(&mut self) {
        self.replacement = Replacement::default();
    }

    /// The program stays: another manager may begin.
    pub(crate) fn keep_program(&mut self) {
        self.replacement = Replacement::default();
        self.start_manager();
    }

    pub(crate) fn start_manager(&mut self) {
        let at = self.now() + some_time(&mut self.rng);
        self.manager.come(at);
    }

    /// The trial's answer, and leaving, when it is time for them.
    pub(crate) fn go_on_with_upgrade(&mut self) -> Result<(), Violation> {
        let now = self.now();
        if self.replacement.trial.take_if(|at| *at <= now).is_some() {
            let result = if self.fails(6) { Err("it is something else".into()) } else { Ok(()) };
            if result.is_ok() {
                let from = now + some_time(&mut self.rng);
                let is_sent_back = self.fails(4) || self.replacement_is_sent_back;
                self.replacement =
                    Replacement { leaving: Some((now + PATIENCE, from)), is_sent_back, trial: None };
            }
            self.step(Told::TriedUpgrade(result))?;
        }
        let Some((until, from)) = self.replacement.leaving else { return Ok(()) };
        let has_no_manager = !self.manager.is_up() && !self.manager_known;
        if self.master.is_to_be_replaced() && has_no_manager && from <= now {
            if self.fails(8) {
                return self.step(Told::NotReplaced);
            }
            return self.step(Told::Replaced);
        }
        if from <= now {
            // It looks again when something else has happened.
            self.replacement.leaving = Some((until, until));
        }
        if until <= now { self.step(Told::NotReplaced) } else { Ok(()) }
    }

    /// Another program, or this one again, takes up what this one leaves.
    pub(crate) fn replace_program(&mut self) {
        let Replacement { is_sent_back, .. } = std::mem::take(&mut self.replacement);
        self.seen.upgrades += u64::from(!is_sent_back);
        self.seen.sent_back += u64::from(is_sent_back);
        let members = self.members();
        let saved = self.master.save();
        let bytes = proto::codec::encode(&saved);
        let read = proto::codec::decode_bulk(&bytes).ok();
        self.require(read.as_ref() == Some(&saved), "the next program reads something else");
        let reason = is_sent_back.then_some("it panicked");
        let Some(mut master) = read.and_then(|saved| Master::restore(saved, reason, self.now())) else {
            return self.accuse("the next program cannot use the state");
        };
        master.seed(self.rng.u64(..));
        self.master = master;
        self.require(self.members() == members, "the next program knows other workers");
        let again = self.master.save();
        let twice = Master::restore(again.clone(), None, self.now()).map(|master| master.save());
        self.require(twice == Some(again), "a second replacement would lose something");
    }
}
