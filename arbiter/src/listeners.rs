//! The listening sockets, over reloads.
//!
//! A socket is opened once and kept as long as its address is configured: what waits in its queue is never
//! lost. A reload opens what is new beside what is there; only when the new workers have taken over are the
//! sockets closed that nobody listens on any more.

use proto::control::ListenerStatus;
use proto::spec::{AddressSpec, ListenerSpec};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use sys::listener::{Address, Listener, Options};

/// One socket and what it was configured as.
#[derive(Debug, Clone)]
struct Held {
    spec: ListenerSpec,
    socket: Arc<Listener>,
}

/// The sockets in force, and those of a reload under way.
#[derive(Debug, Default)]
pub struct Listeners {
    in_force: Vec<Held>,
    candidate: Option<Vec<Held>>,
}

impl Listeners {
    /// Opens all of them.
    ///
    /// # Errors
    /// A sentence that names the address, what is wrong with it and what to do. Nothing is left open.
    pub fn open(specs: &[ListenerSpec]) -> Result<Self, String> {
        let mut listeners = Self::default();
        listeners.bind_candidate(specs)?;
        listeners.keep_candidate();
        Ok(listeners)
    }

    /// Opens what `specs` has and is not open yet, beside what is.
    ///
    /// # Errors
    /// As [`Listeners::open`]; what is in force is as before.
    pub fn bind_candidate(&mut self, specs: &[ListenerSpec]) -> Result<(), String> {
        let mut candidate: Vec<Held> = Vec::with_capacity(specs.len());
        for spec in specs {
            let socket = match self.in_force.iter().find(|held| is_same_socket(&held.spec, spec)) {
                Some(held) => Arc::clone(&held.socket),
                None => Arc::new(bind(spec).inspect_err(|_| unlink(&candidate, &self.in_force))?),
            };
            candidate.push(Held { spec: spec.clone(), socket });
        }
        self.candidate = Some(candidate);
        Ok(())
    }

    /// The candidate's sockets are in force; those that only the old configuration had are closed.
    pub fn keep_candidate(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            let old = std::mem::replace(&mut self.in_force, candidate);
            unlink(&old, &self.in_force);
            for held in &self.in_force {
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
    /// Unix sockets go with them.
    pub fn close(&mut self) {
        self.drop_candidate();
        unlink(&self.in_force, &[]);
        self.in_force.clear();
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

fn bind(spec: &ListenerSpec) -> Result<Listener, String> {
    let address = match &spec.address {
        AddressSpec::Tcp(address) => Address::Tcp(*address),
        AddressSpec::Unix(path) => Address::Unix(path.into()),
        AddressSpec::Abstract(name) => Address::Abstract(name.clone().into_bytes()),
    };
    let options = Options {
        backlog: spec.backlog,
        reuse_port: spec.reuse_port,
        v6only: spec.v6only,
        unix_mode: spec.mode,
        unix_owner: spec.owner.map_or((None, None), |owner| (owner.uid, owner.gid)),
        nonblocking: false,
    };
    Listener::bind(&address, &options).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                ": another program listens there; stop it or choose another address"
            }
            std::io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
            std::io::ErrorKind::PermissionDenied => {
                ": ports below 1024 and foreign directories need privileges"
            }
            std::io::ErrorKind::NotFound => ": create the directory first",
            _ => "",
        };
        format!("cannot listen on {} ({}): {error}{remedy}", spec.written, spec.name)
    })
}
