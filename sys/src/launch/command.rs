//! A specification and where it is to run, and the command that it makes.

use std::borrow::Cow;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use proto::spec::ProcessSpec;

use super::launcher;
use super::words::Words;
use super::{Environment, LaunchError, Place, Program};
use crate::spawn::{Command, Identity, Letter, Limit};

/// The first descriptor after the standard streams: where listeners begin, as sd_listen_fds(3) has it.
pub const FIRST_LISTENER: RawFd = 3;

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
    /// Its own listening socket, after these: a companion's, whose number is `{listen}`.
    pub listen: Option<(&'a str, BorrowedFd<'a>)>,
    /// Its ends of two-way streams by name, after these.
    pub streams: Vec<(&'a str, BorrowedFd<'a>)>,
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

impl<'a> Launch<'a> {
    /// The command for [`crate::spawn::spawn`], and its program as it is to be shown.
    ///
    /// # Errors
    /// A placeholder has no value, or a text has a NUL byte; with an `env_file` that comes later, from the
    /// process itself.
    pub fn command(self) -> Result<(Command<'a>, Program), LaunchError> {
        let words = self.words();
        let mut program = words.program();
        let told = match &self.spec.env_file {
            None => {
                let told = words.command(self.inherited, &[])?;
                let text = |text: &std::ffi::CString| text.to_string_lossy().into_owned();
                program.name = told.argv.first().map(text).unwrap_or_default();
                program.cwd = told.cwd.as_ref().map(text).unwrap_or_default();
                told
            }
            Some(file) => {
                let signal = self.parent_death_signal;
                launcher::command(words, file, self.inherited, signal, self.letter.as_ref())?
            }
        };
        let command = Command {
            fds: self.descriptors(),
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
            ..told
        };
        Ok((command, program))
    }

    /// A text with its placeholders filled in, as in the command; variables that an `env_file` sets are not known.
    ///
    /// # Errors
    /// A placeholder has no value.
    pub fn fill_in(&self, text: &str) -> Result<String, LaunchError> {
        Ok(self.words().fill_in(self.inherited, text)?)
    }

    fn words(&self) -> Words<'_> {
        let files = self.outputs.iter().zip(1..).filter_map(|(output, number)| match output {
            Output::File(path) => Some(((*path).into(), number)),
            Output::Open(_) => None,
        });
        let variables = self.variables.iter();
        Words {
            spec: Cow::Borrowed(self.spec),
            arbiter: self.place.arbiter,
            name: self.place.name.into(),
            slot: self.place.slot,
            generation: self.place.generation,
            control_socket: self.place.control_socket.map(Cow::from),
            variables: variables.map(|(name, value)| ((*name).into(), value.into())).collect(),
            listeners: self.listeners.iter().map(|(name, _)| (*name).into()).collect(),
            listen: self.listen.map(|(name, _)| name.into()),
            streams: self.streams.iter().map(|(name, _)| (*name).into()).collect(),
            files: files.collect(),
            notify_socket: self.notify_socket.map(|path| path.as_os_str().into()),
            watchdog: self.watchdog,
        }
    }

    fn descriptors(&self) -> Vec<(BorrowedFd<'a>, RawFd)> {
        let outputs = self.outputs.iter().zip(1..).filter_map(|(output, number)| match output {
            Output::Open(fd) => Some((*fd, number)),
            Output::File(_) => None,
        });
        let named = self.listeners.iter().chain(&self.listen).chain(&self.streams);
        let named = named.map(|(_, fd)| *fd).zip(FIRST_LISTENER..);
        std::iter::once((self.stdin, 0)).chain(outputs).chain(named).collect()
    }
}

fn limit(limit: &proto::spec::Limit) -> Limit {
    Limit { resource: crate::limits::number(limit.resource), soft: limit.soft, hard: limit.hard }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

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
            listen: None,
            streams: Vec::new(),
            stdin: null,
            outputs: [Output::Open(null), Output::Open(null)],
            notify_socket: Some(Path::new("/run/n")),
            watchdog: Some(Duration::from_millis(2500)),
            nofile: None,
            parent_death_signal: None,
            letter: None,
        }
    }

    fn told<'a>(command: &'a Command<'_>) -> Vec<&'a str> {
        command.env.iter().map(|pair| pair.to_str().unwrap()).collect()
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
        assert_eq!(told(&command), expected);
        assert_eq!(command.fds.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(command.own_pid, ["LISTEN_PID", "WATCHDOG_PID"]);
        assert_eq!(program.name, "serve");
    }

    #[test]
    fn what_an_arbiter_above_has_told_this_one_is_not_passed_on() {
        let null = crate::fd::null().unwrap();
        let null = std::os::fd::AsFd::as_fd(&null);
        let above =
            ["ARBITER_SOCKET", "ARBITER_STREAM_Z", "ARBITER_EVENT_NAME", "ARBITER_SLOT", "ARBITER_OF_MINE"];
        let inherited = above.map(|name| (name.into(), "above".into())).into();
        let place = Place { arbiter: 7, name: "web", slot: 2, generation: 5, control_socket: None };
        let told = |spec: &ProcessSpec| {
            let (command, _) = Launch { place, ..launch(spec, &inherited, null) }.command().unwrap();
            let env = command.env.iter().map(|pair| pair.to_str().unwrap().to_owned());
            env.filter(|pair| pair.starts_with("ARBITER_")).collect::<Vec<_>>()
        };
        let mut spec = spec(&["serve"]);
        let own = ["ARBITER_GENERATION=5", "ARBITER_NAME=web", "ARBITER_OF_MINE=above", "ARBITER_PID=7"];
        assert_eq!(told(&spec), [&own[..], &["ARBITER_SLOT=2"]].concat());
        // What the configuration says is meant.
        spec.env = vec![("ARBITER_SOCKET".into(), "/theirs".into()), ("ARBITER_STREAM_Z".into(), "5".into())];
        let more = ["ARBITER_SLOT=2", "ARBITER_SOCKET=/theirs", "ARBITER_STREAM_Z=5"];
        assert_eq!(told(&spec), [&own[..], &more].concat());
    }

    #[test]
    fn a_socket_of_its_own_comes_after_its_listeners_and_has_a_placeholder_of_its_own() {
        let null = crate::fd::null().unwrap();
        let null = std::os::fd::AsFd::as_fd(&null);
        let (spec, inherited) = (spec(&["serve", "{listen}", "{data.redis}"]), Environment::new());
        let listen = Some(("data.redis", null));
        let (command, _) = Launch { listen, ..launch(&spec, &inherited, null) }.command().unwrap();
        assert_eq!(words(&command.argv), ["serve", "5", "{data.redis}"]);
        let env = told(&command);
        assert!(env.contains(&"LISTEN_FDS=3") && env.contains(&"LISTEN_FDNAMES=http:admin:data.redis"));
        assert_eq!(command.fds.last().map(|(_, number)| *number), Some(5));
    }

    #[test]
    fn streams_come_after_all_that_it_listens_on_and_each_number_is_told() {
        let null = crate::fd::null().unwrap();
        let null = std::os::fd::AsFd::as_fd(&null);
        let (spec, inherited) = (spec(&["serve", "{listen}", "{events}"]), Environment::new());
        let (listen, streams) = (Some(("data", null)), vec![("events", null), ("to-do", null)]);
        let (command, _) = Launch { listen, streams, ..launch(&spec, &inherited, null) }.command().unwrap();
        assert_eq!(words(&command.argv), ["serve", "5", "{events}"]);
        let env = told(&command);
        assert!(env.contains(&"ARBITER_STREAM_EVENTS=6") && env.contains(&"ARBITER_STREAM_TO_DO=7"));
        assert!(env.contains(&"LISTEN_FDS=3"));
        assert_eq!(
            command.fds.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
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
