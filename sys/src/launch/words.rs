//! What a process is told: its command, its environment, its paths. All of it but descriptors and user, so that it
//! can be put together by somebody else, and later.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use proto::spec::template::{self, Unset};
use proto::spec::{Identity, ProcessSpec, stream_variable};
use serde::{Deserialize, Serialize};

use super::{FIRST_LISTENER, Program};
use crate::spawn::{Command, Strings};

/// Where programs are looked for when the environment has no `PATH`, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What belongs to the talk between a service manager, or another arbiter, and this process, and never reaches a
/// child.
const OWN_VARIABLES: [&str; 13] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "FDSTORE",
    "ARBITER_PID",
    "ARBITER_NAME",
    "ARBITER_SLOT",
    "ARBITER_GENERATION",
    "ARBITER_SOCKET",
];

/// How more of these begin.
const OWN_PREFIXES: [&str; 2] = ["ARBITER_STREAM_", "ARBITER_EVENT_"];

/// An environment: names and values in any bytes.
pub type Environment = BTreeMap<OsString, OsString>;

/// One that is being put together: most of it is as it was inherited, so nothing is copied yet.
type Layers<'a> = BTreeMap<&'a OsStr, Cow<'a, OsStr>>;

/// Which copy of what a process is: told to it in its environment and in placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// arbiter's process.
    pub arbiter: i32,
    /// arbiter's name, or the companion's full name.
    pub name: &'a str,
    /// Its slot.
    pub slot: u32,
    /// The workers' generation.
    pub generation: u64,
    /// The control socket.
    pub control_socket: Option<&'a str>,
}

/// A process's command, environment and paths before they are put together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Words<'a> {
    pub(super) spec: Cow<'a, ProcessSpec>,
    pub(super) arbiter: i32,
    pub(super) name: Cow<'a, str>,
    pub(super) slot: u32,
    pub(super) generation: u64,
    pub(super) control_socket: Option<Cow<'a, str>>,
    /// Variables that win over the specification's.
    pub(super) variables: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Names, from descriptor 3 on.
    pub(super) listeners: Vec<Cow<'a, str>>,
    /// The name of its own one, after these.
    pub(super) listen: Option<Cow<'a, str>>,
    /// Names of its streams, after these.
    pub(super) streams: Vec<Cow<'a, str>>,
    /// Paths, and the number that each is opened as.
    pub(super) files: Vec<(Cow<'a, str>, RawFd)>,
    pub(super) notify_socket: Option<Cow<'a, OsStr>>,
    pub(super) watchdog: Option<Duration>,
}

/// Why a process cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A placeholder without a value.
    #[error("{0}")]
    Unset(#[from] Unset),
    /// Something that the kernel would cut short.
    #[error("{0} has a NUL byte, which no program can be given")]
    Nul(String),
    /// No memory file for the launcher.
    #[error("cannot hand over what it needs to be told: {0}")]
    Order(io::Error),
}

impl<'a> Words<'a> {
    /// What a process is told, with what its file of variables sets: program, arguments, environment, files and
    /// directory of a command, the rest of it empty.
    pub(super) fn command<'fd>(
        &self,
        inherited: &Environment,
        from_file: &[(String, String)],
    ) -> Result<Command<'fd>, LaunchError> {
        let own = self.own_variables();
        let environment = self.environment(inherited, from_file, &own);
        let expand = |text: &str| self.expand(&environment, text);
        let argv = self.spec.command.iter().map(|word| expand(word)).collect::<Result<Vec<_>, _>>()?;
        let cwd = expand(&self.spec.cwd)?;
        let mut files = Vec::new();
        for (path, number) in &self.files {
            files.push((c_string("an output file", expand(path)?.into_bytes())?, *number));
        }
        let program = argv.first().map_or("", String::as_str);
        let path = environment.get(OsStr::new("PATH")).map(AsRef::as_ref);
        Ok(Command {
            candidates: candidates(program, path)
                .into_iter()
                .map(|path| c_string("the command", path))
                .collect::<Result<_, _>>()?,
            argv: argv
                .into_iter()
                .map(|word| c_string("the command", word.into_bytes()))
                .collect::<Result<_, _>>()?,
            env: pairs(environment.iter().map(|(name, value)| (*name, value.as_ref())))?,
            own_pid: self.own_pid(),
            files,
            cwd: (!cwd.is_empty()).then(|| c_string("cwd", cwd.into_bytes())).transpose()?,
            ..Command::default()
        })
    }

    /// A text with its placeholders filled in, as in the command; variables that an `env_file` sets are not known.
    pub(super) fn fill_in(&self, inherited: &Environment, text: &str) -> Result<String, Unset> {
        let own = self.own_variables();
        self.expand(&self.environment(inherited, &[], &own), text)
    }

    /// The program as it is written.
    pub(super) fn program(&self) -> Program {
        Program::of(&self.spec, self.files.iter().map(|(path, _)| path.as_ref()))
    }

    fn own_pid(&self) -> Vec<&'static str> {
        let listens = self.sockets().next().map(|_| "LISTEN_PID");
        listens.into_iter().chain(self.watchdog.map(|_| "WATCHDOG_PID")).collect()
    }

    /// What the supervisor itself says.
    fn own_variables(&self) -> Vec<(Cow<'static, str>, OsString)> {
        let mut own: Vec<(Cow<'static, str>, OsString)> = vec![
            ("ARBITER_PID".into(), self.arbiter.to_string().into()),
            ("ARBITER_NAME".into(), self.name.as_ref().into()),
            ("ARBITER_SLOT".into(), self.slot.to_string().into()),
            ("ARBITER_GENERATION".into(), self.generation.to_string().into()),
            ("SERVER_SOFTWARE".into(), concat!("arbiter/", env!("CARGO_PKG_VERSION")).into()),
        ];
        if let Some(path) = &self.control_socket {
            own.push(("ARBITER_SOCKET".into(), path.as_ref().into()));
        }
        if let Some(path) = &self.notify_socket {
            own.push(("NOTIFY_SOCKET".into(), path.clone().into_owned()));
        }
        if let Some(period) = self.watchdog {
            own.push(("WATCHDOG_USEC".into(), period.as_micros().to_string().into()));
        }
        let sockets: Vec<&str> = self.sockets().collect();
        if !sockets.is_empty() {
            own.push(("LISTEN_FDS".into(), sockets.len().to_string().into()));
            own.push(("LISTEN_FDNAMES".into(), sockets.join(":").into()));
        }
        for (name, number) in self.streams.iter().zip(self.after_listeners()..) {
            own.push((stream_variable(name).into(), number.to_string().into()));
        }
        own
    }

    /// The names of all sockets that it listens on, in the order of their numbers.
    fn sockets(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().chain(&self.listen).map(AsRef::as_ref)
    }

    /// The first number that is not a listener's.
    pub(super) fn after_listeners(&self) -> RawFd {
        FIRST_LISTENER.saturating_add_unsigned(u32::try_from(self.sockets().count()).unwrap_or(u32::MAX))
    }

    /// The first number that is not given away.
    pub(super) fn after_streams(&self) -> RawFd {
        self.after_listeners().saturating_add_unsigned(u32::try_from(self.streams.len()).unwrap_or(u32::MAX))
    }

    /// The child's environment, each layer over the one before: arbiter's own, the user's, the top level's, the
    /// file's, the table's, the launch's, the supervisor's.
    fn environment<'b>(
        &'b self,
        inherited: &'b Environment,
        from_file: &'b [(String, String)],
        own: &'b [(Cow<'static, str>, OsString)],
    ) -> Layers<'b> {
        let inherited = inherited.iter().map(|(name, value)| (name.as_os_str(), Cow::from(value)));
        let mut environment: Layers<'b> = inherited.filter(|(name, _)| is_passed_on(name)).collect();
        for name in &self.spec.unset_env {
            environment.remove(OsStr::new(name));
        }
        let mut set = |name: &'b str, value: &'b OsStr| environment.insert(name.as_ref(), value.into());
        for (name, value) in self.spec.identity.iter().flat_map(Identity::variables) {
            set(name, value.as_ref());
        }
        for (name, value) in self.spec.top_env.iter().chain(from_file).chain(&self.spec.env) {
            set(name, value.as_ref());
        }
        for (name, value) in &self.variables {
            set(name, OsStr::new(value.as_ref()));
        }
        for (name, value) in own {
            environment.insert(OsStr::new(name.as_ref()), value.into());
        }
        // The child's own numbers are added where it is made: no other may stand before them.
        for name in self.own_pid() {
            environment.remove(OsStr::new(name));
        }
        environment
    }

    fn expand(&self, environment: &Layers<'_>, text: &str) -> Result<String, Unset> {
        template::expand(text, |name| {
            if let Some(variable) = name.strip_prefix("env.") {
                return environment
                    .get(OsStr::new(variable))
                    .map(|value| value.to_string_lossy().into_owned());
            }
            let listener = (FIRST_LISTENER..).zip(&self.listeners).find(|(_, known)| *known == name);
            listener.map(|(number, _)| number.to_string()).or_else(|| self.placeholder(name))
        })
    }

    fn placeholder(&self, name: &str) -> Option<String> {
        match name {
            "slot" => Some(self.slot.to_string()),
            "name" => Some(self.name.as_ref().to_owned()),
            "generation" => Some(self.generation.to_string()),
            "listen" => self.listen.as_ref().map(|_| (self.after_listeners() - 1).to_string()),
            _ => None,
        }
    }
}

/// Whether a variable of this process's environment is one of its children's, too, where nothing else is said.
#[must_use]
pub fn is_passed_on(name: &OsStr) -> bool {
    let has_prefix = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
    !OWN_VARIABLES.iter().any(|own| name == *own) && !OWN_PREFIXES.iter().any(has_prefix)
}

/// The environment of this process.
#[must_use]
pub fn own_environment() -> Environment {
    std::env::vars_os().collect()
}

/// The paths at which `program` is tried, in order: itself where it names a directory, else in each part of
/// `path`.
#[must_use]
pub fn candidates(program: &str, path: Option<&OsStr>) -> Vec<Vec<u8>> {
    if program.contains('/') {
        return vec![program.as_bytes().to_vec()];
    }
    let path = path.map_or(DEFAULT_PATH.as_bytes(), |path| path.as_bytes());
    path.split(|&byte| byte == b':')
        .map(|directory| {
            // An empty part means the working directory.
            let directory = if directory.is_empty() { b"." } else { directory };
            let mut candidate = OsString::from_vec(directory.to_vec());
            candidate.push("/");
            candidate.push(program);
            candidate.into_vec()
        })
        .collect()
}

pub(super) fn c_string(what: &str, bytes: Vec<u8>) -> Result<CString, LaunchError> {
    CString::new(bytes).map_err(|_| LaunchError::Nul(what.to_owned()))
}

/// An environment as exec wants it.
pub(super) fn pairs<'e>(
    environment: impl Iterator<Item = (&'e OsStr, &'e OsStr)>,
) -> Result<Strings, LaunchError> {
    let mut pairs = Strings::default();
    for (name, value) in environment {
        pairs
            .push(&[name.as_bytes(), b"=", value.as_bytes()])
            .map_err(|_| LaunchError::Nul(format!("the variable {}", name.to_string_lossy())))?;
    }
    Ok(pairs)
}
