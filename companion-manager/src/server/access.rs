//! Who may ask.

use std::os::unix::net::UnixStream;
use sys::Credentials;

/// Users and groups that are let in beside root and the manager's own user.
#[derive(Clone, Debug, Default)]
pub struct Access {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl Access {
    /// Lets in `users` and members of `groups`.
    #[must_use]
    pub fn new(users: Vec<u32>, groups: Vec<u32>) -> Self {
        Self { users, groups }
    }

    /// Whether the process that opened the connection may ask. The kernel told who it is.
    #[must_use]
    pub fn allows(&self, peer: Credentials, stream: &UnixStream) -> bool {
        let member = |gid: &u32| self.groups.contains(gid);
        peer.uid == 0
            || peer.uid == sys::process::effective_uid()
            || self.users.contains(&peer.uid)
            || (!self.groups.is_empty()
                && (member(&peer.gid)
                    || sys::control::peer_groups(stream).is_ok_and(|groups| groups.iter().any(member))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_own_user_and_those_named_are_let_in() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let peer = |uid, gid| Credentials { pid: 1, uid, gid };
        let nobody = Access::default();
        assert!(nobody.allows(peer(0, 0), &stream));
        assert!(nobody.allows(peer(sys::process::effective_uid(), 77), &stream));
        assert!(!nobody.allows(peer(4_000_001, 4_000_001), &stream));
        let some = Access::new(vec![4_000_001], vec![4_000_002]);
        assert!(some.allows(peer(4_000_001, 1), &stream));
        assert!(some.allows(peer(4_000_003, 4_000_002), &stream));
        assert!(!some.allows(peer(4_000_003, 4_000_003), &stream));
    }
}
