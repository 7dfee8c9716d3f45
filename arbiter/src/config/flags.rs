//! The command line, and how it is laid over the file.

use super::diagnostic::{Diagnostics, Fault, Place, Sources};
use super::tree::{Data, Node, Table};
use super::value;
use clap::Parser;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Keeps a server program's workers alive on shared listening sockets, and its companions beside them.
///
/// Without FILE and COMMAND the configuration is ./arbiter.toml, else /etc/arbiter/arbiter.toml.
/// A flag beats the file, at every reload too.
#[derive(Clone, Debug, Parser)]
#[command(name = "arbiter", version, args_override_self = true)]
pub(crate) struct Flags {
    /// Configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Listen on ADDRESS, in place of all listeners of the file; may be repeated
    #[arg(short = 'b', long = "bind", value_name = "[NAME=]ADDRESS")]
    pub(crate) bind: Vec<OsString>,
    /// Number of workers, or "cpus"
    #[arg(short = 'w', long = "workers", value_name = "N", allow_hyphen_values = true)]
    workers: Option<OsString>,
    /// Write the process id to this file
    #[arg(short = 'p', long = "pid", value_name = "PIDFILE")]
    pidfile: Option<OsString>,
    /// A worker silent for this long is replaced
    #[arg(short = 't', long = "timeout", value_name = "SECONDS", allow_hyphen_values = true)]
    timeout: Option<OsString>,
    /// How long a worker may take to stop
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    graceful_timeout: Option<OsString>,
    /// Name shown in process titles and logs
    #[arg(long, value_name = "NAME")]
    name: Option<OsString>,
    /// Where arbiterctl connects to; "" is nowhere
    #[arg(long, value_name = "PATH")]
    control_socket: Option<OsString>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<OsString>,
    /// text or json
    #[arg(long, value_name = "text|json")]
    log_format: Option<OsString>,
    /// Check the configuration and exit: 0 when it is good, else 2
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Print the effective configuration, every default filled in, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Go to the background; this command returns once everything is ready
    #[arg(long)]
    pub(crate) daemon: bool,
    /// Write a configuration to start from: ./arbiter.toml, or the file of -c
    #[arg(long)]
    pub(crate) init: bool,
    /// Print what a supervisord.conf, a Procfile or a circus.ini says as an arbiter.toml
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init", "config", "check_config", "print_config"])]
    pub(crate) import: Option<PathBuf>,
    /// The workers' program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Reads the arguments, program name not among them.
pub(crate) fn parse(argv: &[OsString]) -> Result<Flags, clap::Error> {
    Flags::try_parse_from(std::iter::once(&OsString::from("arbiter")).chain(argv))
}

/// What is laid over the file: which key, under which flag, and how its text is taken.
type Overlay<'a> = (&'a [&'a str], &'a str, &'a Option<OsString>);

/// Values of flags as they would stand in a file, each with its flag as its place.
pub(crate) struct Overlaid(Vec<(Vec<String>, Node)>);

impl Overlaid {
    /// Turns flags into values. What is not UTF-8 is reported.
    pub(crate) fn new(flags: &Flags, sources: &mut Sources, diagnostics: &Diagnostics) -> Self {
        let table: [Overlay<'_>; 8] = [
            (&["workers", "count"], "-w", &flags.workers),
            (&["pidfile"], "-p", &flags.pidfile),
            (&["workers", "timeout"], "-t", &flags.timeout),
            (&["workers", "graceful_timeout"], "--graceful-timeout", &flags.graceful_timeout),
            (&["name"], "--name", &flags.name),
            (&["control", "socket"], "--control-socket", &flags.control_socket),
            (&["log", "level"], "--log-level", &flags.log_level),
            (&["log", "format"], "--log-format", &flags.log_format),
        ];
        let mut values = Vec::new();
        for (path, flag, given) in table {
            let Some(given) = given else { continue };
            let place = sources.add_word(format!("{flag} {}", given.to_string_lossy()));
            let Some(text) = utf8(given, place, diagnostics) else { continue };
            // Only counts are integers; every other number may be written as text.
            let data = match text.parse::<i64>() {
                Ok(number) if flag == "-w" => Data::Integer(number),
                _ => Data::Text(text),
            };
            values.push((path.iter().map(|part| (*part).to_owned()).collect(), Node { place, data }));
        }
        if let Some(node) = listeners(&flags.bind, sources, diagnostics) {
            values.push((vec!["listener".to_owned()], node));
        }
        if let Some(node) = command(&flags.command, sources, diagnostics) {
            values.push((vec!["workers".to_owned(), "command".to_owned()], node));
        }
        Self(values)
    }

    /// Lays the flags over what a file said.
    pub(crate) fn apply(self, table: &mut Table) {
        for (path, node) in self.0 {
            match &path[..] {
                [table_name, key] => {
                    if let Some(inner) = table.table_mut(table_name, node.place) {
                        inner.set(key, node);
                    }
                }
                [key] => table.set(key, node),
                _ => {}
            }
        }
    }
}

fn utf8(text: &OsStr, place: Place, diagnostics: &Diagnostics) -> Option<String> {
    let valid = text.to_str().map(str::to_owned);
    if valid.is_none() {
        diagnostics.report(place, Fault::new("this is not UTF-8").help("write it in UTF-8"));
    }
    valid
}

/// `-b` in place of `[[listener]]`.
fn listeners(bind: &[OsString], sources: &mut Sources, diagnostics: &Diagnostics) -> Option<Node> {
    let mut list = Vec::new();
    for given in bind {
        let place = sources.add_word(format!("-b {}", given.to_string_lossy()));
        let Some(text) = utf8(given, place, diagnostics) else { continue };
        let mut table = Table::empty(place);
        let address = match text.split_once('=') {
            // Paths and abstract names may hold a "=" too, but nothing before it is a name then.
            Some((name, address)) if value::is_name(name) => {
                table.set("name", Node { place, data: Data::Text(name.to_owned()) });
                address.to_owned()
            }
            _ => text,
        };
        table.set("address", Node { place, data: Data::Text(address) });
        list.push(Node { place, data: Data::Table(table) });
    }
    let place = list.first()?.place;
    Some(Node { place, data: Data::List(list) })
}

/// What follows `--` in place of `workers.command`.
fn command(words: &[OsString], sources: &mut Sources, diagnostics: &Diagnostics) -> Option<Node> {
    let first = words.first()?;
    let place = sources.add_word(format!("-- {}", first.to_string_lossy()));
    let mut list = Vec::new();
    for word in words {
        list.push(Node { place, data: Data::Text(utf8(word, place, diagnostics)?) });
    }
    Some(Node { place, data: Data::List(list) })
}
