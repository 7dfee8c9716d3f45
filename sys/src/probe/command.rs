//! One command, and what is left of it.

use std::io;
use std::os::fd::OwnedFd;

use supervise::ExitStatus;
use supervise::signal::SIGKILL;

use super::Tries;
use crate::launch::Program;
use crate::reactor::{Interest, Reactor, Token};
use crate::spawn::{Command, SpawnProgress, read_status, spawn};

/// A command under way.
#[derive(Debug)]
pub(super) struct Running {
    /// How far it came before its exec.
    status: OwnedFd,
    program: Program,
    /// Whether anybody still waits for its end.
    pub(super) wanted: bool,
}

impl Tries {
    pub(super) fn run(
        &mut self,
        number: u64,
        command: &Command<'_>,
        program: Program,
        reactor: &Reactor,
        token: Token,
    ) -> io::Result<()> {
        let spawned = spawn(command)?;
        if let Err(error) = reactor.register(&spawned.pidfd, token, Interest::READ) {
            // One that cannot be watched must not live.
            let _ = crate::pidfd::send_signal(&spawned.pidfd, SIGKILL);
            return Err(error);
        }
        self.children.insert(number, spawned.pid, spawned.pidfd);
        self.commands.insert(number, Running { status: spawned.status, program, wanted: true });
        Ok(())
    }

    /// Kills a command with all its group; its end is still to come.
    pub(super) fn kill(&mut self, number: u64) {
        if let Some(running) = self.commands.get_mut(&number) {
            running.wanted = false;
            if let Err(error) = self.children.signal_group(number, SIGKILL) {
                tracing::debug!("a check's command cannot be killed: {error}");
            }
        }
    }

    /// A command has ended: with 0 all is well. `None`: nobody waits for it any more.
    pub(super) fn command_ended(&mut self, number: u64, reactor: &Reactor) -> Option<Result<(), String>> {
        let exit = self.children.peek(number).ok()??;
        if let Some(pidfd) = self.children.get(number) {
            let _ = reactor.deregister(&pidfd);
        }
        // What it left in its group goes with it.
        let _ = self.children.signal_group(number, SIGKILL);
        if let Err(error) = self.children.reap(number) {
            tracing::error!("a check's command cannot be reaped: {error}");
            self.children.forget(number);
        }
        let running = self.commands.remove(&number)?;
        let failure = match read_status(&running.status) {
            Ok(SpawnProgress::Failed(failure)) => {
                Some(failure.describe(&running.program.name, Some(&running.program.cwd)))
            }
            _ => None,
        };
        running.wanted.then(|| match (failure, exit.status) {
            (Some(failure), _) => Err(failure),
            (None, ExitStatus::Code(0)) => Ok(()),
            (None, status) => Err(format!("it {status}")),
        })
    }
}
