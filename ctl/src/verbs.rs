//! Which request a command line is.

use crate::cli::{
    Command, Companion, Companions, Logs, Recv, Reload, Restart, Run, Scale, Send, Shell, Signal, Until, Wait,
};
use crate::exit_code;
use crate::problem::Problem;
use proto::control::{
    CompanionUntil, LogRequest, ReloadScope, RunRequest, ScaleTarget, SendRequest, SignalTarget, Verb,
};
use proto::spec::Load;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How long a question may take unless `--timeout` says otherwise: a status never waits for anything.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// One request.
    Ask {
        /// The request.
        verb: Verb,
        /// Whether its answer is to come when the thing is done.
        wait: bool,
    },
    /// The same question again and again.
    Watch(Verb),
    /// `status --check`.
    Check(Vec<String>),
    /// Standard input to a companion, as many requests as it takes.
    Pour(SendRequest),
    /// `completions`.
    Script(Shell),
    /// `help`.
    Help(Vec<String>),
}

/// The task that `command` describes. Text that `load` sends is read here.
///
/// # Errors
///
/// For combinations of options that make no sense, what this version does not have, and text that cannot be
/// read.
pub(crate) fn task(command: Command, no_wait: bool) -> Result<Task, Problem> {
    let mut wait = !no_wait;
    let verb = match command {
        Command::Status { names, check: true, .. } => return Ok(Task::Check(names)),
        Command::Status { names, watch: true, .. } => return Ok(Task::Watch(Verb::Status(names))),
        Command::Status { names, .. } => Verb::Status(names),
        Command::Stats { names, watch: true } => return Ok(Task::Watch(Verb::Stats(names))),
        Command::Stats { names, .. } => Verb::Stats(names),
        Command::Completions { shell } => return Ok(Task::Script(shell)),
        Command::Help { verb } => return Ok(Task::Help(verb)),
        Command::Start { what: Companions::Companion { names } } => Verb::Start(names),
        Command::Stop { force, what: Companions::Companion { names } } => Verb::Stop { names, force },
        Command::Restart { what } => restart(what),
        Command::Reload { dry_run, what } => reload(dry_run, what)?,
        Command::Scale { what } => scale(what),
        Command::Signal { what } => signal(what),
        Command::Run { wait: to_the_end, what: Run::Companion { name, env, args } } => {
            wait = to_the_end;
            Verb::Run(RunRequest { name, env, args })
        }
        Command::Info { what: Companion::Companion { name } } => Verb::Info(name),
        Command::Pid { names } => Verb::Pids(names),
        Command::Logs { follow, lines, what: Logs::Companion { name } } => {
            Verb::Logs(LogRequest { name, follow, lines, after: None })
        }
        Command::Events { patterns } => Verb::Events { patterns, after: None },
        Command::Wait { what: Wait::Companion { name, until } } => {
            wait = true;
            let until = match until {
                Until::Ready => CompanionUntil::Ready,
                Until::Stopped => CompanionUntil::Stopped,
            };
            Verb::Wait { name, until }
        }
        Command::Send { what } => return Ok(send(what, wait)),
        Command::Recv { what: Recv::Companion { name, stream, follow } } => {
            Verb::Receive { name, stream, follow, after: None }
        }
        Command::Load { file, session, no_start, replace } => {
            let is_input = file == Path::new("-");
            let origin = if is_input { "standard input".to_owned() } else { file.display().to_string() };
            Verb::Load(Load { origin, toml: text(&file)?, session, start: !no_start, replace })
        }
        Command::Unload { what: Companions::Companion { names } } => Verb::Unload(names),
        Command::ReopenLogs => Verb::ReopenLogs,
        Command::Upgrade => Verb::Upgrade,
        Command::Shutdown { force } => Verb::Shutdown { force },
        Command::Ping => Verb::Ping,
        Command::Version => Verb::Version,
    };
    Ok(Task::Ask { verb, wait })
}

fn restart(what: Restart) -> Verb {
    match what {
        Restart::Companion { names } => Verb::Restart(names),
        Restart::Workers => Verb::RestartWorkers,
        Restart::Worker { slot } => Verb::RestartWorker { slot },
        Restart::Manager => Verb::RestartManager,
    }
}

fn reload(dry_run: bool, what: Option<Reload>) -> Result<Verb, Problem> {
    Ok(match (dry_run, what) {
        (false, None) => Verb::Reload(ReloadScope::All),
        (true, None) => Verb::Reload(ReloadScope::DryRun),
        (false, Some(Reload::Companions)) => Verb::Reload(ReloadScope::Companions),
        (false, Some(Reload::Workers)) => Verb::RestartWorkers,
        (false, Some(Reload::Companion { names })) => Verb::ReloadCompanion(names),
        (true, Some(_)) => {
            let message = "--dry-run shows the plan of a whole reload: use `arbiterctl reload --dry-run`";
            return Err(Problem::new(exit_code::USAGE, message));
        }
    })
}

fn scale(what: Scale) -> Verb {
    match what {
        Scale::Companion { name, change } => Verb::Scale { target: ScaleTarget::Companion(name), change },
        Scale::Workers { change } => Verb::Scale { target: ScaleTarget::Workers, change },
    }
}

fn signal(what: Signal) -> Verb {
    let (target, signal) = match what {
        Signal::Companion { name, signal } => (SignalTarget::Companions(vec![name]), signal),
        Signal::Workers { signal } => (SignalTarget::Workers, signal),
        Signal::Worker { slot, signal } => (SignalTarget::Worker(slot), signal),
    };
    Verb::Signal { target, signal }
}

/// A line that is given is sent with its newline; without one, standard input is sent as it is.
fn send(what: Send, wait: bool) -> Task {
    let Send::Companion { name, text, stream, eof } = what;
    match text {
        Some(text) => {
            let data = format!("{text}\n").into_bytes();
            Task::Ask { verb: Verb::Send(SendRequest { name, stream, data, eof }), wait }
        }
        None => Task::Pour(SendRequest { name, stream, data: Vec::new(), eof }),
    }
}

fn text(file: &Path) -> Result<String, Problem> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| {
        let message =
            format!("cannot read {}: {error}; give a file with [companion.*] tables", file.display());
        Problem::new(exit_code::FAILED, message)
    })
}

/// Whether the request changes anything: such a one carries a token and is never simply sent again.
pub(crate) fn changes_something(verb: &Verb) -> bool {
    match verb {
        Verb::Version
        | Verb::Ping
        | Verb::Status(_)
        | Verb::Reload(ReloadScope::DryRun)
        | Verb::Info(_)
        | Verb::Stats(_)
        | Verb::Pids(_)
        | Verb::Logs(_)
        | Verb::Events { .. }
        | Verb::Wait { .. }
        | Verb::Receive { .. }
        | Verb::Outcome(_) => false,
        Verb::Reload(ReloadScope::All | ReloadScope::Companions)
        | Verb::Upgrade
        | Verb::Shutdown { .. }
        | Verb::Start(_)
        | Verb::Stop { .. }
        | Verb::Restart(_)
        | Verb::RestartWorkers
        | Verb::RestartWorker { .. }
        | Verb::RestartManager
        | Verb::ReloadCompanion(_)
        | Verb::Scale { .. }
        | Verb::Signal { .. }
        | Verb::Run(_)
        | Verb::Send(_)
        | Verb::Load(_)
        | Verb::Unload(_)
        | Verb::ReopenLogs => true,
    }
}

/// Whether what the request asks for may still be on its way when whoever waits for it leaves.
pub(crate) fn goes_on(verb: &Verb, wait: bool) -> bool {
    wait && changes_something(verb) && !matches!(verb, Verb::Send(_) | Verb::Signal { .. } | Verb::ReopenLogs)
}

/// Whether the answer comes in pieces, and its end says nothing more.
pub(crate) fn is_stream(verb: &Verb) -> bool {
    matches!(verb, Verb::Logs(_) | Verb::Events { .. } | Verb::Receive { .. })
}

/// How long the request may take unless `--timeout` says otherwise. Streams take as long as their reader
/// likes, and a plan as long as reading the configuration.
pub(crate) fn default_timeout(verb: &Verb) -> Option<Duration> {
    matches!(
        verb,
        Verb::Version | Verb::Ping | Verb::Status(_) | Verb::Info(_) | Verb::Stats(_) | Verb::Pids(_)
    )
    .then_some(QUESTION_TIMEOUT)
}

#[cfg(test)]
#[path = "verbs_tests.rs"]
mod tests;
