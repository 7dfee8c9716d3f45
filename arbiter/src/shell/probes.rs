//! Asking workers whether they are ready.

use super::workers::place;
use super::{Shell, Source};
use anyhow::Context;
use std::os::fd::AsFd;
use supervise::probe::{Attempt, Step};
use supervise::signal::SIGKILL;
use supervise::{Monotonic, RunId};
use sys::launch::{Launch, Output};
use sys::probe::Question;

impl Shell {
    pub(super) fn act_on_probe(&mut self, now: Monotonic, step: Step) {
        match step {
            Step::Try { attempt, run, .. } => {
                let over = match self.begin_try(run, attempt) {
                    Ok(over) => over,
                    Err(error) => Some(Err(format!("{error:#}"))),
                };
                if let Some(result) = over {
                    self.master.tried(now, attempt, result);
                }
            }
            Step::Abandon { attempt } => self.tries.abandon(attempt.0, &self.reactor),
        }
    }

    /// A try has something to say.
    pub(super) fn handle_try(&mut self, now: Monotonic, attempt: Attempt) {
        if let Some(result) = self.tries.handle(attempt.0, &self.reactor, Source::Probe(attempt).into()) {
            self.master.tried(now, attempt, result);
        }
    }

    /// A command is run as the worker is, but for what is the worker's alone: its listeners, its notify socket.
    fn begin_try(&mut self, run: RunId, attempt: Attempt) -> anyhow::Result<Option<Result<(), String>>> {
        let plan = self.master.pool().launch(run).context("its worker is gone")?;
        let for_candidate = self.is_for_candidate(&plan);
        let control_socket = self.control_socket(for_candidate).map(str::to_owned);
        let variables = self.listeners.variables(for_candidate);
        let check = plan.settings.spec.ready.check().context("it has no check any more")?;
        let spec = check.process(&plan.settings.spec.process);
        let [stdout, stderr] = &self.outputs;
        let launch = Launch {
            spec: &spec,
            inherited: &self.origin.environment,
            place: place(&plan, &self.master.spec().name, control_socket.as_deref()),
            variables: variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
            listeners: Vec::new(),
            listen: None,
            streams: Vec::new(),
            stdin: self.null.as_fd(),
            outputs: [Output::Open(stdout.as_fd()), Output::Open(stderr.as_fd())],
            notify_socket: None,
            watchdog: None,
            nofile: Some(self.nofile),
            parent_death_signal: Some(SIGKILL),
            letter: None,
        };
        let question = Question::new(check, launch)?;
        Ok(self.tries.begin(attempt.0, question, &self.reactor, Source::Probe(attempt).into()))
    }
}
