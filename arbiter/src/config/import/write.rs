//! A plan as the text of an `arbiter.toml`.

use super::order;
use super::plan::{Log, Output, Plan, Program, Socket, Target};
use proto::written::{Writer, duration, inline, key, string, variables};

/// What begins a comment about something that has no counterpart, so that it can be searched for.
pub(super) const MARK: &str = "NOTE: ";

/// How wide comments are.
const WIDTH: usize = 110;

/// The text. `name` is what was read.
pub(super) fn write(mut plan: Plan, name: &str) -> String {
    order::apply(&mut plan.programs);
    let mut parts = vec![
        part(|out| {
            comment(out, &format!("From {name}, by arbiter --import."), "");
            let mark = MARK.trim_end();
            let text = "what has no counterpart, and what to do instead. Read them, then try:";
            comment(out, &format!("Comments that begin with \"{mark}\" tell {text}"), "");
            out.comment("  arbiter --check-config -c FILE");
        }),
        part(|out| notes(out, &plan.notes)),
        part(|out| top(out, &plan)),
        part(|out| table(out, "[control]", &plan.control)),
        part(|out| table(out, "[log]", &plan.log)),
    ];
    if let Some(workers) = plan.programs.iter().find(|program| program.is_workers) {
        let requires = order::required(workers, &plan.programs);
        parts.push(part(|out| write_workers(out, workers, &requires)));
    }
    let companions = plan.programs.iter().filter(|program| !program.is_workers);
    parts.extend(companions.map(|companion| part(|out| write_companion(out, companion))));
    parts.push(part(|out| notes(out, &plan.rest)));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn part(fill: impl FnOnce(&mut Writer)) -> String {
    let mut out = Writer::default();
    fill(&mut out);
    out.finish()
}

fn top(out: &mut Writer, plan: &Plan) {
    let texts = [
        ("name", &plan.name),
        ("pidfile", &plan.pidfile),
        ("chdir", &plan.chdir),
        ("umask", &plan.umask),
        ("user", &plan.user),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            out.text(name, value);
        }
    }
    if !plan.env.is_empty() {
        out.raw("env", &variables(&plan.env));
    }
}

fn table(out: &mut Writer, header: &str, (remarks, keys): &(Vec<String>, Vec<(&'static str, String)>)) {
    if !keys.is_empty() {
        out.table(header);
    }
    notes(out, remarks);
    for (name, value) in keys {
        out.raw(name, value);
    }
}

fn write_workers(out: &mut Writer, workers: &Program, requires: &[String]) {
    for socket in &workers.sockets {
        out.table("[[listener]]");
        out.text("name", &socket.name);
        for (name, value) in socket_pairs(socket, true) {
            out.raw(&name, &value);
        }
    }
    out.table("[workers]");
    notes(out, &workers.notes);
    if !workers.output.is_inherited() {
        note(out, "workers write where arbiter writes; their own log files are for their own configuration");
    }
    if workers.restart == Some("never") {
        note(out, "it was not started again when it ended; workers always are");
    }
    process(out, workers);
    if !requires.is_empty() {
        out.texts("requires", requires);
    }
    start_and_stop(out, workers, "graceful_timeout");
}

fn write_companion(out: &mut Writer, companion: &Program) {
    out.table(&format!("[companion.{}]", key(&companion.name)));
    notes(out, &companion.notes);
    process(out, companion);
    if companion.is_manual {
        out.plain("autostart", false);
    }
    if !companion.after.is_empty() {
        out.texts("after", &companion.after);
    }
    if companion.ends {
        out.text("ready", "exit");
    }
    if let Some(restart) = companion.restart {
        out.text("restart", restart);
    }
    if let Some(codes) = &companion.success_exit_codes {
        out.plains("success_exit_codes", codes);
    }
    if let Some(flapping) = &companion.flapping {
        let pairs = [
            ("attempts".to_owned(), flapping.attempts.to_string()),
            ("window".to_owned(), duration(flapping.window)),
            ("retry_in".to_owned(), duration(flapping.retry_in)),
            ("max_retry".to_owned(), flapping.max_retry.to_string()),
        ];
        out.raw("flapping", &inline(pairs));
    }
    start_and_stop(out, companion, "stop_timeout");
    if let Some(signal) = companion.reload_signal {
        out.text("reload_signal", signal);
    }
    write_output(out, &companion.output);
    match &companion.sockets[..] {
        [] => {}
        [socket, ..] => {
            let pairs = socket_pairs(socket, false);
            match &pairs[..] {
                [(_, address)] => out.raw("listen", address),
                _ => out.raw("listen", &inline(pairs)),
            }
        }
    }
}

/// The keys that workers and companions share, as far as they come first.
fn process(out: &mut Writer, program: &Program) {
    out.texts("command", &program.command);
    if let Some(count) = program.count {
        out.plain("count", count);
    }
    if let Some(cwd) = &program.cwd {
        out.text("cwd", cwd);
    }
    if let Some(file) = &program.env_file {
        out.text("env_file", file);
    }
    if !program.env.is_empty() {
        out.raw("env", &variables(&program.env));
    }
    for (name, value) in [("user", &program.user), ("group", &program.group), ("umask", &program.umask)] {
        if let Some(value) = value {
            out.text(name, value);
        }
    }
    if !program.limits.is_empty() {
        out.raw("limits", &inline(program.limits.iter().cloned()));
    }
}

fn start_and_stop(out: &mut Writer, program: &Program, timeout: &str) {
    if let Some(seconds) = program.start_seconds {
        out.plain("start_seconds", seconds);
    }
    if let Some(signal) = &program.stop_signal {
        out.text("stop_signal", signal);
    }
    if let Some(seconds) = program.stop_seconds {
        out.plain(timeout, seconds);
    }
    if program.stop_group {
        out.plain("stop_group", true);
    }
    if let Some((seconds, jitter)) = program.max_lifetime {
        out.plain("max_lifetime", seconds);
        out.plain("max_lifetime_jitter", jitter);
    }
}

impl Output {
    fn is_inherited(&self) -> bool {
        let stderr = self.stderr.as_ref().unwrap_or(&self.stdout);
        let is_kept_only = *self == Output { stdout: Target::Capture, ..Output::default() };
        is_kept_only || (self.stdout == Target::Inherit && *stderr == Target::Inherit)
    }
}

fn write_output(out: &mut Writer, output: &Output) {
    let word = |target: &Target| match target {
        Target::Inherit => "inherit".to_owned(),
        Target::Null => "null".to_owned(),
        Target::Capture => "capture".to_owned(),
        Target::File(path) => path.clone(),
    };
    // A log alone says that both are captured.
    let is_said = output.log.is_some() && output.stdout == Target::Capture;
    if output.stdout != Target::Inherit && !is_said {
        out.text("stdout", &word(&output.stdout));
    } else if output.log.is_some() && !is_said {
        out.text("stdout", "inherit");
    }
    if let Some(stderr) = output.stderr.as_ref().filter(|stderr| **stderr != output.stdout) {
        out.text("stderr", &word(stderr));
    }
    if let Some(Log { file, max_size, keep, timestamps }) = &output.log {
        let mut pairs = vec![
            ("file".to_owned(), string(file)),
            ("max_size".to_owned(), size(*max_size)),
            ("keep".to_owned(), keep.to_string()),
        ];
        if *timestamps {
            pairs.push(("timestamps".to_owned(), "true".to_owned()));
        }
        out.raw("log", &inline(pairs));
    }
}

/// A size as a person would write it.
fn size(bytes: u64) -> String {
    let unit = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or(bytes.to_string(), |(shift, unit)| format!("\"{}{unit}\"", bytes >> shift))
}

fn socket_pairs(socket: &Socket, is_listener: bool) -> Vec<(String, String)> {
    let mut pairs = vec![("address".to_owned(), string(&socket.address))];
    pairs.extend(socket.backlog.map(|backlog| ("backlog".to_owned(), backlog.to_string())));
    if socket.reuse_port && is_listener {
        pairs.push(("reuse_port".to_owned(), "true".to_owned()));
    }
    for (name, value) in [("mode", &socket.mode), ("user", &socket.user), ("group", &socket.group)] {
        pairs.extend(value.as_ref().map(|value| (name.to_owned(), string(value))));
    }
    pairs
}

fn notes(out: &mut Writer, texts: &[String]) {
    texts.iter().for_each(|text| note(out, text));
}

fn note(out: &mut Writer, text: &str) {
    comment(out, text, MARK);
}

/// A comment of as many lines as it takes. What TOML does not let stand in a comment is written as Rust would.
fn comment(out: &mut Writer, text: &str, mark: &str) {
    let mut line = mark.trim_end().to_owned();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.comment(&line);
            line = if mark.is_empty() { String::new() } else { " ".to_owned() };
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            match character {
                control if control.is_control() => line.extend(control.escape_default()),
                other => line.push(other),
            }
        }
    }
    out.comment(&line);
}
