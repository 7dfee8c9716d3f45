//! A Procfile: `NAME: COMMAND` a line, each command for a shell.

use super::World;
use super::hints;
use super::names::Names;
use super::plan::{Plan, Program};
use super::shell;
use crate::config::diagnostic::{Diagnostics, Fault, Place};

/// The first process type's PORT; each further type's is so much higher.
const PORT: (usize, usize) = (5000, 100);

/// What is read into every environment, where it is there.
const VARIABLES: &str = ".env";

/// The type that runs once, before all others.
const RELEASE: &str = "release";

/// Types that are only run by hand.
const BY_HAND: [&str; 2] = ["console", "rake"];

/// A line of it.
struct Line<'a> {
    name: &'a str,
    command: &'a str,
}

/// What it says in our words. Lines of another form are reported.
pub(super) fn plan(text: &str, source: usize, world: &World<'_>, diagnostics: &Diagnostics) -> Plan {
    let mut plan = Plan::default();
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let place = Place::new(source, start..start + line.trim_end().len());
        start += line.len();
        if is_empty(line) {
            continue;
        }
        match entry(line) {
            // The last of two equal names counts.
            Some(entry) => match lines.iter_mut().find(|known| known.name == entry.name) {
                Some(known) => known.command = entry.command,
                None => lines.push(entry),
            },
            None => {
                let fault = Fault::new("this is not NAME: COMMAND").help("remove this line, or put it right");
                diagnostics.report(place, fault);
            }
        }
    }
    let mut names = Names::default();
    let mut notes = Vec::new();
    let release = lines.iter().any(|line| line.name == RELEASE);
    let release = release.then(|| names.companion(None, RELEASE, &mut notes));
    let has_variables = world.files.matching(VARIABLES).is_ok_and(|found| !found.is_empty());
    let mut ports = (PORT.0..).step_by(PORT.1);
    for line in &lines {
        let port = if line.name == RELEASE { None } else { ports.next() };
        let mut program = program(line, port);
        program.env_file = has_variables.then(|| VARIABLES.to_owned());
        if line.name == RELEASE {
            program.name = RELEASE.to_owned();
        } else {
            program.name = names.companion(None, line.name, &mut program.notes);
            program.after = release.iter().filter(|_| !program.is_manual).cloned().collect();
        }
        plan.programs.push(program);
    }
    plan.notes.push(
        "PORT is what foreman and honcho set. Where arbiter's own environment has the right one, take it away: what \
         is inherited counts then"
            .to_owned(),
    );
    plan
}

/// `NAME: COMMAND`.
fn entry(line: &str) -> Option<Line<'_>> {
    let (name, command) = line.split_once(':')?;
    let (name, command) = (name.trim(), command.trim());
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    (is_name && !command.is_empty()).then_some(Line { name, command })
}

fn is_empty(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Whether a text reads as one: every line that says anything is an entry.
pub(super) fn is_one(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !is_empty(line)).peekable();
    lines.peek().is_some() && lines.all(|line| entry(line).is_some())
}

fn program(line: &Line<'_>, port: Option<usize>) -> Program {
    let command = shell::command(line.command);
    let mut program = Program { command: command.words, env: command.env, ..Program::default() };
    program.notes.extend(hints::braces(line.command));
    if line.name == RELEASE {
        program.ends = true;
        program.restart = Some("never");
        program.notes.push(
            "this runs once at each start of arbiter, and everything else waits until it has succeeded"
                .into(),
        );
    } else if BY_HAND.contains(&line.name) {
        program.is_manual = true;
        program.count = Some(0);
        let name = line.name;
        program
            .notes
            .push(format!("this is for hands: arbiterctl run companion {name} --wait; it has no terminal"));
    }
    let has_port = program.env.iter().any(|(name, _)| name == "PORT");
    let port = port.filter(|_| !has_port).map(|port| ("PORT".to_owned(), port.to_string()));
    program.env.extend(port);
    if line.name == "web" {
        let hint = hints::server(&program);
        program.notes.push(hint.unwrap_or_else(|| {
            "it runs as it did. A server that can take its socket from LISTEN_FDS, or by its number, could be \
             [workers] on a [[listener]]: then a reload loses no request"
                .to_owned()
        }));
    }
    program
}
