//! Asking companions how they are.

use super::spawn::output;
use super::{Shell, Source, now};
use crate::table::Input;
use proto::spec::Output;
use std::io;
use std::os::fd::AsFd;
use supervise::RunId;
use supervise::probe::{Attempt, Purpose, Step};
use supervise::signal::SIGKILL;
use sys::launch::{Launch, Place};
use sys::probe::Question;

impl Shell {
    pub(super) fn act_on_probe(&mut self, step: Step) {
        match step {
            Step::Try { attempt, run, purpose } => {
                let over = self.begin_try(run, purpose, attempt).unwrap_or_else(|reason| Some(Err(reason)));
                self.tried(attempt, over);
            }
            Step::Abandon { attempt } => self.tries.abandon(attempt.0, &self.reactor),
        }
    }

    /// A try has something to say.
    pub(super) fn handle_try(&mut self, attempt: Attempt) {
        let over = self.tries.handle(attempt.0, &self.reactor, Source::Probe(attempt).token());
        self.tried(attempt, over);
    }

    fn tried(&mut self, attempt: Attempt, over: Option<Result<(), String>>) {
        if let Some(result) = over {
            self.table.handle(Input::Tried { attempt, result }, now());
        }
    }

    /// A command is run as the companion is, but for its notify socket.
    fn begin_try(
        &mut self,
        run: RunId,
        purpose: Purpose,
        attempt: Attempt,
    ) -> Result<Option<Result<(), String>>, String> {
        let key = self.table.key_of(run).ok_or("its process is gone")?;
        let companion = self.table.companion(key.companion).ok_or("its companion is gone")?;
        let check = companion.check(purpose).ok_or("it has no check any more")?;
        let spec = check.process(&companion.spec.process);
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let out = output(&companion.spec.stdout, stdout.as_fd(), self.null.as_fd());
        let err = match &companion.spec.stderr {
            None | Some(Output::Stdout) if companion.spec.stdout != Output::Inherit => out,
            None | Some(Output::Stdout) => sys::launch::Output::Open(stderr.as_fd()),
            Some(own) => output(own, stderr.as_fd(), self.null.as_fd()),
        };
        let variables = self.sockets.variables(self.table.is_prepared(key.companion));
        let launch = Launch {
            spec: &spec,
            inherited: &self.environment,
            place: Place {
                arbiter: self.boot.arbiter,
                name: &companion.spec.name,
                slot: key.slot,
                generation: self.master.arbiter.generation,
                control_socket: self.boot.control_socket.as_deref(),
            },
            variables: variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
            listeners: Vec::new(),
            listen: None,
            streams: Vec::new(),
            stdin: self.null.as_fd(),
            outputs: [out, err],
            notify_socket: None,
            watchdog: None,
            nofile: self.boot.nofile,
            parent_death_signal: Some(SIGKILL),
            letter: None,
        };
        let question = Question::new(check, launch).map_err(|error| error.to_string())?;
        Ok(self.tries.begin(attempt.0, question, &self.reactor, Source::Probe(attempt).token()))
    }
}
