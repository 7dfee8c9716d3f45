//! An arbiter that is started as systemd starts a service with sockets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use sys::children::Children;
use tests::{Site, Status, signal};

/// Becomes arbiter, which so has the number that the sockets are announced to.
const SCRIPT: &str = r#"export LISTEN_PID="${LISTEN_PID:-$$}"; exec "$0" "$@""#;

/// A running one. Each scenario waits for its end itself; the site ends it where a scenario fails.
pub(crate) struct Activated<'s> {
    site: &'s Site,
    children: RefCell<Children<()>>,
    /// How it ended.
    end: RefCell<Option<String>>,
}

impl<'s> Activated<'s> {
    /// With the site's configuration and these sockets, from descriptor 3 on.
    pub(crate) fn start(site: &'s Site, sockets: &[(&str, BorrowedFd<'_>)]) -> Self {
        Self::start_as(site, sockets, None)
    }

    /// As [`Activated::start`]; `listen_pid` is said to be who the sockets are for instead of arbiter itself.
    pub(crate) fn start_as(
        site: &'s Site,
        sockets: &[(&str, BorrowedFd<'_>)],
        listen_pid: Option<i32>,
    ) -> Self {
        let null = sys::fd::null().expect("there is /dev/null");
        let log =
            File::options().create(true).append(true).open(site.path("log")).expect("a log can be opened");
        let program = site.command("arbiter");
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => environment.insert(name.to_owned(), value.to_owned()),
                None => environment.remove(name),
            };
        }
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        environment.insert("LISTEN_FDS".into(), sockets.len().to_string().into());
        environment.insert("LISTEN_FDNAMES".into(), names.join(":").into());
        if let Some(pid) = listen_pid {
            environment.insert("LISTEN_PID".into(), pid.to_string().into());
        }
        let text = |bytes: &[u8]| CString::new(bytes).expect("no NUL bytes in here");
        let program = program.get_program().as_bytes();
        let words = [b"sh", b"-c", SCRIPT.as_bytes(), program, b"-c", b"arbiter.toml"];
        let streams = [(null.as_fd(), 0), (log.as_fd(), 1), (log.as_fd(), 2)];
        let sockets = sockets.iter().map(|(_, socket)| *socket).zip(3..);
        let command = sys::spawn::Command {
            candidates: vec![text(b"/bin/sh")],
            argv: words.map(text).to_vec(),
            env: environment
                .iter()
                .map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
                .collect(),
            fds: streams.into_iter().chain(sockets).collect(),
            cwd: Some(text(site.directory().as_bytes())),
            ..Default::default()
        };
        let spawned = sys::spawn::spawn(&command).expect("arbiter can be started");
        let mut children = Children::new();
        children.insert((), spawned.pid, spawned.pidfd);
        Self { site, children: RefCell::new(children), end: RefCell::new(None) }
    }

    pub(crate) fn signal(&self, number: i32) {
        self.children.borrow().signal((), number).expect("it has not been waited for");
    }

    /// Waits until the status is as `is` says.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        self.site.wait_for(what, || {
            assert_eq!(self.poll_end(), None, "arbiter has ended\n{}", self.site.tail());
            let output = self.site.ctl(&["--json", "status"]);
            (output.code == 0).then(|| Status::parse(&output.stdout)).filter(&is)
        })
    }

    /// Waits for its end: "exited with status 0".
    #[track_caller]
    pub(crate) fn wait_end(&self) -> String {
        self.site.wait_for("arbiter to end", || self.poll_end())
    }

    /// Stops it in good order.
    #[track_caller]
    pub(crate) fn stop(&self) {
        self.signal(signal::TERM);
        assert_eq!(self.wait_end(), "exited with status 0", "{}", self.site.tail());
    }

    fn poll_end(&self) -> Option<String> {
        let mut end = self.end.borrow_mut();
        if end.is_none() && self.children.borrow().peek(()).expect("a child can be looked at").is_some() {
            *end = Some(self.children.borrow_mut().reap(()).expect("it has ended").status.to_string());
        }
        end.clone()
    }
}
