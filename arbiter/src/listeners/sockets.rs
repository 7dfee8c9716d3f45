//! The sockets in force, and those of a reload under way.
//!
//! A socket is opened once and kept as long as its address is configured: what waits in its queue is never
//! lost. A reload opens what is new beside what is there; only when the new workers have taken over are the
//! sockets closed that nobody listens on any more. One that was passed is kept until arbiter stops, whichever
//! listener it serves.

use super::activation::assign;
use super::bind::bind;
use proto::control::ListenerStatus;
use proto::spec::{AddressSpec, ListenerSpec};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use sys::listener::{Address, Listener};

/// One socket and what it was configured as.
#[derive(Debug, Clone)]
struct Held {
    spec: ListenerSpec,
    socket: Arc<Listener>,
    /// Whether it was passed: then address, queue and file are those of whoever opened it.
    is_passed: bool,
}

/// The sockets in force, and those of a reload under way.
#[derive(Debug)]
pub struct Listeners {
    /// By their names.
    passed: Vec<(String, Arc<Listener>)>,
    in_force: Vec<Held>,
    candidate: Option<Vec<Held>>,
}

impl Listeners {
    /// None is open but those that were passed, whose names are all different.
    #[must_use]
    pub fn passed(passed: Vec<(String, Listener)>) -> Self {
        let passed = passed.into_iter().map(|(name, socket)| (name, Arc::new(socket))).collect();
        Self { passed, in_force: Vec::new(), candidate: None }
    }

    /// Adds to what is configured a listener for each passed socket that would serve none.
    pub fn complete(&self, specs: &mut Vec<ListenerSpec>) {
        let surplus = assign(&self.passed_names(), &names(specs)).surplus;
        specs.extend(surplus.into_iter().map(|(name, place)| surplus_spec(name, &self.passed[place].1)));
    }

    /// Opens all of `specs`, which is complete ([`Listeners::complete`]).
    ///
    /// # Errors
    /// A sentence that names the address, what is wrong with it and what to do.
    pub fn open(&mut self, specs: &[ListenerSpec]) -> Result<(), String> {
        self.bind_candidate(specs)?;
        self.keep_candidate();
        Ok(())
    }

    /// Opens what `specs`, which is complete, has and is not open yet, beside what is.
    ///
    /// # Errors
    /// As [`Listeners::open`]; what is in force is as before.
    pub fn bind_candidate(&mut self, specs: &[ListenerSpec]) -> Result<(), String> {
        let served_by = assign(&self.passed_names(), &names(specs)).served_by;
        let mut candidate: Vec<Held> = Vec::with_capacity(specs.len());
        for (spec, passed) in specs.iter().zip(served_by) {
            let own =
                || self.in_force.iter().find(|held| !held.is_passed && is_same_socket(&held.spec, spec));
            let socket = match passed.map(|place| &self.passed[place].1).or_else(|| Some(&own()?.socket)) {
                Some(socket) => Arc::clone(socket),
                None => Arc::new(bind(spec).inspect_err(|_| unlink(&candidate, &self.in_force))?),
            };
            candidate.push(Held { spec: spec.clone(), socket, is_passed: passed.is_some() });
        }
        self.candidate = Some(candidate);
        Ok(())
    }

    /// The candidate's sockets are in force; those that only the old configuration had are closed.
    pub fn keep_candidate(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            let old = std::mem::replace(&mut self.in_force, candidate);
            unlink(&old, &self.in_force);
            for held in self.in_force.iter().filter(|held| !held.is_passed) {
                // A new backlog takes effect on the open socket; one that it has already changes nothing.
                if let Err(error) = held.socket.set_backlog(held.spec.backlog) {
                    tracing::warn!("{}: cannot set the backlog: {error}", held.spec.written);
                }
            }
        }
    }

    /// The candidate's sockets are not wanted.
    pub fn drop_candidate(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            unlink(&candidate, &self.in_force);
        }
    }

    /// Closes all of them: whoever comes now is refused as soon as no worker accepts any more. The files of
    /// Unix sockets go with them. Whoever passed a socket has it still, and with it what comes from now on.
    pub fn close(&mut self) {
        self.drop_candidate();
        unlink(&self.in_force, &[]);
        self.in_force.clear();
        self.passed.clear();
    }

    fn passed_names(&self) -> Vec<&str> {
        self.passed.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// What a worker inherits, in order: of the candidate where the worker is for it and there is one.
    #[must_use]
    pub fn inherited(&self, for_candidate: bool) -> Vec<(&str, BorrowedFd<'_>)> {
        let held = self.candidate.as_ref().filter(|_| for_candidate).unwrap_or(&self.in_force);
        held.iter().map(|held| (held.spec.name.as_str(), held.socket.as_fd())).collect()
    }

    /// The kernel's numbers of all sockets, for seeing who waits on one.
    #[must_use]
    pub fn inodes(&self) -> Vec<u64> {
        let held = self.in_force.iter().chain(self.candidate.iter().flatten());
        held.filter_map(|held| held.socket.inode().ok()).collect()
    }

    /// Names and addresses as bound.
    #[must_use]
    pub fn status(&self) -> Vec<ListenerStatus> {
        let status = |held: &Held| ListenerStatus {
            name: held.spec.name.clone(),
            address: held.socket.local_address(),
        };
        self.in_force.iter().map(status).collect()
    }
}

impl Drop for Listeners {
    /// A start that fails half-way leaves no file behind.
    fn drop(&mut self) {
        self.close();
    }
}

fn names(specs: &[ListenerSpec]) -> Vec<&str> {
    specs.iter().map(|spec| spec.name.as_str()).collect()
}

/// A passed socket as a listener that nobody configured. Nothing is ever opened by it.
fn surplus_spec(name: String, socket: &Listener) -> ListenerSpec {
    let address = match socket.address() {
        Address::Tcp(address) => AddressSpec::Tcp(*address),
        Address::Unix(path) => AddressSpec::Unix(path.to_string_lossy().into_owned()),
        Address::Abstract(name) => AddressSpec::Abstract(String::from_utf8_lossy(name).into_owned()),
    };
    let written = socket.local_address();
    ListenerSpec {
        name,
        address,
        written,
        backlog: 0,
        reuse_port: false,
        v6only: false,
        mode: 0,
        owner: None,
    }
}

/// Whether the socket that was opened for `old` serves `new` as well. Port 0 keeps the port it was given
/// for as long as the listener keeps its name.
fn is_same_socket(old: &ListenerSpec, new: &ListenerSpec) -> bool {
    let any_port = matches!(&new.address, AddressSpec::Tcp(address) if address.port() == 0);
    old.address == new.address
        && old.v6only == new.v6only
        && (old.mode, old.owner) == (new.mode, new.owner)
        && (!any_port || old.name == new.name)
}

/// Removes the files of Unix sockets that `gone` has and `kept` has not.
fn unlink(gone: &[Held], kept: &[Held]) {
    for held in gone.iter().filter(|held| !kept.iter().any(|kept| Arc::ptr_eq(&kept.socket, &held.socket))) {
        if let Err(error) = held.socket.unlink_if_ours() {
            tracing::warn!("{}: cannot remove the socket file: {error}", held.spec.written);
        }
    }
}
