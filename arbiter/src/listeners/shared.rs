//! Sockets that two masters hold: whichever of them is left in the end removes the files.

use super::slots::Sockets;
use super::sockets::{Held, Listeners};
use anyhow::Context;
use proto::handover::Handed;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::listener::Listener;

impl Listeners {
    /// The sockets that another master has handed to this one: the passed ones by their names, then its own.
    ///
    /// # Errors
    /// One of them is missing, or is no listening socket.
    pub fn handed_over(
        passed: Vec<String>,
        own: Vec<Handed>,
        sockets: &mut impl Iterator<Item = OwnedFd>,
    ) -> anyhow::Result<Self> {
        let mut listeners = Self::default();
        let mut next = |file| -> anyhow::Result<Listener> {
            Ok(Listener::from_fd(sockets.next().context("a socket is missing")?, file)?)
        };
        for name in passed {
            let number = listeners.add(Sockets::new(next(None)?, false));
            listeners.passed.push((name, number));
        }
        for Handed { spec, for_companion, slots, file } in own {
            let file = file.map(crate::handover::file_id);
            let sockets = slots.into_iter().map(|slot| Ok((slot, next(file)?)));
            let sockets = Sockets::shared(sockets.collect::<anyhow::Result<_>>()?);
            let sockets = listeners.add(sockets.context("a listener comes without a socket")?);
            listeners.in_force.push(Held { spec, sockets, is_passed: false, for_companion });
        }
        Ok(listeners)
    }

    /// What another master gets, in the form and order of [`Listeners::handed_over`].
    pub(crate) fn to_hand_over(&self) -> (Vec<String>, Vec<Handed>, Vec<BorrowedFd<'_>>) {
        let names = self.passed.iter().map(|(name, _)| name.clone()).collect();
        let own: Vec<_> = self.in_force.iter().filter(|held| !held.is_passed).collect();
        let handed = own.iter().map(|held| {
            let sockets = &self.open[&held.sockets];
            let file = sockets.first().file().map(crate::handover::socket_file);
            Handed {
                spec: held.spec.clone(),
                for_companion: held.for_companion,
                slots: sockets.slots(),
                file,
            }
        });
        let numbers =
            self.passed.iter().map(|(_, number)| number).chain(own.iter().map(|held| &held.sockets));
        let sockets = numbers.flat_map(|number| self.open[number].all()).map(AsFd::as_fd);
        (names, handed.collect(), sockets.collect())
    }

    /// Another master holds all that is open now: no file is removed until it has ended.
    pub(crate) fn share(&mut self) {
        for sockets in self.open.values_mut() {
            sockets.is_shared = true;
        }
    }

    /// The other master has ended: the files are this one's to remove, those of sockets that were closed
    /// meanwhile at once.
    pub(crate) fn own(&mut self) {
        for sockets in self.open.values_mut() {
            sockets.is_shared = false;
        }
        for file in std::mem::take(&mut self.left) {
            if let Err(error) = file.remove_if_same() {
                tracing::warn!("cannot remove the socket file {}: {error}", file.path().display());
            }
        }
    }
}
