//! From the command line to the exit status.

use crate::check;
use crate::cli::{Cli, Options, usage_problem};
use crate::client::Client;
use crate::completion;
use crate::exit_code;
use crate::json;
use crate::locate::Surroundings;
use crate::output::Output;
use crate::problem::Problem;
use crate::show::{self, View};
use crate::verbs::{self, Task};
use crate::verdict;
use crate::watch;
use clap::Parser;
use proto::control::{Answer, SendRequest, Status, Verb};
use std::ffi::OsString;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

/// Between two answers of `--watch` where they are not drawn on a terminal.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How much of standard input goes into one request of `send` at most.
const SEND_PIECE: usize = 256 << 10;

/// Runs `arbiterctl` with the command line `args`, the program's name included.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(answered) = completion::answer(&args) {
        return answered;
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(no_command(&error)),
    };
    let mut output = Output::new(cli.options.json);
    let result = perform(cli, &mut output);
    output.clear_progress();
    match result {
        Ok(()) => ExitCode::from(exit_code::DONE),
        Err(problem) => {
            output.complain(&problem);
            ExitCode::from(problem.code)
        }
    }
}

/// Help and the version are answers, the rest is bad usage.
fn no_command(error: &clap::Error) -> u8 {
    let mut output = Output::new(false);
    let problem = if error.use_stderr() {
        usage_problem(error)
    } else {
        match output.answer(error.to_string().as_bytes()) {
            Ok(()) => return exit_code::DONE,
            Err(problem) => problem,
        }
    };
    output.complain(&problem);
    problem.code
}

fn perform(cli: Cli, output: &mut Output) -> Result<(), Problem> {
    let Cli { options, command } = cli;
    let task = verbs::task(command, options.no_wait)?;
    if let Task::Script(shell) = task {
        return output.answer(&completion::script(shell)?);
    }
    if let Task::Help(verb) = task {
        return help(verb, output);
    }
    let socket = Surroundings::read().locate(options.socket.as_deref(), options.instance.as_deref())?;
    let client = Client { socket, timeout: options.timeout };
    let view = View::new(options.color);
    match task {
        Task::Ask { verb, wait } => {
            if verbs::goes_on(&verb, wait) {
                output.heed_interrupts(verb.name());
            }
            let answer = client.ask(verb.clone(), wait, output)?;
            finish(&verb, wait, &answer, &options, view, output)
        }
        Task::Check(names) => {
            let verb = Verb::Status(names.clone());
            let answer = client.ask(verb.clone(), true, output)?;
            check::check(status(&answer)?, &names)?;
            finish(&verb, true, &answer, &options, view, output)
        }
        Task::Watch(verb) => watch(&client, &verb, &options, view, output),
        Task::Pour(request) => pour(&client, request, &options, view, output),
        Task::Script(_) | Task::Help(_) => Ok(()),
    }
}

/// Writes the answer, unless it tells of a failure.
fn finish(
    verb: &Verb,
    wait: bool,
    answer: &Answer,
    options: &Options,
    view: View,
    output: &mut Output,
) -> Result<(), Problem> {
    if let Some(failure) = verdict::failure(verb, answer) {
        return Err(failure);
    }
    if verbs::is_stream(verb) && *answer == Answer::Done {
        return Ok(());
    }
    let text = if options.json { json::answer(answer) } else { show::answer(verb, wait, answer, view) };
    output.answer(text.as_bytes())
}

/// What `VERB --help` says.
fn help(verb: Vec<String>, output: &mut Output) -> Result<(), Problem> {
    let words = std::iter::once("arbiterctl".to_owned()).chain(verb).chain(["--help".to_owned()]);
    match Cli::try_parse_from(words) {
        Err(help) if !help.use_stderr() => output.answer(help.to_string().as_bytes()),
        Err(error) => Err(usage_problem(&error)),
        Ok(_) => Err(Problem::new(exit_code::USAGE, "name a verb alone: `arbiterctl help run`")),
    }
}

fn status(answer: &Answer) -> Result<&Status, Problem> {
    match answer {
        Answer::Status(status) => Ok(status),
        _ => {
            let message = "the manager's answer is no status; use the arbiterctl that was installed with it";
            Err(Problem::new(exit_code::FAILED, message))
        }
    }
}

/// Answers a question again and again: on a terminal in place, otherwise below each other.
fn watch(
    client: &Client,
    verb: &Verb,
    options: &Options,
    view: View,
    output: &mut Output,
) -> Result<(), Problem> {
    if let Some(size) = view.size.filter(|_| !options.json) {
        return watch::watch(client, verb, view, size);
    }
    loop {
        let answer = client.ask(verb.clone(), true, output)?;
        finish(verb, true, &answer, options, view, output)?;
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// Sends standard input as it is, piece by piece, each acknowledged before the next.
fn pour(
    client: &Client,
    request: SendRequest,
    options: &Options,
    view: View,
    output: &mut Output,
) -> Result<(), Problem> {
    let mut buffer = vec![0; SEND_PIECE];
    loop {
        // What is there is sent at once: somebody may be typing.
        let data = match io::stdin().lock().read(&mut buffer) {
            Ok(length) => buffer[..length].to_vec(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let message =
                    format!("cannot read standard input: {error}; mend it, or give the text as an argument");
                return Err(Problem::new(exit_code::FAILED, message));
            }
        };
        let ends = data.is_empty();
        let piece = SendRequest { data, eof: ends && request.eof, ..request.clone() };
        let verb = Verb::Send(piece);
        let answer = client.ask(verb.clone(), true, output)?;
        if ends {
            return finish(&verb, true, &answer, options, view, output);
        }
    }
}
