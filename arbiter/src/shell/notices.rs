//! What processes say of themselves over their notify sockets (sd_notify(3)).

use super::{Role, Shell, Source};
use proto::link::ToManager;
use std::os::fd::OwnedFd;
use std::time::Duration;
use supervise::{Input, Monotonic, RunId};
use sys::notify::Notification;
use sys::reactor::Interest;

/// How many messages of one process are taken in a turn.
const A_TURN: usize = 32;
/// How many are taken where all that lies there is wanted: more than the kernel queues for one socket
/// (`net.unix.max_dgram_qlen`, 10 to 512).
const AT_ONCE: usize = 1024;

impl Shell {
    /// Passes on all that a companion's process has said so far, and says so.
    pub(super) fn pass_on(&mut self, now: Monotonic, run: RunId, at_end: bool) {
        self.take_notices(now, run, AT_ONCE);
        self.tell_manager(ToManager::PassedOn { run, at_end });
    }

    pub(super) fn handle_notices(&mut self, now: Monotonic, run: RunId) {
        self.take_notices(now, run, A_TURN);
    }

    fn take_notices(&mut self, now: Monotonic, run: RunId, most: usize) {
        let ledger = &self.companions.ledger;
        if ledger.contains(run) && ledger.pid_of(run).is_none() {
            // Its letter still lies in the link: until then nobody can be believed.
            return;
        }
        for _ in 0..most {
            let Some(socket) = self.notify_sockets.get(&run) else { return };
            match socket.recv() {
                Ok(Some(notification)) => self.hear_notice(now, run, notification),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!("cannot read what a process says of itself: {error}");
                    return self.drop_notify_socket(run);
                }
            }
        }
    }

    /// Takes in what a process says. A BARRIER=1 is answered at the end: its descriptor is closed with the
    /// notification, when everything before it and it itself have been taken in.
    fn hear_notice(&mut self, now: Monotonic, run: RunId, notification: Notification) {
        let is_worker = self.roles.get(&run) == Some(&Role::Worker);
        let leader = if is_worker { self.children.pid(run) } else { self.companions.ledger.pid_of(run) };
        let Some(leader) = leader else { return };
        if !is_believed(leader, &notification) {
            tracing::debug!("process {} is not of the session of {leader}: not believed", notification.pid);
        } else if is_worker {
            self.hear_worker(now, run, &notification.text);
        } else {
            self.hear_companion(run, &notification.text);
        }
    }

    /// Passes on what a companion's process says, save who counts in its place: that is arbiter's to know, for the
    /// next manager has to know it, too.
    fn hear_companion(&mut self, run: RunId, text: &str) {
        let mut rest = String::new();
        for line in text.lines() {
            match line.strip_prefix("MAINPID=") {
                Some(pid) => self.follow_in_companion(run, pid),
                None => {
                    rest.push_str(line);
                    rest.push('\n');
                }
            }
        }
        if !rest.is_empty() {
            let number = self.companions.ledger.notice(run, rest.clone());
            self.tell_manager(ToManager::Notified { number, run, text: rest });
        }
    }

    fn hear_worker(&mut self, now: Monotonic, run: RunId, text: &str) {
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => self.master.handle_worker(now, run, Input::Ready),
                Some(("WATCHDOG", "1")) => self.master.worker_beats(now, run),
                Some(("WATCHDOG", "trigger")) => self.master.worker_gives_up(now, run),
                Some(("STOPPING", "1")) => self.master.handle_worker(now, run, Input::Leaves),
                Some(("EXTEND_TIMEOUT_USEC", time)) => {
                    if let Ok(by) = time.parse().map(Duration::from_micros) {
                        self.master.handle_worker(now, run, Input::MoreTime { by });
                    }
                }
                Some(("STATUS", status)) => self.master.describe_worker(run, status.to_owned()),
                Some(("MAINPID", pid)) => self.follow_in_worker(now, run, pid),
                Some((name, value)) => {
                    if let Some(text) = sys::notify::trouble(name, value) {
                        self.master.handle_worker(now, run, Input::Remark { text });
                    }
                }
                None => {}
            }
        }
    }

    /// A worker says that another process of its session counts in its place: signals go there, and its end is
    /// the worker's.
    fn follow_in_worker(&mut self, now: Monotonic, run: RunId, pid: &str) {
        let Some(leader) = self.children.pid(run) else { return };
        let Some(pid) = named(pid).filter(|pid| self.children.main_pid(run) != Some(*pid)) else { return };
        let name = self.master.pool().name_of(run).unwrap_or_default();
        let main = match open_main(leader, pid) {
            Ok(main) => main,
            Err(error) => return refuse(&name, pid, &error),
        };
        self.follow_main(run, pid, main);
        tracing::info!("{name}: its main process is pid {pid} from now on");
        self.master.handle_worker(now, run, Input::Spawned { pid });
    }

    /// Likewise of a companion. What arbiter keeps of it is handed to the next manager.
    fn follow_in_companion(&mut self, run: RunId, pid: &str) {
        let ledger = &self.companions.ledger;
        let Some(leader) = ledger.pid_of(run) else { return };
        let Some(pid) = named(pid).filter(|pid| ledger.main_of(run) != Some(*pid)) else { return };
        if ledger.exit_of(run).is_some() {
            // Too late: it is taken as ended.
            return;
        }
        let name = ledger.name_of(run).unwrap_or_default();
        if let Err(error) = self.keep_main(run, leader, pid) {
            refuse(&name, pid, &error);
        }
    }

    fn keep_main(&mut self, run: RunId, leader: i32, pid: i32) -> std::io::Result<()> {
        let main = open_main(leader, pid)?;
        let told = main.as_ref().map(OwnedFd::try_clone).transpose()?;
        if self.roles.get(&run) == Some(&Role::Adopted) {
            self.follow_main(run, pid, main.as_ref().map(OwnedFd::try_clone).transpose()?);
        }
        self.companions.ledger.follow(run, pid);
        match main {
            Some(main) => drop(self.companions.mains.insert(run, main)),
            None => drop(self.companions.mains.remove(&run)),
        }
        self.queue(&ToManager::Follow { run, pid }, told.into_iter().collect());
        Ok(())
    }

    /// From now on `main` counts in the place of a child; `None`: that itself.
    pub(super) fn follow_main(&mut self, run: RunId, pid: i32, main: Option<OwnedFd>) {
        if let Some(before) = self.children.get(run) {
            let _ = self.reactor.deregister(&before);
        }
        self.children.follow(run, main.map(|main| (pid, main)));
        let Some(main) = self.children.get(run) else { return };
        if let Err(error) = self.reactor.register(&main, Source::Child(run).into(), Interest::READ) {
            tracing::error!("cannot watch process {pid}: {error}");
        }
    }

    /// Stops listening to a process; the socket's file goes too.
    pub(super) fn drop_notify_socket(&mut self, run: RunId) {
        if let Some(socket) = self.notify_sockets.remove(&run) {
            let _ = self.reactor.deregister(&socket);
        }
    }
}

/// The process that is named as the main one.
fn named(pid: &str) -> Option<i32> {
    pid.parse().ok().filter(|pid| *pid > 0)
}

/// A descriptor for the process that is to count in `leader`'s place; `None` where that is itself.
fn open_main(leader: i32, pid: i32) -> std::io::Result<Option<OwnedFd>> {
    (pid != leader).then(|| sys::pidfd::open_member(leader, pid)).transpose()
}

fn refuse(name: &str, pid: i32, error: &std::io::Error) {
    tracing::warn!("{name} names {pid} as its main process, not believed: {error}");
}

/// Whether a message may speak for the process `main`: it is from itself, from a member of its session, or,
/// when the sender has gone already, from its user.
fn is_believed(main: i32, notification: &Notification) -> bool {
    if notification.pid == main {
        return true;
    }
    match sys::procfs::stat(notification.pid) {
        Some(stat) => stat.session == main,
        None => sys::procfs::owner(main) == Some(notification.uid),
    }
}
