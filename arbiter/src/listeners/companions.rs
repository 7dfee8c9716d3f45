//! Sockets that are held for companions: whoever connects while a companion is being restarted waits.

use super::sockets::Listeners;
use proto::link::HeldSocket;
use proto::spec::companion_variable;
use std::os::fd::{AsFd, BorrowedFd};

impl Listeners {
    /// The sockets of companions: with a new configuration under way, those of that one where they are for it.
    #[must_use]
    pub fn of_companions(&self, for_candidate: bool) -> Vec<(HeldSocket, BorrowedFd<'_>)> {
        let held = self.held_by(for_candidate).iter().filter(|held| held.for_companion);
        held.map(|held| {
            let socket = self.open[&held.sockets].first();
            let named = HeldSocket { name: held.spec.name.clone(), address: socket.local_address() };
            (named, socket.as_fd())
        })
        .collect()
    }

    /// What every child is told of them: a variable for each, with its address as bound.
    #[must_use]
    pub fn variables(&self, for_candidate: bool) -> Vec<(String, String)> {
        let sockets = self.of_companions(for_candidate).into_iter();
        sockets.map(|(socket, _)| (companion_variable(&socket.name), socket.address)).collect()
    }
}
