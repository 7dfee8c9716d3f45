//! `[companion.NAME]`: one of them. What they are to one another is in [`super::companions`].

use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::keys;
use super::listener::{self, Placed};
use super::output;
use super::probe;
use super::process::{self, Defaults};
use super::quantity;
use super::section::Section;
use super::tree::{Data, Entry, Node};
use super::value::{self, Reading};
use proto::spec::{CompanionSpec, Flapping, MOST_PROCESSES, Ready, RestartPolicy, Stdin, stream_variable};
use std::time::Duration;

/// Words of the control program that stand where a name stands.
pub(crate) const REFUSED: [&str; 6] = ["workers", "worker", "manager", "arbiter", "all", "default"];

/// The least wait between two starts: less would be a busy loop.
const LEAST_DELAY: Duration = Duration::from_millis(100);

/// The most streams: their descriptors travel in one message, which holds 200.
const STREAMS_MAX: usize = 64;

/// A companion and the places that are needed to check it against the others.
pub(crate) struct Read {
    /// The specification.
    pub(crate) spec: CompanionSpec,
    /// Its name.
    pub(crate) place: Place,
    /// Names in `after`.
    pub(crate) after: Vec<(String, Place)>,
    /// Its own listener.
    pub(crate) listen: Option<Placed>,
    /// `command`, `cwd` and `env_file`, or what stands for them.
    pub(crate) command_place: Place,
    /// As above.
    pub(crate) cwd_place: Place,
    /// As above.
    pub(crate) env_file_place: Place,
    /// The commands that ask it whether it is ready, and how it is.
    pub(crate) ready_place: Option<Place>,
    /// As above.
    pub(crate) health_place: Option<Place>,
}

/// Reads one; `None` when it is no table or has no name that can be used.
pub(crate) fn read(entry: &Entry, defaults: &Defaults, context: &Context<'_>) -> Option<Read> {
    let diagnostics = context.diagnostics;
    let Data::Table(table) = &entry.node.data else {
        diagnostics.report(entry.place, value::wrong_type("a table", &entry.node));
        return None;
    };
    let title = if value::is_name(&entry.key) {
        format!("[companion.{}]", entry.key)
    } else {
        format!("[companion.\"{}\"]", entry.key.escape_debug())
    };
    let section = Section::open(table, keys::COMPANION, &title, diagnostics);
    let names = read_name(entry, &section);
    let is_named = names.is_ok();
    // Without a name its keys are read for what is wrong with them.
    let (session, name) = names.unwrap_or_else(|fault| {
        diagnostics.report(entry.place, fault);
        (String::new(), String::new())
    });
    let full_name = if session == "default" { name } else { format!("{session}.{name}") };
    let listen = listener::read_listen(&section, &full_name, context);
    let after = section.words("after");
    let process = process::read(&section, &title, defaults, context);
    let place = |key| process::place(&section, key, entry.place);
    let spec = CompanionSpec {
        after: after.iter().map(|(name, _)| name.clone()).collect(),
        listen: listen.as_ref().map(|placed| placed.spec.clone()),
        ..read_spec(&section, full_name, session, process, listen.is_some(), context)
    };
    let [command_place, cwd_place, env_file_place] = ["command", "cwd", "env_file"].map(place);
    is_named.then(|| Read {
        spec,
        place: entry.place,
        after,
        listen,
        command_place,
        cwd_place,
        env_file_place,
        ready_place: probe::exec_place(&section, "ready"),
        health_place: probe::exec_place(&section, "health"),
    })
}

/// Session and name.
fn read_name(entry: &Entry, section: &Section<'_>) -> Reading<(String, String)> {
    let written = section.read("session", |node| {
        let session = value::word(node)?;
        if value::is_name(&session) { Ok(session) } else { Err(value::not_a_name("a session", &session)) }
    });
    let (quoted, name) = match entry.key.split_once('.') {
        Some((session, name)) => (Some(session), name),
        None => (None, entry.key.as_str()),
    };
    if !value::is_name(name) || quoted.is_some_and(|session| !value::is_name(session)) {
        return Err(value::not_a_name("a companion", &entry.key));
    }
    if REFUSED.contains(&name) {
        return Err(Fault::new(format!("a companion cannot be named \"{name}\": that word is taken"))
            .help("choose another name"));
    }
    let session = match (quoted, &written) {
        (Some(quoted), Some(found)) if found.value != quoted => {
            let message = format!("session = \"{}\" contradicts the name \"{}\"", found.value, entry.key);
            return Err(Fault::new(message).help("remove `session`").at(found.place));
        }
        (Some(quoted), _) => quoted,
        (None, Some(found)) => found.value.as_str(),
        (None, None) => "default",
    };
    Ok((session.to_owned(), name.to_owned()))
}

fn read_spec(
    section: &Section<'_>,
    name: String,
    session: String,
    process: proto::spec::ProcessSpec,
    listens: bool,
    context: &Context<'_>,
) -> CompanionSpec {
    let start = process::read_start(section, listens, true);
    let critical = section.value_or("critical", false, value::boolean);
    let ends = start.ready == Ready::Exit;
    let success_exit_codes = read_success(section, ends);
    let restart = section.value("restart", restart).unwrap_or(if ends {
        RestartPolicy::OnFailure
    } else {
        RestartPolicy::Always
    });
    let (restart_delay, restart_delay_max) = read_delays(section);
    let output = output::read(section, context);
    CompanionSpec {
        name,
        session,
        loaded: false,
        env_digest: process::env_digest(&process, context),
        process,
        count: section.value_or("count", 1, |node| value::integer(node, 0..=i64::from(MOST_PROCESSES))),
        autostart: section.value_or("autostart", true, value::boolean),
        critical,
        after: Vec::new(),
        restart,
        success_exit_codes,
        restart_delay,
        restart_delay_max,
        flapping: read_flapping(section, critical, restart, (restart_delay, restart_delay_max)),
        ready: start.ready,
        start_seconds: start.seconds,
        start_timeout: start.timeout,
        health: probe::health(section),
        watchdog: section.value_or("watchdog", Duration::ZERO, quantity::duration),
        stop: process::read_stop(section, "stop_timeout", 60),
        reload_signal: section.value("reload_signal", value::signal_or_none).flatten(),
        stdout: output.stdout,
        stderr: output.stderr,
        log: output.log,
        stdin: section.value_or("stdin", Stdin::Null, stdin),
        streams: section.value_or("streams", Vec::new(), streams),
        listen: None,
        recycle: process::read_recycle(section),
    }
}

/// The codes of a good end; one that is ready by ending needs some.
fn read_success(section: &Section<'_>, ends: bool) -> Vec<u8> {
    let codes = section.value_or("success_exit_codes", vec![0], |node| {
        value::exit_codes(node, |item| value::integer(item, 0..=255))
    });
    if ends && codes.is_empty() {
        let fault = Fault::new("without a code of success, ready = \"exit\" can never become ready")
            .help("name an exit code, or remove success_exit_codes");
        section.contradiction(&["success_exit_codes"], fault);
    }
    codes
}

fn restart(node: &Node) -> Reading<RestartPolicy> {
    let words = [
        ("always", RestartPolicy::Always),
        ("on-failure", RestartPolicy::OnFailure),
        ("never", RestartPolicy::Never),
    ];
    value::choice(node, &words)
}

fn stdin(node: &Node) -> Reading<Stdin> {
    value::choice(node, &[("null", Stdin::Null), ("pipe", Stdin::Pipe)])
}

/// Names of streams; their variables have to differ too.
fn streams(node: &Node) -> Reading<Vec<String>> {
    let list = value::strings(node)?;
    let mut names: Vec<String> = Vec::new();
    let read = value::each(list, |item| {
        let name = stream(item, &names)?;
        names.push(name.clone());
        Ok(name)
    });
    let count = match list.get(STREAMS_MAX) {
        Some(item) => {
            Err(Fault::new(format!("a companion has at most {STREAMS_MAX} streams")).at(item.place))
        }
        None => Ok(()),
    };
    value::both(read, count).map(|(names, ())| names)
}

/// A name beside others.
fn stream(node: &Node, others: &[String]) -> Reading<String> {
    let name = value::text(node)?;
    if !value::is_name(&name) {
        return Err(value::not_a_name("a stream", &name));
    }
    let variable = stream_variable(&name);
    match others.iter().find(|other| stream_variable(other) == variable) {
        Some(other) => {
            let message = format!("streams \"{other}\" and \"{name}\" would both be told as {variable}");
            Err(Fault::new(message).help("choose another name"))
        }
        None => Ok(name),
    }
}

fn read_delays(section: &Section<'_>) -> (Duration, Duration) {
    let least = |node: &Node| {
        let delay = quantity::duration(node)?;
        if delay < LEAST_DELAY { Err(Fault::new("this has to be at least 0.1")) } else { Ok(delay) }
    };
    let delay = section.value_or("restart_delay", Duration::from_secs(1), least);
    let default = Duration::from_secs(60).max(delay);
    let longest = section.value_or("restart_delay_max", default, least);
    if longest < delay {
        let fault = Fault::new("restart_delay_max is shorter than restart_delay")
            .help("raise restart_delay_max, or lower restart_delay");
        section.contradiction(&["restart_delay_max", "restart_delay"], fault);
    }
    (delay, longest)
}

/// Off unless given, or unless being given up matters.
fn read_flapping(
    section: &Section<'_>,
    critical: bool,
    restart: RestartPolicy,
    (delay, delay_max): (Duration, Duration),
) -> Option<Flapping> {
    if !section.has("flapping") && !critical {
        return None;
    }
    let table = section.sub("flapping", keys::FLAPPING, "flapping");
    let flapping = Flapping {
        attempts: table.value_or("attempts", 5, |node| value::integer(node, 1..=1000)),
        window: table.value_or("window", Duration::from_secs(60), quantity::some_time),
        retry_in: table.value_or("retry_in", Duration::from_secs(300), quantity::duration),
        max_retry: table.value_or("max_retry", 5, |node| value::integer(node, -1..=i64::from(i32::MAX))),
    };
    if critical && flapping.max_retry == -1 && restart != RestartPolicy::Never {
        let fault =
            Fault::new("a critical companion has to be given up some time, and max_retry = -1 never does")
                .help("set max_retry to 0 or more, or critical = false");
        table.contradiction(&["max_retry"], fault);
    }
    let fastest = flapping.fastest(delay, delay_max);
    if fastest > flapping.window && restart != RestartPolicy::Never {
        let Flapping { attempts, window, .. } = flapping;
        let fault = Fault::new(format!(
            "{attempts} ends never come within {} s, because restart_delay spreads them over {} s",
            window.as_secs_f64(),
            fastest.as_secs_f64()
        ))
        .help("lower flapping.attempts or restart_delay, or raise flapping.window");
        section.contradiction(&["flapping", "restart_delay", "critical"], fault);
    }
    Some(flapping)
}
