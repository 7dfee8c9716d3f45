//! `[supervisord]` and `[unix_http_server]`: what is said of the program itself.

use super::environment;
use super::expand::{Expansion, Number, When};
use crate::config::import::World;
use crate::config::import::ini::Section;
use crate::config::import::plan::Plan;
use crate::config::import::reading::{Reading, is_variable};
use proto::written::{array, string};

/// Its levels and ours.
const LEVELS: [(&str, &str); 7] = [
    ("critical", "error"),
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
    ("blather", "trace"),
];

/// What expressions mean where there is no program.
pub(super) fn expansion<'a>(world: &'a World<'_>) -> Expansion<'a> {
    Expansion {
        program: "supervisord",
        group: "supervisord",
        number: Number::Is(0),
        numprocs: 1,
        here: world.directory,
        env: world.env,
    }
}

/// Reads `[supervisord]`.
pub(super) fn read(section: &Section, world: &World<'_>, plan: &mut Plan) {
    let mut reading = Reading::of(section);
    let expansion = expansion(world);
    let mut notes = Vec::new();
    let mut text = |reading: &mut Reading<'_>, key: &str| {
        let value = reading.take(key)?;
        Some(expansion.expand(value, When::Now, &mut notes).trim().to_owned())
    };
    plan.name = text(&mut reading, "identifier").filter(|name| !name.chars().any(char::is_control));
    plan.pidfile = text(&mut reading, "pidfile");
    plan.chdir = text(&mut reading, "directory");
    plan.umask = reading.mode("umask");
    plan.user = text(&mut reading, "user").filter(|user| user != "root" && user != "0");
    let logfile = text(&mut reading, "logfile");
    let level = text(&mut reading, "loglevel").map(|level| level.to_ascii_lowercase());
    let env = text(&mut reading, "environment");
    read_environment(env.as_deref(), plan, &mut notes);
    match logfile.as_deref() {
        None | Some("/dev/stdout" | "/dev/stderr" | "/dev/fd/1" | "/dev/fd/2" | "/proc/self/fd/1") => {}
        Some("/dev/null") => {
            notes.push(
                "logfile = /dev/null: arbiter's log goes to standard error; level = \"error\" makes it quiet"
                    .into(),
            );
        }
        Some(file) => {
            plan.log.1.push(("file", string(file)));
            plan.log
                .0
                .push("arbiter does not rotate its own log: let logrotate do it, and send USR1 then".into());
        }
    }
    match level.as_deref().map(|level| LEVELS.iter().find(|(known, _)| *known == level)) {
        Some(Some((_, "info"))) | None => {}
        Some(Some((_, ours))) => plan.log.1.push(("level", string(ours))),
        Some(None) => notes.push("loglevel: its value is not known".into()),
    }
    reading.pass_over(&["logfile_maxbytes", "logfile_backups", "nocleanup", "minprocs"]);
    reading.without_unless(
        "nodaemon",
        &["true", "1", "yes", "on"],
        "to go to the background: arbiter --daemon",
    );
    reading.without_unless("silent", &["false", "0", "no", "off"], "[log] level = \"error\" is the nearest");
    reading.without_unless(
        "minfds",
        &["1024"],
        "arbiter raises its own limit by itself; children get it with limits = { nofile = N }",
    );
    reading.without(
        "childlogdir",
        "what has no log file of its own is kept in memory: arbiterctl logs companion NAME",
    );
    reading.without_unless("strip_ansi", &["false", "0", "no", "off"], "lines are kept as they are written");
    plan.notes.extend(notes.into_iter().chain(reading.finish()).map(|note| format!("[supervisord] {note}")));
}

fn read_environment(text: Option<&str>, plan: &mut Plan, notes: &mut Vec<String>) {
    let Some(text) = text else { return };
    match environment::pairs(text) {
        Some(pairs) => {
            for (name, value) in pairs.into_iter().filter(|(name, _)| is_variable(name)) {
                plan.env.retain(|(other, _)| *other != name);
                plan.env.push((name, value));
            }
        }
        None => notes.push(format!("environment = {text}: this is not KEY=\"value\",KEY2=\"value\"")),
    }
}

/// Reads `[unix_http_server]`: who may connect. Where is for arbiter to choose.
pub(super) fn read_control(section: &Section, world: &World<'_>, plan: &mut Plan) {
    let mut reading = Reading::of(section);
    let mut notes = Vec::new();
    reading.without(
        "file",
        "arbiterctl finds arbiter's own socket by itself; clients of the old one cannot speak to it",
    );
    let mode = reading.mode("chmod");
    let owner = reading.take("chown").map(|owner| expansion(world).expand(owner, When::Now, &mut notes));
    let opens = mode
        .as_deref()
        .and_then(|mode| u32::from_str_radix(mode, 8).ok())
        .is_some_and(|mode| mode & 0o022 != 0);
    if let Some(owner) = owner {
        let (user, group) = owner.split_once(':').unwrap_or((&owner, ""));
        let is_named = |name: &&str| !matches!(name.trim(), "" | "root" | "0");
        let user = Some(user.trim()).filter(is_named);
        let group = Some(group.trim()).filter(is_named);
        if user.is_some() || (opens && group.is_some()) {
            let all = mode.as_deref().is_some_and(|mode| mode.ends_with(['2', '3', '6', '7']));
            let mode = if all || group.is_none() { "0666" } else { "0660" };
            plan.control.1.push(("mode", string(mode)));
            plan.control.1.extend(group.map(|group| ("group", string(group))));
            plan.control.1.extend(user.map(|user| ("allow_users", array([string(user)]))));
            let groups = group.filter(|_| opens);
            plan.control.1.extend(groups.map(|group| ("allow_groups", array([string(group)]))));
        }
    } else if opens {
        notes.push("chmod let others in: name them in [control] allow_users or allow_groups".to_owned());
    }
    if reading.take("username").is_some() | reading.take("password").is_some() {
        notes.push(
            "there is no password: the kernel tells who connects, and allow_users lets them in".to_owned(),
        );
    }
    let all = notes.into_iter().chain(reading.finish());
    plan.control.0.extend(all.map(|note| format!("[unix_http_server] {note}")));
}
