//! Whole resolutions: arguments, environment and files in, specifications or words for the user out.

mod answers;
mod contradictions;
mod errors;
mod every_key;
mod importing;
mod round_trip;
mod sources;
mod specifications;

use super::Input;
use super::accounts::{Accounts, SystemAccounts};
use super::resolve::resolve_with;
use proto::spec::{CompanionsSpec, MasterSpec, Resolution};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use sys::users::Account;
use tempfile::TempDir;

/// A machine with the users of the tests.
struct Machine;

fn account(name: &str, uid: u32) -> Account {
    Account {
        name: name.into(),
        uid,
        gid: uid,
        home: format!("/home/{name}").into(),
        shell: "/bin/sh".into(),
    }
}

const USERS: [(&str, u32); 3] = [("root", 0), ("www-data", 33), ("postgres", 70)];

impl Accounts for Machine {
    fn user_by_name(&self, name: &str) -> io::Result<Option<Account>> {
        Ok(USERS.iter().find(|(known, _)| *known == name).map(|(name, uid)| account(name, *uid)))
    }

    fn user_by_id(&self, uid: u32) -> io::Result<Option<Account>> {
        Ok(USERS.iter().find(|(_, known)| *known == uid).map(|(name, uid)| account(name, *uid)))
    }

    fn group_by_name(&self, name: &str) -> io::Result<Option<u32>> {
        Ok(self.user_by_name(name)?.map(|account| account.gid))
    }

    fn groups_of(&self, name: &str, primary: u32) -> io::Result<Vec<u32>> {
        let mut groups = vec![primary];
        groups.extend((name == "www-data").then_some(4711));
        Ok(groups)
    }

    fn host(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        SystemAccounts.host(name, port)
    }
}

/// A directory with an executable `server` and whatever a test adds.
struct Place {
    directory: TempDir,
    env: Vec<(&'static str, &'static str)>,
}

impl Place {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let place = Self { directory: TempDir::new().unwrap(), env: vec![("PATH", "/bin:/usr/bin")] };
        place.write("server", "#!/bin/sh\n");
        let server = place.path().join("server");
        std::fs::set_permissions(server, std::fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The file `a.toml`.
    fn with(text: &str) -> Self {
        let place = Self::new();
        place.write("a.toml", text);
        place
    }

    fn run(&self, argv: &[&str]) -> Resolution {
        let env = self.env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let argv = argv.iter().map(Into::into).collect();
        let input = Input { argv, env, cwd: self.path().to_owned(), loaded: Vec::new() };
        resolve_with(&input, &Machine, sys::process::effective_uid())
    }

    /// The answer of a run that only prints: standard output, standard error, exit status. The directory is
    /// written as `DIR`.
    fn printed(&self, argv: &[&str]) -> (String, String, u8) {
        let Resolution::Print { stdout, stderr, code } = self.run(argv) else { panic!("it would run") };
        let here = self.path().to_str().unwrap();
        (stdout.replace(here, "DIR"), stderr.replace(here, "DIR"), code)
    }

    /// What would run.
    fn specs(&self, argv: &[&str]) -> (MasterSpec, CompanionsSpec) {
        match self.run(argv) {
            Resolution::Run { master, companions } => {
                (*master, proto::codec::decode_bulk(&companions).unwrap())
            }
            Resolution::Companions { .. } => panic!("nothing is to be changed"),
            Resolution::Print { stdout, stderr, code } => panic!("{code}: {stdout}{stderr}"),
        }
    }
}

/// What `--check-config` says is wrong with a file.
fn errors_of(text: &str) -> String {
    let (stdout, stderr, code) = Place::with(text).printed(&["-c", "a.toml", "--check-config"]);
    assert_eq!((stdout.as_str(), code), ("", 2), "{text}\n{stderr}");
    stderr
}

/// What `--check-config` says of a file.
pub(super) fn checked(text: &str) -> (String, String, u8) {
    Place::with(text).printed(&["-c", "a.toml", "--check-config"])
}

/// What a file resolves to.
fn specs_of(text: &str) -> (MasterSpec, CompanionsSpec) {
    Place::with(text).specs(&["-c", "a.toml"])
}
