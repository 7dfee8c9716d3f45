//! The command line.

use crate::completion;
use crate::exit_code;
use crate::problem::Problem;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use proto::control::ScaleChange;
use proto::nearest::nearest;
use std::path::PathBuf;
use std::time::Duration;

/// Asks a running arbiter and tells it what to do.
#[derive(Debug, Parser)]
#[command(name = "arbiterctl", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit status: 0 done; 1 refused or failed; 2 bad usage; 3 --check: not as configured; \
    4 no such companion or worker; 5 nothing listens there; 6 not permitted; 7 timed out (the work goes on); \
    8 outcome unknown."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every verb understands.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The control socket
    #[arg(short, long, global = true, value_name = "SOCKET", conflicts_with = "instance")]
    pub(crate) socket: Option<PathBuf>,
    /// The arbiter whose socket is /run/arbiter/INSTANCE/control.sock
    #[arg(short, long, global = true, value_name = "INSTANCE", add = ArgValueCompleter::new(completion::instances))]
    pub(crate) instance: Option<String>,
    /// Answer with one JSON object instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Give up waiting after this long; default: 5 for questions, none for the rest
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Return when the thing is begun instead of when it is done
    #[arg(long, global = true)]
    pub(crate) no_wait: bool,
    /// Whether to colour states; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    pub(crate) color: Color,
}

/// Shells whose command lines can be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// When states are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show everything, or the companions named
    Status {
        /// Full names, NAME:SLOT, or patterns
        #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::companions))]
        names: Vec<String>,
        /// Keep it up to date until Ctrl-C or q
        #[arg(long, conflicts_with = "check")]
        watch: bool,
        /// Exit with 3 unless all is as configured
        #[arg(long)]
        check: bool,
    },
    /// Start companions
    #[command(override_usage = "arbiterctl start companion NAME...")]
    Start {
        #[command(subcommand)]
        what: Companions,
    },
    /// Stop companions
    #[command(override_usage = "arbiterctl stop companion [--force] NAME...")]
    Stop {
        /// With SIGKILL at once
        #[arg(long, global = true)]
        force: bool,
        #[command(subcommand)]
        what: Companions,
    },
    /// Restart companions, workers or the manager
    #[command(override_usage = "arbiterctl restart companion NAME... | workers | worker SLOT | manager")]
    Restart {
        #[command(subcommand)]
        what: Restart,
    },
    /// Read the configuration and apply it
    #[command(override_usage = "arbiterctl reload [--dry-run | companions | workers | companion NAME...]")]
    Reload {
        /// Only print what would change
        #[arg(long)]
        dry_run: bool,
        #[command(subcommand)]
        what: Option<Reload>,
    },
    /// Change how many there are
    #[command(override_usage = "arbiterctl scale companion NAME N|+N|-N, or scale workers N|+N|-N")]
    Scale {
        #[command(subcommand)]
        what: Scale,
    },
    /// Send a signal
    #[command(
        override_usage = "arbiterctl signal companion NAME SIGNAL | workers SIGNAL | worker SLOT SIGNAL"
    )]
    Signal {
        #[command(subcommand)]
        what: Signal,
    },
    /// Run an extra process from a companion's settings
    #[command(override_usage = "arbiterctl run companion NAME [--env K=V]... [--wait] [-- ARG...]")]
    Run {
        /// Wait for its end; exit with 0 if it succeeded, else with 1
        #[arg(long, global = true)]
        wait: bool,
        #[command(subcommand)]
        what: Run,
    },
    /// Show a companion's settings and last exits
    #[command(override_usage = "arbiterctl info companion NAME")]
    Info {
        #[command(subcommand)]
        what: Companion,
    },
    /// Show processor time, memory, descriptors and threads
    Stats {
        /// Full names, NAME:SLOT, or patterns
        #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::companions))]
        names: Vec<String>,
        /// Keep it up to date until Ctrl-C or q
        #[arg(long)]
        watch: bool,
    },
    /// Print process ids; without a name arbiter's
    Pid {
        /// Full names, NAME:SLOT, or patterns
        #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::companions))]
        names: Vec<String>,
    },
    /// Show captured output
    #[command(override_usage = "arbiterctl logs companion NAME [-f] [-n LINES]")]
    Logs {
        /// Go on with what comes
        #[arg(short, long, global = true)]
        follow: bool,
        /// Only the last lines
        #[arg(short = 'n', long, global = true, value_name = "LINES")]
        lines: Option<u64>,
        #[command(subcommand)]
        what: Logs,
    },
    /// Show what happens, as it happens
    Events {
        /// Dotted prefixes of subjects, such as companion.redis; `*` stands for one part
        #[arg(value_name = "PATTERN")]
        patterns: Vec<String>,
    },
    /// Wait until a companion is ready or stopped
    #[command(override_usage = "arbiterctl wait companion NAME ready|stopped")]
    Wait {
        #[command(subcommand)]
        what: Wait,
    },
    /// Write to a companion's standard input or stream
    #[command(override_usage = "arbiterctl send companion NAME[:SLOT] [TEXT] [--stream S] [--eof]")]
    Send {
        #[command(subcommand)]
        what: Send,
    },
    /// Show what a companion wrote to a stream
    #[command(override_usage = "arbiterctl recv companion NAME[:SLOT] --stream S [-f]")]
    Recv {
        #[command(subcommand)]
        what: Recv,
    },
    /// Add companions from TOML text
    Load {
        /// A file with [companion.*] tables; `-` for standard input
        file: PathBuf,
        /// The session of companions whose text names none
        #[arg(long)]
        session: Option<String>,
        /// Do not start them
        #[arg(long)]
        no_start: bool,
        /// Replace companions that were loaded before
        #[arg(long)]
        replace: bool,
    },
    /// Stop and forget companions that were loaded
    #[command(override_usage = "arbiterctl unload companion NAME...")]
    Unload {
        #[command(subcommand)]
        what: Companions,
    },
    /// Reopen arbiter's and captured logs
    ReopenLogs,
    /// Replace arbiter's program in place
    Upgrade,
    /// Stop everything
    Shutdown {
        /// With SIGKILL at once
        #[arg(long)]
        force: bool,
    },
    /// Ask whether arbiter and its manager are alive
    Ping,
    /// Show the versions of all programs
    Version,
    /// Print a script that completes command lines in a shell
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Show how a verb is used
    Help {
        /// The verb; without one, all of them
        verb: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Companions {
    /// Companions
    Companion {
        /// Full names, NAME:SLOT, or patterns
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(completion::companions))]
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Companion {
    /// A companion
    Companion {
        /// Its full name
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Restart {
    /// Companions, one process after the other
    Companion {
        /// Full names, NAME:SLOT, or patterns
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(completion::companions))]
        names: Vec<String>,
    },
    /// All workers, new before old
    Workers,
    /// One worker, new before old
    Worker {
        /// Its slot
        #[arg(value_parser = clap::value_parser!(u32).range(1..), add = ArgValueCompleter::new(completion::workers))]
        slot: u32,
    },
    /// The manager; companions run on
    Manager,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Reload {
    /// Read and check everything, apply companions only
    Companions,
    /// Restart the workers from the settings in force
    Workers,
    /// Let companions reload: by their reload_signal, else by a rolling restart
    Companion {
        /// Full names, NAME:SLOT, or patterns
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(completion::companions))]
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scale {
    /// A companion
    Companion {
        /// Its full name
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
        /// How many, or how many more or fewer
        #[arg(value_name = "N|+N|-N", allow_hyphen_values = true, value_parser = scale_change)]
        change: ScaleChange,
    },
    /// The workers
    Workers {
        /// How many, or how many more or fewer
        #[arg(value_name = "N|+N|-N", allow_hyphen_values = true, value_parser = scale_change)]
        change: ScaleChange,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Signal {
    /// A companion's processes
    Companion {
        /// Full name, NAME:SLOT, or pattern
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
        /// TERM, SIGTERM or 15
        #[arg(value_parser = signal, add = ArgValueCompleter::new(completion::signals))]
        signal: i32,
    },
    /// All workers
    Workers {
        /// TERM, SIGTERM or 15
        #[arg(value_parser = signal, add = ArgValueCompleter::new(completion::signals))]
        signal: i32,
    },
    /// One worker
    Worker {
        /// Its slot
        #[arg(value_parser = clap::value_parser!(u32).range(1..), add = ArgValueCompleter::new(completion::workers))]
        slot: u32,
        /// TERM, SIGTERM or 15
        #[arg(value_parser = signal, add = ArgValueCompleter::new(completion::signals))]
        signal: i32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// From a companion's settings
    Companion {
        /// Its full name
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
        /// A variable set over the companion's
        #[arg(long, value_name = "K=V", value_parser = variable)]
        env: Vec<(String, String)>,
        /// Appended to the companion's command
        #[arg(last = true, value_name = "ARG")]
        args: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Logs {
    /// Of a companion
    Companion {
        /// Full name, or NAME:SLOT
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Wait {
    /// For a companion
    Companion {
        /// Full name, NAME:SLOT, or pattern
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
        /// Until when
        until: Until,
    },
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    Ready,
    Stopped,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Send {
    /// To a companion
    Companion {
        /// Full name, or NAME:SLOT
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
        /// A line; without it standard input is sent as it is
        text: Option<String>,
        /// To this stream instead of standard input
        #[arg(long, value_name = "S", add = ArgValueCompleter::new(completion::streams))]
        stream: Option<String>,
        /// Close it afterwards
        #[arg(long)]
        eof: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Recv {
    /// From a companion
    Companion {
        /// Full name, or NAME:SLOT
        #[arg(add = ArgValueCompleter::new(completion::companions))]
        name: String,
        /// The stream
        #[arg(long, value_name = "S", add = ArgValueCompleter::new(completion::streams))]
        stream: String,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
    },
}

/// A number of seconds, more than none. A year is the longest that arbiter's durations may be.
fn seconds(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(366 * 24 * 60 * 60);
    text.parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .filter(|duration| !duration.is_zero() && *duration <= longest)
        .ok_or_else(|| "give a number of seconds above 0, such as 2.5".into())
}

fn scale_change(text: &str) -> Result<ScaleChange, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let relative = digits.len() < text.len();
    let change = if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        None
    } else if relative {
        text.parse().ok().map(ScaleChange::By)
    } else {
        text.parse().ok().map(ScaleChange::To)
    };
    change.ok_or_else(|| "give a number such as 4, or a change such as +1 or -1".into())
}

fn signal(text: &str) -> Result<i32, String> {
    proto::supervise::signal_number(text).ok_or_else(|| {
        let short = proto::supervise::signal_names().map(|name| name.trim_start_matches("SIG"));
        let near = nearest(text.to_ascii_uppercase().trim_start_matches("SIG"), short);
        let near = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        format!("{near}give a signal such as TERM, SIGTERM or 15")
    })
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give a variable as NAME=VALUE".into()),
    }
}

/// `start redis` instead of `start companion redis`, as others have it.
fn left_out_companion(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::StyledStr(text)) => Some(text.to_string()),
        _ => None,
    };
    let name = text(ContextKind::InvalidSubcommand)?;
    let usage = text(ContextKind::Usage)?;
    let (verb, rest) = usage.split_once("arbiterctl ")?.1.split_once(' ')?;
    rest.contains("companion ").then(|| {
        format!(
            "`{verb}` does not know `{name}`; if that is a companion: `arbiterctl {verb} companion {name}`; usage: \
             arbiterctl {verb} {rest}"
        )
    })
}

/// clap's several lines about a wrong command line as a problem of one line.
pub(crate) fn usage_problem(error: &clap::Error) -> Problem {
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Its text is the whole help: of that, only the right form is worth repeating.
        let usage = text.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("arbiterctl VERB");
        let message = if usage.contains("<COMMAND>") {
            "what is to be done? `arbiterctl status` shows what runs, `arbiterctl --help` all verbs".into()
        } else {
            format!("something is missing; usage: {usage}; try `arbiterctl --help`")
        };
        return Problem::new(exit_code::USAGE, message);
    }
    if let Some(message) = left_out_companion(error) {
        return Problem::new(exit_code::USAGE, message);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut message = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("For more information") {
            break;
        }
        if !message.is_empty() {
            message.push_str(if message.ends_with(':') { " " } else { "; " });
        }
        message.push_str(&line.replacen("Usage: ", "usage: ", 1));
    }
    Problem::new(exit_code::USAGE, format!("{message}; try `arbiterctl --help`"))
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
