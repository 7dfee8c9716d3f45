//! Users and groups by the C library's name service. It may ask the network and wait for it: only short-lived
//! children call this, never a daemon's loop.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// What the password database says of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    pub shell: PathBuf,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
            shell: user.shell,
        }
    }
}

/// `None`: there is no such user.
///
/// # Errors
/// The name service failed.
pub fn user_by_name(name: &str) -> io::Result<Option<Account>> {
    Ok(User::from_name(name)?.map(Account::from))
}

/// `None`: the number has no name.
///
/// # Errors
/// The name service failed.
pub fn user_by_id(uid: u32) -> io::Result<Option<Account>> {
    Ok(User::from_uid(Uid::from_raw(uid))?.map(Account::from))
}

/// The number of a group. `None`: there is no such group.
///
/// # Errors
/// The name service failed.
pub fn group_by_name(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// Every group a user is a member of, the one given included, sorted.
///
/// # Errors
/// The name service failed, or the name holds a NUL.
pub fn groups_of(name: &str, primary: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(name)?;
    let mut groups: Vec<u32> =
        getgrouplist(&name, Gid::from_raw(primary))?.into_iter().map(Gid::as_raw).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_number() {
        let root = user_by_name("root").unwrap().unwrap();
        assert_eq!(root.uid, 0);
        assert_eq!(user_by_id(0).unwrap().unwrap(), root);
        assert_eq!(group_by_name("root").unwrap(), Some(0));
        assert!(groups_of("root", 4711).unwrap().contains(&4711));
    }

    #[test]
    fn an_unknown_name_is_not_an_error() {
        assert_eq!(user_by_name("nobody-has-this-name").unwrap(), None);
        assert_eq!(group_by_name("nobody-has-this-name").unwrap(), None);
    }
}
