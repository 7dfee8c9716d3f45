//! A `supervisord.conf`.

mod daemon;
mod environment;
mod expand;
mod output;
mod program;

use super::World;
use super::ini::{Dialect, Ini, Section};
use super::names::Names;
use super::plan::Plan;
use super::reading::Reading;

/// Its INI files. Both kinds of comments end a value, as under Python 3.
pub(super) const DIALECT: Dialect = Dialect { comments: &[';', '#'], first_counts: false };

/// Sections that only make sense for the program itself.
const NEEDLESS: [&str; 3] = ["supervisorctl", "rpcinterface:supervisor", "include"];

/// The patterns of `[include]`.
pub(super) fn included(ini: &Ini, world: &World<'_>) -> Vec<String> {
    let files = ini.section("include").and_then(|section| section.get("files")).unwrap_or_default();
    let files = daemon::expansion(world).expand(files, expand::When::Now, &mut Vec::new());
    files.split_whitespace().map(str::to_owned).collect()
}

/// What it says in our words.
pub(super) fn plan(ini: &Ini, world: &World<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut names = Names::default();
    let mut sockets = Names::default();
    let mut kept = Kept { names: &mut names, sockets: &mut sockets, has_workers: false };
    for section in &ini.sections {
        if let Some(name) = section.name_of("program") {
            program::read(section, name, group_of(ini, name), world, &mut kept, &mut plan);
        } else if let Some(name) = section.name_of("fcgi-program") {
            program::read(section, name, group_of(ini, name), world, &mut kept, &mut plan);
        } else {
            read_other(section, world, &mut plan);
        }
    }
    if plan.programs.iter().any(|program| program.rank != program::PRIORITY) {
        plan.notes.push(
            "priority became `after`: each companion waits until those before it are ready, where only the order \
             of the starts counted; take it away where nothing has to be waited for"
                .to_owned(),
        );
    }
    if !plan.programs.is_empty() {
        plan.notes.push(
            "supervisord gave a program up after 3 failed starts, or as many as startretries said; arbiter tries it \
             again for ever, with pauses of up to 60 s, unless it has `flapping`"
                .to_owned(),
        );
    }
    plan
}

/// What has to be known across sections.
struct Kept<'a> {
    names: &'a mut Names,
    sockets: &'a mut Names,
    has_workers: bool,
}

fn read_other(section: &Section, world: &World<'_>, plan: &mut Plan) {
    let name = section.name.as_str();
    match name {
        "supervisord" => daemon::read(section, world, plan),
        "unix_http_server" => daemon::read_control(section, world, plan),
        "inet_http_server" => plan.rest.push(format!(
            "[inet_http_server] {}: nothing listens on the network; arbiterctl speaks over a Unix socket, from \
             elsewhere over ssh",
            listed(section)
        )),
        _ if NEEDLESS.contains(&name) => {}
        _ if section.name_of("group").is_some() => read_group(section, plan),
        _ if section.name_of("eventlistener").is_some() => read_listener(section, plan),
        _ => plan.rest.push(format!("[{name}] {}: this section is not known", listed(section))),
    }
}

/// The group that a program is in: its session.
fn group_of<'a>(ini: &'a Ini, program: &str) -> Option<&'a str> {
    ini.sections.iter().find_map(|section| {
        let group = section.name_of("group")?;
        let mut programs = section.get("programs")?.split(',');
        programs.any(|name| name.trim() == program).then_some(group)
    })
}

/// Members are read with the programs.
fn read_group(section: &Section, plan: &mut Plan) {
    let mut reading = Reading::of(section);
    reading.take("programs");
    reading.without("priority", "the order is told by `after` of each companion");
    let name = &section.name;
    plan.rest.extend(reading.finish().into_iter().map(|note| format!("[{name}] {note}")));
}

fn read_listener(section: &Section, plan: &mut Plan) {
    let name = &section.name;
    let command = section.get("command").unwrap_or("nothing");
    let events = section.get("events").unwrap_or("nothing");
    let mut text = format!(
        "[{name}] ran {command} at {events} and told it by a protocol of its own. A command at each event: [hooks] \
         companion_event; a stream of them: arbiterctl events --json"
    );
    if events.contains("PROCESS_STATE_FATAL") || events.contains("PROCESS_STATE_EXITED") {
        text.push_str("; to end everything when a companion is given up: critical = true");
    }
    if events.contains("PROCESS_LOG") || events.contains("PROCESS_COMMUNICATION") {
        text.push_str("; what companions write: arbiterctl logs companion NAME -f");
    }
    if events.contains("TICK") {
        text.push_str("; at intervals: a timer of the system");
    }
    plan.rest.push(text);
}

/// The keys of a section on a line.
fn listed(section: &Section) -> String {
    let pairs = section.entries.iter().map(|entry| match entry.key.to_ascii_lowercase().as_str() {
        // Comments are no place for them.
        "password" => "password = …".to_owned(),
        _ => format!("{} = {}", entry.key, entry.value),
    });
    pairs.collect::<Vec<_>>().join(", ")
}
