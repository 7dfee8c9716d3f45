//! A running `arbiter`.

use crate::{Output, Site, Status, processes, signal};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

/// A running `arbiter`. Dropping one that runs stops it and expects exit status 0.
#[derive(Debug)]
pub struct Arbiter<'s> {
    site: &'s Site,
    child: RefCell<Child>,
    pid: i32,
    ended: Cell<Option<i32>>,
}

impl<'s> Arbiter<'s> {
    pub(crate) fn launch(site: &'s Site, mut command: Command) -> Self {
        let log =
            File::options().create(true).append(true).open(site.path("log")).expect("a log can be opened");
        let output = log.try_clone().expect("a descriptor is to be had");
        let child = command.stdout(Stdio::from(output)).stderr(Stdio::from(log)).spawn();
        let child = child.expect("arbiter can be started");
        let pid = i32::try_from(child.id()).expect("process ids are small");
        Self { site, child: RefCell::new(child), pid, ended: Cell::new(None) }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// `arbiterctl` on its socket.
    #[must_use]
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        self.site.ctl(arguments)
    }

    /// `arbiterctl`, which has to succeed.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Output {
        let output = self.ctl(arguments);
        assert_eq!(output.code, 0, "arbiterctl {arguments:?}: {output:?}\n{}", self.site.tail());
        output
    }

    /// The status, if it can be had.
    #[must_use]
    pub fn try_status(&self) -> Option<Status> {
        let output = self.ctl(&["--json", "status"]);
        (output.code == 0).then(|| Status::parse(&output.stdout))
    }

    /// The status.
    ///
    /// # Panics
    /// It cannot be had.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Status {
        Status::parse(&self.done(&["--json", "status"]).stdout)
    }

    /// Waits until the status is as `is` says.
    ///
    /// # Panics
    /// It does not become so, or arbiter ends.
    #[track_caller]
    pub fn wait_for_status(&self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        let last = RefCell::new(None);
        let begun = std::time::Instant::now();
        crate::wait_for(
            what,
            crate::PATIENCE,
            || {
                let last: Option<Status> = last.borrow_mut().take();
                format!("after {:?}, last: {last:?}\n{}", begun.elapsed(), self.site.tail())
            },
            || {
                assert!(
                    self.poll_exit().is_none(),
                    "arbiter ended while waiting for {what}\n{}",
                    self.site.tail()
                );
                let status = self.try_status();
                *last.borrow_mut() = status.clone();
                status.filter(&is)
            },
        )
    }

    /// Waits until every worker and required companion has been ready.
    #[track_caller]
    pub fn wait_until_running(&self) -> Status {
        self.wait_for_status("arbiter to be running", |status| status.state() == "running")
    }

    /// Waits until a companion is in a state.
    #[track_caller]
    pub fn wait_for_companion(&self, name: &str, state: &str) -> Status {
        self.wait_for_status(&format!("{name} to be {state}"), |status| status.companion(name).state == state)
    }

    /// Sends it a signal.
    pub fn signal(&self, number: i32) {
        processes::signal(self.pid, number);
    }

    /// Kills the manager and waits until another one answers.
    #[track_caller]
    pub fn kill_manager(&self) -> Status {
        let manager = self.wait_for_status("a manager", |status| status.manager().is_some()).manager();
        processes::signal(manager.expect("it was waited for"), signal::KILL);
        self.wait_for_status("another", |status| status.manager().is_some_and(|pid| Some(pid) != manager))
    }

    /// Kills it outright: what it leaves has to go by itself.
    pub fn kill(&self) {
        self.site.expect_untidiness();
        self.signal(signal::KILL);
        self.wait_exit();
    }

    /// It dies without cleaning up, by what a test has set up.
    pub fn expect_death(&self) {
        self.site.expect_untidiness();
        self.wait_exit();
    }

    /// Its exit status if it has ended: the code, or 128 and the signal.
    #[must_use]
    pub fn poll_exit(&self) -> Option<i32> {
        if self.ended.get().is_none() {
            let status = self.child.borrow_mut().try_wait().expect("a child can be waited for");
            let code = status.and_then(|status| status.code().or(status.signal().map(|signal| 128 + signal)));
            self.ended.set(code);
        }
        self.ended.get()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    #[track_caller]
    pub fn wait_exit(&self) -> i32 {
        self.site.wait_for("arbiter to end", || self.poll_exit())
    }

    /// Asks it to stop in good order and waits for its end.
    #[track_caller]
    pub fn stop(&self) -> i32 {
        self.signal(signal::TERM);
        self.wait_exit()
    }
}

impl Drop for Arbiter<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The site ends everything else.
            let _ = self.child.borrow_mut().kill();
            let _ = self.child.borrow_mut().wait();
        } else if self.poll_exit().is_none() {
            let code = self.stop();
            assert_eq!(code, 0, "arbiter's exit status\n{}", self.site.tail());
        }
    }
}
