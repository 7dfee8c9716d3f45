//! What is judged when everything was read: what processes need to be there, and doubtful placeholders.

use super::companion::Read;
use super::context::Context;
use super::diagnostic::Place;
use super::placeholders;
use super::probe;
use super::section::Section;
use super::surroundings;
use proto::spec::{Check, HookSpec, Output, ProcessSpec, Ready, WorkersSpec};

/// What is judged against.
pub(crate) struct Judge<'a> {
    /// arbiter's name, which is the workers' name too.
    pub(crate) name: &'a str,
    /// The names of all listeners.
    pub(crate) listeners: &'a [&'a str],
    /// Where the verdicts go.
    pub(crate) context: &'a Context<'a>,
}

impl Judge<'_> {
    /// Workers: what is missing keeps arbiter from starting.
    pub(crate) fn workers(&self, spec: &WorkersSpec, section: &Section<'_>) {
        let missing = surroundings::check(&spec.process, self.name, self.context);
        let faults = [("command", missing.command), ("cwd", missing.cwd), ("env_file", missing.env_file)];
        for (key, fault) in faults {
            if let Some(fault) = fault {
                section.contradiction(&[key], fault);
            }
        }
        if let (Some(doubt), Some(place)) = (missing.ignored, section.place_of("env_file")) {
            self.context.diagnostics.warn(place, doubt);
        }
        let command = spec.process.command.iter().map(|word| ("command", word));
        for (key, text) in command.chain([("cwd", &spec.process.cwd)]) {
            let Some(place) = section.place_of(key) else { continue };
            self.warn(place, text, false);
        }
        if let (Ready::Probe { check, .. }, Some(place)) = (&spec.ready, probe::exec_place(section, "ready"))
        {
            self.check((check, place), &spec.process, self.name);
        }
    }

    /// A companion: what is missing may be there at the next try.
    pub(crate) fn companion(&self, read: &Read) {
        let spec = &read.spec;
        let missing = surroundings::check(&spec.process, &spec.name, self.context);
        let faults = [
            (read.command_place, missing.command),
            (read.cwd_place, missing.cwd),
            (read.env_file_place, missing.env_file),
        ];
        for (place, fault) in faults {
            if let Some(fault) = fault {
                self.context.diagnostics.problem(place, fault);
            }
        }
        if let Some(doubt) = missing.ignored {
            self.context.diagnostics.warn(read.env_file_place, doubt);
        }
        for word in &spec.process.command {
            self.warn(read.command_place, word, true);
        }
        let ready = match &spec.ready {
            Ready::Probe { check, .. } => Some(check).zip(read.ready_place),
            _ => None,
        };
        let health = spec.health.as_ref().map(|health| &health.check).zip(read.health_place);
        for check in ready.into_iter().chain(health) {
            self.check(check, &spec.process, &spec.name);
        }
        self.warn(read.cwd_place, &spec.process.cwd, true);
        self.warn(read.place, &spec.log.file, true);
        for output in std::iter::once(&spec.stdout).chain(&spec.stderr) {
            if let Output::File(path) = output {
                self.warn(read.place, path, true);
            }
        }
    }

    /// A hook: one that can never run is a mistake.
    pub(crate) fn hook(&self, hook: &HookSpec, place: Place) {
        if let Some(fault) = surroundings::check(&hook.process, self.name, self.context).command {
            self.context.diagnostics.report(place, fault);
        }
    }

    /// The command of a check, which is run as the process it asks: it may be there when that is asked.
    fn check(&self, (check, place): (&Check, Place), of: &ProcessSpec, name: &str) {
        if let Some(fault) = surroundings::check(&check.process(of), name, self.context).command {
            self.context.diagnostics.problem(place, fault);
        }
    }

    fn warn(&self, place: Place, text: &str, is_companion: bool) {
        for doubt in placeholders::doubts(text, self.listeners, is_companion) {
            self.context.diagnostics.warn(place, doubt);
        }
    }
}
