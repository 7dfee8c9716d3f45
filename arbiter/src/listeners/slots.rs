//! The sockets of one address: one that all workers share, or one for each slot.
//!
//! The kernel spreads new connections over all sockets that share an address, whether anybody accepts on them or
//! not. A slot whose worker starts, backs off or leaves would keep its clients waiting, and lose them when its
//! socket is closed. So arbiter tells the kernel which sockets are served.

use super::bind::{Beside, bind};
use proto::spec::{AddressSpec, ListenerSpec};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use sys::listener::{Address, Listener};

/// Numbers that no socket has: what is directed has to be said anew.
const STALE: [u32; 1] = [u32::MAX];

/// A socket and whose it is.
#[derive(Debug)]
struct Member {
    /// The slot; `None` as long as all share it, or no slot has asked for it yet.
    slot: Option<u32>,
    socket: Listener,
}

/// The sockets of one address. The first is always there.
#[derive(Debug)]
pub(super) struct Sockets {
    /// In the order in which the kernel numbers those that share an address: when one is closed, the last
    /// takes its place.
    members: Vec<Member>,
    /// The numbers of those to which new connections go; none stands for all.
    directed: Vec<u32>,
    /// Whether another master holds them too: then their file stays when this one closes them.
    pub(super) is_shared: bool,
    /// Whether nobody is to come to any of them.
    held_back: bool,
}

impl Sockets {
    /// One socket that all share, and whether it was opened for nobody to come to.
    pub(super) fn new(socket: Listener, held_back: bool) -> Self {
        let members = vec![Member { slot: None, socket }];
        Self { members, directed: Vec::new(), is_shared: false, held_back }
    }

    /// Those that another master holds too, in its order. Where it sends clients is not known here. `None`
    /// without any.
    pub(super) fn shared(sockets: Vec<(Option<u32>, Listener)>) -> Option<Self> {
        let members: Vec<_> = sockets.into_iter().map(|(slot, socket)| Member { slot, socket }).collect();
        (!members.is_empty()).then(|| Self {
            members,
            directed: STALE.to_vec(),
            is_shared: true,
            held_back: false,
        })
    }

    /// The slot of each.
    pub(super) fn slots(&self) -> Vec<Option<u32>> {
        self.members.iter().map(|member| member.slot).collect()
    }

    /// The one that all share.
    pub(super) fn first(&self) -> &Listener {
        &self.members[0].socket
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Listener> {
        self.members.iter().map(|member| &member.socket)
    }

    /// The address as bound.
    pub(super) fn address(&self) -> AddressSpec {
        match self.first().address() {
            Address::Tcp(address) => AddressSpec::Tcp(*address),
            Address::Unix(path) => AddressSpec::Unix(path.to_string_lossy().into_owned()),
            Address::Abstract(name) => AddressSpec::Abstract(String::from_utf8_lossy(name).into_owned()),
        }
    }

    /// A slot's own socket, or the shared one where it has none.
    pub(super) fn of_slot(&self, slot: Option<u32>) -> BorrowedFd<'_> {
        let own = self.members.iter().find(|member| slot.is_some() && member.slot == slot);
        own.unwrap_or(&self.members[0]).socket.as_fd()
    }

    /// Sees that a slot has a socket of its own, and tells whether one had to be opened: that one gets nobody
    /// before [`Sockets::release_slot`].
    pub(super) fn ensure_slot(&mut self, slot: u32, spec: &ListenerSpec) -> Result<bool, String> {
        if self.members.iter().any(|member| member.slot == Some(slot)) {
            return Ok(false);
        }
        if let Some(free) = self.members.iter_mut().find(|member| member.slot.is_none()) {
            free.slot = Some(slot);
            return Ok(false);
        }
        self.let_others_in(true);
        let spec = ListenerSpec { address: self.address(), ..spec.clone() };
        let socket = bind(&spec, Beside { others: true, held_back: true })?;
        self.members.push(Member { slot: Some(slot), socket });
        Ok(true)
    }

    /// Lets clients come to a slot's socket, if they may come to any.
    pub(super) fn release_slot(&self, slot: u32) {
        if self.held_back {
            return;
        }
        for member in self.members.iter().filter(|member| member.slot == Some(slot)) {
            hold_back(&member.socket, false);
        }
    }

    /// Whether further sockets may be bound to the address.
    pub(super) fn let_others_in(&self, let_in: bool) {
        for socket in self.all().filter(|socket| matches!(socket.address(), Address::Tcp(_))) {
            if let Err(error) = socket.set_reuse_port(let_in) {
                tracing::warn!("{}: cannot share the address: {error}", socket.local_address());
            }
        }
    }

    /// Lets new connections come to the slots that serve and to no other; to all where none serves.
    pub(super) fn direct(&mut self, serving: &BTreeSet<u32>) {
        let serves = |member: &Member| member.slot.is_some_and(|slot| serving.contains(&slot));
        let numbered = || (0u32..).zip(&self.members);
        let numbers: Vec<u32> = numbered().filter(|(_, member)| serves(member)).map(|(n, _)| n).collect();
        let all = numbers.len() == self.members.len();
        self.direct_to(if all { Vec::new() } else { numbers });
    }

    /// Lets all new connections come to the shared one.
    pub(super) fn direct_to_first(&mut self) {
        self.direct_to(if self.members.len() > 1 { vec![0] } else { Vec::new() });
    }

    fn direct_to(&mut self, numbers: Vec<u32>) {
        if numbers != self.directed {
            if let Err(error) = self.first().steer(&numbers) {
                tracing::warn!("{}: cannot choose who serves: {error}", self.first().local_address());
            }
            self.directed = numbers;
        }
    }

    /// Lets nobody come to any of them, or lets them again.
    pub(super) fn hold_back(&mut self, held: bool) {
        self.held_back = held;
        self.all().for_each(|socket| hold_back(socket, held));
    }

    /// Sets the length of the queues.
    pub(super) fn set_backlog(&self, backlog: u32) {
        for socket in self.all() {
            if let Err(error) = socket.set_backlog(backlog) {
                tracing::warn!("{}: cannot set the backlog: {error}", socket.local_address());
            }
        }
    }

    /// Closes the sockets of slots that are no more; the last socket is kept for the next slot.
    pub(super) fn keep_slots(&mut self, there: &BTreeSet<u32>) {
        let gone = |member: &Member| member.slot.is_some_and(|slot| !there.contains(&slot));
        while let Some(index) = self.members.iter().position(gone) {
            if self.members.len() == 1 {
                self.members[0].slot = None;
                return;
            }
            self.members.swap_remove(index);
            // The numbers in the kernel mean others now.
            self.directed = STALE.to_vec();
        }
    }

    /// All share the first again: the others are their workers' alone, until these have gone.
    pub(super) fn share_first(&mut self) {
        if self.members.len() > 1 {
            self.direct_to_first();
            self.members.truncate(1);
        }
        self.members[0].slot = None;
    }
}

fn hold_back(socket: &Listener, held: bool) {
    if !matches!(socket.address(), Address::Tcp(_)) {
        return;
    }
    if let Err(error) = socket.hold_back(held) {
        tracing::warn!("{}: cannot choose who serves: {error}", socket.local_address());
    }
}
