//! The sockets that arbiter holds for companions: each process of a companion inherits its one.

use proto::link::HeldSocket;
use proto::spec::companion_variable;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One of them: the address as bound, and the socket.
type Held = (String, OwnedFd);

/// The sockets in force, and those of a specification that is about to be, by the companions' full names.
#[derive(Debug, Default)]
pub struct Sockets {
    in_force: BTreeMap<String, Held>,
    candidate: Option<BTreeMap<String, Held>>,
}

impl Sockets {
    /// Takes what arbiter hands over; the first of several messages makes what was told before void.
    pub fn take(
        &mut self,
        for_candidate: bool,
        is_first: bool,
        sockets: Vec<HeldSocket>,
        descriptors: Vec<OwnedFd>,
    ) {
        let map = if for_candidate { self.candidate.get_or_insert_default() } else { &mut self.in_force };
        if is_first {
            map.clear();
        }
        for (HeldSocket { name, address }, descriptor) in sockets.into_iter().zip(descriptors) {
            map.insert(name, (address, descriptor));
        }
    }

    /// What was about to be in force is.
    pub(super) fn commit(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            self.in_force = candidate;
        }
    }

    /// It will not be.
    pub(super) fn abort(&mut self) {
        self.candidate = None;
    }

    fn map(&self, for_candidate: bool) -> &BTreeMap<String, Held> {
        self.candidate.as_ref().filter(|_| for_candidate).unwrap_or(&self.in_force)
    }

    /// The socket of a companion.
    pub(super) fn of(&self, for_candidate: bool, name: &str) -> Option<BorrowedFd<'_>> {
        self.map(for_candidate).get(name).map(|(_, socket)| socket.as_fd())
    }

    /// The numbers by which the kernel speaks of a companion's sockets.
    pub(super) fn inodes(&self, name: &str) -> Vec<u64> {
        let sockets = [true, false].into_iter().filter_map(|for_candidate| self.of(for_candidate, name));
        sockets.filter_map(|socket| Some(sys::fd::identity(socket).ok()?.inode)).collect()
    }

    /// What every child is told: a variable for each socket, with its address.
    pub(super) fn variables(&self, for_candidate: bool) -> Vec<(String, String)> {
        let addresses = self.map(for_candidate).iter();
        addresses.map(|(name, (address, _))| (companion_variable(name), address.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(sockets: &mut Sockets, for_candidate: bool, is_first: bool, names: &[&str]) {
        let named = |name: &&str| HeldSocket { name: (*name).into(), address: format!("unix:/{name}") };
        let descriptors = names.iter().map(|_| sys::fd::null().unwrap()).collect();
        sockets.take(for_candidate, is_first, names.iter().map(named).collect(), descriptors);
    }

    #[test]
    fn a_new_specification_has_its_own_until_it_is_in_force() {
        let mut sockets = Sockets::default();
        take(&mut sockets, false, true, &["a", "batch.b"]);
        assert_eq!(sockets.variables(true), sockets.variables(false), "there is no other");
        take(&mut sockets, true, true, &["c"]);
        take(&mut sockets, true, false, &["d"]);
        assert!(sockets.of(false, "a").is_some() && sockets.of(false, "c").is_none());
        assert!(sockets.of(true, "a").is_none() && sockets.of(true, "d").is_some());
        sockets.abort();
        let told = [("ARBITER_COMPANION_A", "unix:/a"), ("ARBITER_COMPANION_BATCH_B", "unix:/batch.b")];
        assert_eq!(sockets.variables(true), told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        take(&mut sockets, true, true, &[]);
        sockets.commit();
        assert!(sockets.variables(false).is_empty());
    }
}
