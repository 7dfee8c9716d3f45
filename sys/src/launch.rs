//! From a specification to a process: what every child is given, in one place for workers and companions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use proto::spec::ProcessSpec;
use proto::spec::template::{self, Unset};

use crate::spawn::{Command, Identity, Letter, Limit};

/// The first descriptor after the standard streams: where listeners begin, as sd_listen_fds(3) has it.
pub const FIRST_LISTENER: RawFd = 3;

/// Where programs are looked for when the environment has no `PATH`, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What belongs to the talk between a service manager and this process, and never reaches a child.
const OWN_VARIABLES: [&str; 8] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "FDSTORE",
];

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

/// A process to be: its specification and where it is to run.
#[derive(Debug)]
pub struct Launch<'a> {
    /// How it is run.
    pub spec: &'a ProcessSpec,
    /// The environment arbiter was started with.
    pub inherited: &'a Environment,
    /// Which copy it is.
    pub place: Place<'a>,
    /// Variables that win over the specification's.
    pub variables: Vec<(&'a str, String)>,
    /// Listening sockets by name, from descriptor 3 on.
    pub listeners: Vec<(&'a str, BorrowedFd<'a>)>,
    /// Standard input.
    pub stdin: BorrowedFd<'a>,
    /// Standard output and error.
    pub outputs: [Output<'a>; 2],
    /// Where it can tell that it is ready.
    pub notify_socket: Option<&'a Path>,
    /// How far apart its signs of life may be (sd_watchdog_enabled(3)).
    pub watchdog: Option<Duration>,
    /// The limit of open files to go back to.
    pub nofile: Option<(u64, u64)>,
    /// What the kernel sends it when its parent dies.
    pub parent_death_signal: Option<i32>,
    /// What it tells a third party of itself.
    pub letter: Option<Letter<'a>>,
}

/// Where an output stream of a process goes.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// To what is open here.
    Open(BorrowedFd<'a>),
    /// To a file that the process opens itself; with placeholders.
    File(&'a str),
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
}

impl<'a> Launch<'a> {
    /// The command for [`crate::spawn::spawn`], and its program's name as it is to be shown.
    ///
    /// # Errors
    /// A placeholder has no value, or a text has a NUL byte.
    pub fn command(self) -> Result<(Command<'a>, Program), LaunchError> {
        let place = self.place.variables();
        let environment = self.environment(&place);
        let expand = |text: &str| self.expand(&environment, text);
        let argv = self.spec.command.iter().map(|word| expand(word)).collect::<Result<Vec<_>, _>>()?;
        let cwd = expand(&self.spec.cwd)?;
        let files = self.files(expand)?;
        let program = Program { name: argv.first().cloned().unwrap_or_default(), cwd: cwd.clone() };
        let env = environment
            .iter()
            .map(|(name, value)| {
                let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
                CString::new(pair)
                    .map_err(|_| LaunchError::Nul(format!("the variable {}", name.to_string_lossy())))
            })
            .collect::<Result<_, _>>()?;
        let command = Command {
            image: None,
            candidates: candidates(&program.name, environment.get(OsStr::new("PATH")).map(AsRef::as_ref))
                .into_iter()
                .map(|path| c_string("the command", path))
                .collect::<Result<_, _>>()?,
            argv: argv
                .into_iter()
                .map(|word| c_string("the command", word.into_bytes()))
                .collect::<Result<_, _>>()?,
            env,
            own_pid: self.own_pid(),
            fds: self.descriptors(),
            files,
            cwd: (!cwd.is_empty()).then(|| c_string("cwd", cwd.into_bytes())).transpose()?,
            umask: self.spec.umask,
            nice: self.spec.nice,
            oom_score_adj: self.spec.oom_score_adj,
            nofile: self.nofile,
            limits: self.spec.limits.iter().map(limit).collect(),
            identity: self.spec.identity.as_ref().map(|identity| Identity {
                uid: identity.uid,
                gid: identity.gid,
                groups: identity.groups.clone(),
            }),
            no_new_privileges: self.spec.no_new_privileges,
            parent_death_signal: self.parent_death_signal,
            letter: self.letter,
        };
        Ok((command, program))
    }

    fn own_pid(&self) -> Vec<&'static str> {
        let listens = (!self.listeners.is_empty()).then_some("LISTEN_PID");
        listens.into_iter().chain(self.watchdog.map(|_| "WATCHDOG_PID")).collect()
    }

    fn descriptors(&self) -> Vec<(BorrowedFd<'a>, RawFd)> {
        let outputs = self.outputs.iter().zip(1..).filter_map(|(output, number)| match output {
            Output::Open(fd) => Some((*fd, number)),
            Output::File(_) => None,
        });
        let listeners = self.listeners.iter().map(|(_, fd)| *fd).zip(FIRST_LISTENER..);
        std::iter::once((self.stdin, 0)).chain(outputs).chain(listeners).collect()
    }

    fn files(
        &self,
        expand: impl Fn(&str) -> Result<String, Unset>,
    ) -> Result<Vec<(CString, RawFd)>, LaunchError> {
        let mut files = Vec::new();
        for (output, number) in self.outputs.iter().zip(1..) {
            if let Output::File(path) = output {
                files.push((c_string("an output file", expand(path)?.into_bytes())?, number));
            }
        }
        Ok(files)
    }

    /// The child's environment, each layer over the one before: arbiter's own, the user's, the
    /// configuration's, the supervisor's.
    fn environment<'b>(&'b self, place: &'b [(&'static str, String)]) -> Layers<'b> {
        let mut environment: Layers<'b> =
            self.inherited.iter().map(|(name, value)| (name.as_os_str(), Cow::from(value))).collect();
        let unset = self.spec.unset_env.iter().map(String::as_str);
        for name in OWN_VARIABLES.into_iter().chain(unset) {
            environment.remove(OsStr::new(name));
        }
        let mut set = |name: &'b str, value: &'b OsStr| environment.insert(name.as_ref(), value.into());
        let login = self.spec.identity.as_ref().and_then(|identity| identity.login.as_ref());
        if let Some((user, home, shell)) = login {
            for (name, value) in [("USER", user), ("LOGNAME", user), ("HOME", home), ("SHELL", shell)] {
                set(name, value.as_ref());
            }
        }
        for (name, value) in &self.spec.env {
            set(name, value.as_ref());
        }
        for (name, value) in place.iter().chain(&self.variables) {
            set(name, value.as_ref());
        }
        if let Some(path) = self.place.control_socket {
            set("ARBITER_SOCKET", path.as_ref());
        }
        if let Some(path) = self.notify_socket {
            set("NOTIFY_SOCKET", path.as_os_str());
        }
        if let Some(period) = self.watchdog {
            let period = OsString::from(period.as_micros().to_string());
            environment.insert("WATCHDOG_USEC".as_ref(), period.into());
        }
        if !self.listeners.is_empty() {
            let names: Vec<&str> = self.listeners.iter().map(|(name, _)| *name).collect();
            let count = OsString::from(names.len().to_string());
            environment.insert("LISTEN_FDS".as_ref(), count.into());
            environment.insert("LISTEN_FDNAMES".as_ref(), OsString::from(names.join(":")).into());
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
            let listener = (FIRST_LISTENER..).zip(&self.listeners).find(|(_, (known, _))| *known == name);
            listener.map(|(number, _)| number.to_string()).or_else(|| self.place.placeholder(name))
        })
    }
}

impl Place<'_> {
    fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("ARBITER_PID", self.arbiter.to_string()),
            ("ARBITER_NAME", self.name.to_owned()),
            ("ARBITER_SLOT", self.slot.to_string()),
            ("ARBITER_GENERATION", self.generation.to_string()),
            ("SERVER_SOFTWARE", concat!("arbiter/", env!("CARGO_PKG_VERSION")).to_owned()),
        ]
    }

    fn placeholder(&self, name: &str) -> Option<String> {
        match name {
            "slot" => Some(self.slot.to_string()),
            "name" => Some(self.name.to_owned()),
            "generation" => Some(self.generation.to_string()),
            _ => None,
        }
    }
}

/// A program and its directory, for messages about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// As in the command, placeholders filled in.
    pub name: String,
    /// Where it was to run.
    pub cwd: String,
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

fn limit(limit: &proto::spec::Limit) -> Limit {
    Limit { resource: crate::limits::number(limit.resource), soft: limit.soft, hard: limit.hard }
}

fn c_string(what: &str, bytes: Vec<u8>) -> Result<CString, LaunchError> {
    CString::new(bytes).map_err(|_| LaunchError::Nul(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &[&str]) -> ProcessSpec {
        ProcessSpec {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            ..ProcessSpec::default()
        }
    }

    fn launch<'a>(spec: &'a ProcessSpec, inherited: &'a Environment, null: BorrowedFd<'a>) -> Launch<'a> {
        Launch {
            spec,
            inherited,
            place: Place { arbiter: 7, name: "web", slot: 2, generation: 5, control_socket: Some("/run/c") },
            variables: vec![("OVER", "all".into())],
            listeners: vec![("http", null), ("admin", null)],
            stdin: null,
            outputs: [Output::Open(null), Output::Open(null)],
            notify_socket: Some(Path::new("/run/n")),
            watchdog: Some(Duration::from_millis(2500)),
            nofile: None,
            parent_death_signal: None,
            letter: None,
        }
    }

    fn words(list: &[CString]) -> Vec<&str> {
        list.iter().map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn a_child_is_told_its_listeners_and_nothing_of_its_supervisors_own_service_manager() {
        let null = crate::fd::null().unwrap();
        let inherited = Environment::from([
            ("PATH".into(), "/a:/b".into()),
            ("NOTIFY_SOCKET".into(), "/systemd".into()),
            ("LISTEN_PID".into(), "7".into()),
            ("WATCHDOG_PID".into(), "7".into()),
            ("KEEP".into(), "1".into()),
            ("DROP".into(), "1".into()),
        ]);
        let mut spec = spec(&["serve", "--fd={http}", "{admin}", "{slot}", "{env.APP}", "{else}"]);
        spec.env = vec![("APP".into(), "first".into()), ("APP".into(), "last".into())];
        spec.env.push(("LISTEN_PID".into(), "8".into()));
        spec.unset_env = vec!["DROP".into()];
        let (command, program) =
            launch(&spec, &inherited, std::os::fd::AsFd::as_fd(&null)).command().unwrap();
        assert_eq!(words(&command.argv), ["serve", "--fd=3", "4", "2", "last", "{else}"]);
        assert_eq!(words(&command.candidates), ["/a/serve", "/b/serve"]);
        let expected = [
            "APP=last",
            "ARBITER_GENERATION=5",
            "ARBITER_NAME=web",
            "ARBITER_PID=7",
            "ARBITER_SLOT=2",
            "ARBITER_SOCKET=/run/c",
            "KEEP=1",
            "LISTEN_FDNAMES=http:admin",
            "LISTEN_FDS=2",
            "NOTIFY_SOCKET=/run/n",
            "OVER=all",
            "PATH=/a:/b",
            concat!("SERVER_SOFTWARE=arbiter/", env!("CARGO_PKG_VERSION")),
            "WATCHDOG_USEC=2500000",
        ];
        assert_eq!(words(&command.env), expected);
        assert_eq!(command.fds.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(command.own_pid, ["LISTEN_PID", "WATCHDOG_PID"]);
        assert_eq!(program.name, "serve");
    }

    #[test]
    fn a_missing_variable_and_a_nul_byte_are_named() {
        let null = crate::fd::null().unwrap();
        let null = std::os::fd::AsFd::as_fd(&null);
        let inherited = Environment::new();
        let unset = launch(&spec(&["{env.NOPE}"]), &inherited, null).command().unwrap_err();
        assert_eq!(unset.to_string(), "{env.NOPE}: the environment variable NOPE is not set");
        let nul = launch(&spec(&["a\0b"]), &inherited, null).command().unwrap_err();
        assert_eq!(nul.to_string(), "the command has a NUL byte, which no program can be given");
    }
}
