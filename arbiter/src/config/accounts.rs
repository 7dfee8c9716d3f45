//! Users and groups by name or number; hosts by name.

use super::diagnostic::Fault;
use super::tree::{Data, Node};
use super::value::{Reading, wrong_type};
use proto::spec::Identity;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use sys::users::{self, Account};

/// Where users, groups and hosts are looked up; a name service may take its time.
pub(crate) trait Accounts {
    /// The user of a name.
    fn user_by_name(&self, name: &str) -> io::Result<Option<Account>>;
    /// The user of a number.
    fn user_by_id(&self, uid: u32) -> io::Result<Option<Account>>;
    /// The group of a name.
    fn group_by_name(&self, name: &str) -> io::Result<Option<u32>>;
    /// All groups of a user, `primary` among them.
    fn groups_of(&self, name: &str, primary: u32) -> io::Result<Vec<u32>>;
    /// The addresses of a host, with this port.
    fn host(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's own.
pub(crate) struct SystemAccounts;

impl Accounts for SystemAccounts {
    fn user_by_name(&self, name: &str) -> io::Result<Option<Account>> {
        users::user_by_name(name)
    }

    fn user_by_id(&self, uid: u32) -> io::Result<Option<Account>> {
        users::user_by_id(uid)
    }

    fn group_by_name(&self, name: &str) -> io::Result<Option<u32>> {
        users::group_by_name(name)
    }

    fn groups_of(&self, name: &str, primary: u32) -> io::Result<Vec<u32>> {
        users::groups_of(name, primary)
    }

    fn host(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((name, port).to_socket_addrs()?.collect())
    }
}

/// A machine on which no name is known.
pub(crate) struct Strangers;

impl Accounts for Strangers {
    fn user_by_name(&self, _: &str) -> io::Result<Option<Account>> {
        Ok(None)
    }

    fn user_by_id(&self, _: u32) -> io::Result<Option<Account>> {
        Ok(None)
    }

    fn group_by_name(&self, _: &str) -> io::Result<Option<u32>> {
        Ok(None)
    }

    fn groups_of(&self, _: &str, primary: u32) -> io::Result<Vec<u32>> {
        Ok(vec![primary])
    }

    fn host(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(Vec::new())
    }
}

/// A user that was named; without an account for a bare number that has none.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The number.
    pub(crate) uid: u32,
    /// What the database says.
    pub(crate) account: Option<Account>,
}

/// A name or a number.
enum Reference {
    Name(String),
    Number(u32),
}

fn reference(what: &str, node: &Node) -> Reading<Reference> {
    let number = |number: i64| {
        // The highest number means "leave as it is" to the kernel.
        u32::try_from(number).ok().filter(|id| *id != u32::MAX).map(Reference::Number)
    };
    match &node.data {
        Data::Text(text) if text.is_empty() => Err(Fault::new(format!("{what} must not be empty"))),
        Data::Text(text) => match text.parse::<i64>() {
            Ok(id) => number(id).ok_or_else(|| Fault::new(format!("{text} is no {what}'s number"))),
            Err(_) => Ok(Reference::Name(text.clone())),
        },
        Data::Integer(id) => number(*id).ok_or_else(|| Fault::new(format!("{id} is no {what}'s number"))),
        _ => Err(wrong_type(&format!("a {what}'s name or number"), node)),
    }
}

/// A user by name or number.
pub(crate) fn user(node: &Node, accounts: &dyn Accounts) -> Reading<Person> {
    match reference("user", node)? {
        Reference::Number(uid) => {
            let account = accounts.user_by_id(uid).map_err(|error| unavailable("user", &error))?;
            Ok(Person { uid, account })
        }
        Reference::Name(name) => match accounts.user_by_name(&name) {
            Ok(Some(account)) => Ok(Person { uid: account.uid, account: Some(account) }),
            Ok(None) => {
                Err(Fault::new(format!("there is no user \"{name}\"")).help("create it, or name another one"))
            }
            Err(error) => Err(unavailable("user", &error)),
        },
    }
}

/// A group by name or number.
pub(crate) fn group(node: &Node, accounts: &dyn Accounts) -> Reading<u32> {
    match reference("group", node)? {
        Reference::Number(gid) => Ok(gid),
        Reference::Name(name) => {
            match accounts.group_by_name(&name) {
                Ok(Some(gid)) => Ok(gid),
                Ok(None) => Err(Fault::new(format!("there is no group \"{name}\""))
                    .help("create it, or name another one")),
                Err(error) => Err(unavailable("group", &error)),
            }
        }
    }
}

/// As [`group`]; `""` means none.
pub(crate) fn group_or_none(node: &Node, accounts: &dyn Accounts) -> Reading<Option<u32>> {
    match &node.data {
        Data::Text(text) if text.is_empty() => Ok(None),
        _ => group(node, accounts).map(Some),
    }
}

fn unavailable(what: &str, error: &io::Error) -> Fault {
    Fault::new(format!("the {what} cannot be looked up: {error}"))
}

/// The identity of a process: `user` with `group`, or with its own primary group; with a group alone, the
/// user that started arbiter in that group, its environment untouched.
pub(crate) fn identity(
    user: Option<&Person>,
    group: Option<u32>,
    own_uid: u32,
    accounts: &dyn Accounts,
) -> Reading<Option<Identity>> {
    let Some(person) = user else {
        let Some(gid) = group else { return Ok(None) };
        let own = accounts.user_by_id(own_uid).map_err(|error| unavailable("user", &error))?;
        let groups = supplementary(own.as_ref(), gid, accounts)?;
        return Ok(Some(Identity { uid: own_uid, gid, groups, login: None }));
    };
    let Some(gid) = group.or(person.account.as_ref().map(|account| account.gid)) else {
        return Err(Fault::new(format!("the user {} has no account and so no group", person.uid))
            .help("set `group` as well"));
    };
    let groups = supplementary(person.account.as_ref(), gid, accounts)?;
    let login = person.account.as_ref().map(|account| {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        (account.name.clone(), text(&account.home), text(&account.shell))
    });
    Ok(Some(Identity { uid: person.uid, gid, groups, login }))
}

fn supplementary(account: Option<&Account>, gid: u32, accounts: &dyn Accounts) -> Reading<Vec<u32>> {
    match account {
        Some(account) => {
            accounts.groups_of(&account.name, gid).map_err(|error| unavailable("user's groups", &error))
        }
        None => Ok(vec![gid]),
    }
}
