//! The sockets in force, and those of a reload under way.
//!
//! A socket is opened once and kept as long as its address is configured: what waits in its queue is never
//! lost. A reload opens what is new beside what is there; only when the new workers have taken over are the
//! sockets closed that nobody listens on any more. Where an old and a new address overlap, both are open for
//! a while, and clients come to the old one until the new workers have taken over, to the new one from then
//! on. One that was passed is kept until arbiter stops, whichever
//! listener it serves. Those of companions are kept in the same way, but until arbiter has ended: who is asked by
//! the workers is needed as long as they are there.

use super::activation::assign;
use super::bind::{Beside, bind};
use super::slots::Sockets;
use crate::config::overlap;
use proto::control::ListenerStatus;
use proto::spec::{AddressSpec, ListenerSpec, MasterSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use sys::listener::{Listener, SocketFile};

/// What is open for an address, by a number that is never given twice.
pub(super) type Number = u64;

/// What serves one configured listener.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) spec: ListenerSpec,
    pub(super) sockets: Number,
    /// Whether it was passed: then address, queue and file are those of whoever opened it.
    pub(super) is_passed: bool,
    /// Whether it is the companion's of that name, instead of the workers'.
    pub(super) for_companion: bool,
}

impl Held {
    fn is_per_slot(&self) -> bool {
        self.spec.reuse_port && !self.is_passed
    }
}

/// The sockets in force, and those of a reload under way.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(super) open: BTreeMap<Number, Sockets>,
    opened: Number,
    /// By their names.
    pub(super) passed: Vec<(String, Number)>,
    pub(super) in_force: Vec<Held>,
    candidate: Option<Vec<Held>>,
    /// The slots in which a worker serves.
    serving: BTreeSet<u32>,
    /// The files of closed sockets that another master may still hold.
    pub(super) left: Vec<SocketFile>,
}

impl Listeners {
    /// None is open but those that were passed, whose names are all different.
    #[must_use]
    pub fn passed(passed: Vec<(String, Listener)>) -> Self {
        let mut listeners = Self::default();
        for (name, socket) in passed {
            let number = listeners.add(Sockets::new(socket, false));
            listeners.passed.push((name, number));
        }
        listeners
    }

    pub(super) fn add(&mut self, sockets: Sockets) -> Number {
        self.opened += 1;
        self.open.insert(self.opened, sockets);
        self.opened
    }

    /// Adds to what is configured a listener for each passed socket that would serve none, and a warning where
    /// a passed one cannot be what is asked of it.
    pub fn complete(&self, master: &mut MasterSpec) {
        let assignment = assign(&self.passed_names(), &names(&master.listeners));
        for (spec, _) in master.listeners.iter().zip(&assignment.served_by).filter(|(_, by)| by.is_some()) {
            if spec.reuse_port {
                master.warnings.push(format!(
                    "reuse_port of the listener {} has no effect: its socket was passed by systemd, and all workers share it; remove either",
                    spec.name
                ));
            }
        }
        for (name, place) in assignment.surplus {
            let sockets = &self.open[&self.passed[place].1];
            master.listeners.push(surplus_spec(name, sockets));
        }
    }

    /// Opens all that `spec`, which is complete ([`Listeners::complete`]), listens on.
    ///
    /// # Errors
    /// A sentence that names the address, what is wrong with it and what to do.
    pub fn open(&mut self, spec: &MasterSpec) -> Result<(), String> {
        self.bind_candidate(spec, false)?;
        self.keep_candidate();
        Ok(())
    }

    /// Opens what `spec`, which is complete, listens on and is not open yet, beside what is. With `held_back`, a new
    /// socket that would draw clients away from an old one gets none before it is kept: nobody is lost should
    /// it never be. That is not for workers whose readiness is found out by connecting to them.
    ///
    /// # Errors
    /// As [`Listeners::open`]; what is in force is as before.
    pub fn bind_candidate(&mut self, spec: &MasterSpec, held_back: bool) -> Result<(), String> {
        self.drop_candidate();
        let served_by = assign(&self.passed_names(), &names(&spec.listeners)).served_by;
        let of_workers = spec.listeners.iter().zip(served_by).map(|(spec, passed)| (spec, passed, false));
        let of_companions = spec.held.iter().map(|spec| (spec, None, true));
        self.candidate = Some(Vec::with_capacity(spec.listeners.len() + spec.held.len()));
        for (spec, passed, for_companion) in of_workers.chain(of_companions) {
            let passed = passed.map(|place| self.passed[place].1);
            let opened = match passed.or_else(|| self.kept_for(spec, for_companion)) {
                Some(number) if passed.is_some() => Ok(number),
                kept => self.check_overlap(spec, kept).and_then(|()| match kept {
                    Some(number) => Ok(number),
                    None => self.bind_beside(spec, held_back),
                }),
            };
            let sockets = opened.inspect_err(|_| self.drop_candidate())?;
            let held = Held { spec: spec.clone(), sockets, is_passed: passed.is_some(), for_companion };
            self.candidate.get_or_insert_default().push(held);
        }
        self.change_access().inspect_err(|_| self.drop_candidate())
    }

    /// Refuses what takes the address of another one of the candidate, as it is bound: what is loaded at run time
    /// was not read together with it.
    fn check_overlap(&self, spec: &ListenerSpec, kept: Option<Number>) -> Result<(), String> {
        let own = kept.map_or_else(|| spec.address.clone(), |number| self.open[&number].address());
        let is_taken = |other: &&Held| {
            let address = self.open[&other.sockets].address();
            !other.is_passed && overlap((&own, spec.v6only), (&address, other.spec.v6only))
        };
        match self.candidate.iter().flatten().find(is_taken) {
            Some(other) => Err(format!(
                "cannot listen on {} ({}): {} has that address; choose another address",
                spec.written, spec.name, other.spec.name
            )),
            None => Ok(()),
        }
    }

    /// What is open already and serves `spec` as well.
    fn kept_for(&self, spec: &ListenerSpec, for_companion: bool) -> Option<Number> {
        let own = self.in_force.iter().filter(|held| !held.is_passed);
        let serving = |held: &&Held| {
            let sockets = &self.open[&held.sockets];
            let has_same_name = (&held.spec.name, held.for_companion) == (&spec.name, for_companion);
            is_same_socket(&held.spec, spec, &sockets.address(), has_same_name)
                && sockets.first().is_in_place()
        };
        own.filter(serving).map(|held| held.sockets).next()
    }

    fn bind_beside(&mut self, spec: &ListenerSpec, held_back: bool) -> Result<Number, String> {
        let in_the_way: Vec<&Sockets> = self
            .in_force
            .iter()
            .filter(|held| !held.is_passed)
            .filter(|held| self.overlaps(held, (&spec.address, spec.v6only)))
            .map(|held| &self.open[&held.sockets])
            .collect();
        in_the_way.iter().for_each(|sockets| sockets.let_others_in(true));
        let beside =
            Beside { others: !in_the_way.is_empty(), held_back: !in_the_way.is_empty() && held_back };
        let socket = bind(spec, beside)?;
        Ok(self.add(Sockets::new(socket, beside.held_back)))
    }

    fn overlaps(&self, held: &Held, other: (&AddressSpec, bool)) -> bool {
        let address = self.open[&held.sockets].address();
        matches!(address, AddressSpec::Tcp(_)) && overlap((&address, held.spec.v6only), other)
    }

    /// Of the kept sockets with a file whose mode or owner are to be others: which, as they are, as they will be.
    fn changed_access(&self) -> Vec<(Number, &ListenerSpec, &ListenerSpec)> {
        let candidate = self.candidate.iter().flatten().filter(|held| !held.is_passed);
        let pairs = candidate.filter_map(|new| {
            let old = self.in_force.iter().find(|old| old.sockets == new.sockets)?;
            Some((new.sockets, &old.spec, &new.spec))
        });
        pairs.filter(|(_, old, new)| (old.mode, old.owner) != (new.mode, new.owner)).collect()
    }

    /// Gives the files of kept Unix sockets the mode and owner that the candidate says.
    fn change_access(&self) -> Result<(), String> {
        for (number, old, new) in self.changed_access() {
            self.give_access(number, old, new).map_err(|error| {
                format!("cannot change mode and owner of {} ({}): {error}", new.written, new.name)
            })?;
        }
        Ok(())
    }

    fn give_access(&self, number: Number, before: &ListenerSpec, spec: &ListenerSpec) -> std::io::Result<()> {
        // Where no owner is named any more, the file is arbiter's again, as if it had been made so.
        let own = before.owner.map(|_| (sys::process::effective_uid(), sys::process::effective_gid()));
        let (uid, gid) = spec.owner.map_or((None, None), |owner| (owner.uid, owner.gid));
        let owner = (uid.or(own.map(|(uid, _)| uid)), gid.or(own.map(|(_, gid)| gid)));
        self.open[&number].first().set_file_access(spec.mode, owner)
    }

    /// The candidate's sockets are in force; those that only the old configuration had are closed.
    pub fn keep_candidate(&mut self) {
        let Some(candidate) = self.candidate.take() else { return };
        let old = std::mem::replace(&mut self.in_force, candidate);
        self.make_way(&old);
        self.close_unheld();
        let serving = &self.serving;
        for held in self.in_force.iter().filter(|held| !held.is_passed) {
            let Some(sockets) = self.open.get_mut(&held.sockets) else { continue };
            sockets.hold_back(false);
            if held.is_per_slot() {
                sockets.direct(serving);
            } else {
                sockets.share_first();
                sockets.let_others_in(false);
            }
            // A new backlog takes effect on an open socket; one that it has already changes nothing.
            sockets.set_backlog(held.spec.backlog);
        }
    }

    /// The workers that leave have the old sockets still: where a new one was opened beside one of them, clients
    /// are to come to that.
    fn make_way(&mut self, old: &[Held]) {
        let is_in_the_way = |gone: &&Held| {
            let address = self.open[&gone.sockets].address();
            let other = (&address, gone.spec.v6only);
            !self.is_held(gone.sockets) && self.in_force.iter().any(|held| self.overlaps(held, other))
        };
        let numbers: Vec<Number> = old.iter().filter(is_in_the_way).map(|gone| gone.sockets).collect();
        for number in numbers {
            if let Some(sockets) = self.open.get_mut(&number) {
                sockets.hold_back(true);
            }
        }
    }

    /// The candidate's sockets are not wanted.
    pub fn drop_candidate(&mut self) {
        for (number, old, new) in self.changed_access() {
            if let Err(error) = self.give_access(number, new, old) {
                tracing::error!("cannot restore mode and owner of {}: {error}", old.written);
            }
        }
        if self.candidate.take().is_none() {
            return;
        }
        self.close_unheld();
        for held in self.in_force.iter().filter(|held| !held.is_passed && !held.is_per_slot()) {
            if let Some(sockets) = self.open.get_mut(&held.sockets) {
                sockets.share_first();
                sockets.let_others_in(false);
            }
        }
    }

    /// Closes all those of the workers: whoever comes now is refused as soon as no worker accepts any more. The
    /// files of Unix sockets go with them. Whoever passed a socket has it still, and with it what comes from now on.
    pub fn close(&mut self) {
        self.drop_candidate();
        self.in_force.retain(|held| held.for_companion);
        self.passed.clear();
        self.close_unheld();
    }

    fn is_held(&self, number: Number) -> bool {
        let held = self.in_force.iter().chain(self.candidate.iter().flatten()).map(|held| held.sockets);
        held.chain(self.passed.iter().map(|(_, passed)| *passed)).any(|one| one == number)
    }

    /// Closes what nothing listens by any more, and removes the files of Unix sockets.
    fn close_unheld(&mut self) {
        let numbers: Vec<Number> =
            self.open.keys().copied().filter(|&number| !self.is_held(number)).collect();
        for sockets in numbers.iter().filter_map(|number| self.open.remove(number)) {
            if sockets.is_shared {
                self.left.extend(sockets.first().socket_file());
            } else if let Err(error) = sockets.first().unlink_if_ours() {
                let address = sockets.first().local_address();
                tracing::warn!("{address}: cannot remove the socket file: {error}");
            }
        }
    }

    fn passed_names(&self) -> Vec<&str> {
        self.passed.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(super) fn held_by(&self, for_candidate: bool) -> &[Held] {
        self.candidate.as_ref().filter(|_| for_candidate).unwrap_or(&self.in_force)
    }

    /// Sees that the sockets are open that a worker of `slot` inherits.
    ///
    /// # Errors
    /// As [`Listeners::open`].
    pub fn prepare(&mut self, for_candidate: bool, slot: u32) -> Result<(), String> {
        let per_slot: Vec<Held> =
            self.held_by(for_candidate).iter().filter(|held| held.is_per_slot()).cloned().collect();
        for held in per_slot {
            let shared = self.is_shared_still(held.sockets);
            let Some(sockets) = self.open.get_mut(&held.sockets) else { continue };
            if sockets.ensure_slot(slot, &held.spec)? {
                if shared {
                    sockets.direct_to_first()
                } else {
                    sockets.direct(&self.serving)
                }
                sockets.release_slot(slot);
            }
        }
        Ok(())
    }

    /// Whether the workers in force share a socket that those of the candidate will not.
    fn is_shared_still(&self, number: Number) -> bool {
        self.in_force.iter().any(|held| held.sockets == number && !held.is_per_slot())
    }

    /// What a worker of `slot` inherits, in order: of the candidate where the worker is for it and there is one.
    #[must_use]
    pub fn inherited(&self, for_candidate: bool, slot: u32) -> Vec<(&str, BorrowedFd<'_>)> {
        let held = self.held_by(for_candidate).iter().filter(|held| !held.for_companion);
        held.map(|held| {
            let slot = held.is_per_slot().then_some(slot);
            (held.spec.name.as_str(), self.open[&held.sockets].of_slot(slot))
        })
        .collect()
    }

    /// Closes the sockets of slots in which there is no worker any more, and sends clients to those in which
    /// one serves.
    pub fn follow_slots(&mut self, there: &BTreeSet<u32>, serving: BTreeSet<u32>) {
        self.serving = serving;
        let mut per_slot: BTreeSet<Number> = BTreeSet::new();
        for held in self.in_force.iter().chain(self.candidate.iter().flatten()) {
            per_slot.extend(held.is_per_slot().then_some(held.sockets));
        }
        for number in per_slot {
            let shared = self.is_shared_still(number);
            let Some(sockets) = self.open.get_mut(&number) else { continue };
            sockets.keep_slots(there);
            if shared { sockets.direct_to_first() } else { sockets.direct(&self.serving) }
        }
    }

    /// Whether any listener has a socket for each slot.
    #[must_use]
    pub fn are_per_slot(&self) -> bool {
        self.in_force.iter().chain(self.candidate.iter().flatten()).any(Held::is_per_slot)
    }

    /// The kernel's numbers of all sockets, for seeing who waits on one.
    #[must_use]
    pub fn inodes(&self) -> Vec<u64> {
        self.open.values().flat_map(Sockets::all).filter_map(|socket| socket.inode().ok()).collect()
    }

    /// Names and addresses as bound.
    #[must_use]
    pub fn status(&self) -> Vec<ListenerStatus> {
        let status = |held: &Held| ListenerStatus {
            name: held.spec.name.clone(),
            address: self.open[&held.sockets].first().local_address(),
        };
        self.in_force.iter().filter(|held| !held.for_companion).map(status).collect()
    }
}

impl Drop for Listeners {
    /// The end, or a start that fails half-way, leaves no file behind.
    fn drop(&mut self) {
        self.close();
        self.in_force.clear();
        self.close_unheld();
    }
}

fn names(specs: &[ListenerSpec]) -> Vec<&str> {
    specs.iter().map(|spec| spec.name.as_str()).collect()
}

/// A passed socket as a listener that nobody configured. Nothing is ever opened by it.
fn surplus_spec(name: String, sockets: &Sockets) -> ListenerSpec {
    ListenerSpec {
        name,
        address: sockets.address(),
        written: sockets.first().local_address(),
        backlog: 0,
        reuse_port: false,
        v6only: false,
        mode: 0,
        owner: None,
    }
}

/// Whether the socket that was opened for `old`, and is bound to `bound`, serves `new` as well. Port 0 keeps the
/// port it was given for as long as the listener keeps its name.
fn is_same_socket(old: &ListenerSpec, new: &ListenerSpec, bound: &AddressSpec, has_same_name: bool) -> bool {
    let any_port = matches!(&new.address, AddressSpec::Tcp(address) if address.port() == 0);
    let is_same = if any_port { old.address == new.address && has_same_name } else { *bound == new.address };
    is_same && old.v6only == new.v6only
}
