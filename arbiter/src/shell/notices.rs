//! What processes say of themselves over their notify sockets (sd_notify(3)).

use super::{Role, Shell};
use proto::link::ToManager;
use supervise::{Input, Monotonic, RunId};
use sys::notify::Notification;

/// How many messages of one process are taken in a turn.
const A_TURN: usize = 32;

impl Shell {
    pub(super) fn handle_notices(&mut self, now: Monotonic, run: RunId) {
        for _ in 0..A_TURN {
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

    fn hear_notice(&mut self, now: Monotonic, run: RunId, notification: Notification) {
        let (main, is_worker) = match self.roles.get(&run) {
            Some(Role::Worker) => (self.children.pid(run), true),
            _ => {
                let pid = self.companions.ledger.processes().find(|(known, _)| *known == run);
                (pid.map(|(_, pid)| pid), false)
            }
        };
        let Some(main) = main else { return };
        if !is_believed(main, &notification) {
            tracing::debug!("process {} is not of the session of {main}: not believed", notification.pid);
        } else if is_worker {
            self.hear_worker(now, run, &notification.text);
        } else {
            let number = self.companions.ledger.notice(run, notification.text.clone());
            self.tell_manager(ToManager::Notified { number, run, text: notification.text });
        }
    }

    fn hear_worker(&mut self, now: Monotonic, run: RunId, text: &str) {
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => self.master.handle_worker(now, run, Input::Ready),
                Some(("WATCHDOG", "1")) => self.master.worker_beats(now, run),
                Some(("WATCHDOG", "trigger")) => self.master.worker_gives_up(now, run),
                Some(("STATUS", status)) => self.master.describe_worker(run, status.to_owned()),
                _ => {}
            }
        }
    }

    /// Stops listening to a process; the socket's file goes too.
    pub(super) fn drop_notify_socket(&mut self, run: RunId) {
        if let Some(socket) = self.notify_sockets.remove(&run) {
            let _ = self.reactor.deregister(&socket);
        }
    }
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
