//! `[watcher:x]`.

use super::expand::{Expansion, When};
use super::sockets::Sockets;
use super::{expand, output};
use crate::config::import::World;
use crate::config::import::hints;
use crate::config::import::ini::{Ini, Section};
use crate::config::import::names::Names;
use crate::config::import::plan::{Plan, Program, Socket};
use crate::config::import::reading::Reading;
use proto::spec::Resource;

/// How long a process may take to stop, where nothing is said.
const STOP_SECONDS: u32 = 30;

/// How much later than `max_age` a process may be replaced, where nothing is said.
const AGE_VARIANCE: u32 = 30;

/// A section, and what it is read with.
pub(super) struct Watcher<'a> {
    pub(super) section: &'a Section,
    pub(super) name: &'a str,
    pub(super) ini: &'a Ini,
    pub(super) world: &'a World<'a>,
}

impl Watcher<'_> {
    /// `None` where there is nothing to run, which is noted.
    pub(super) fn read(&self, names: &mut Names, sockets: &mut Sockets, plan: &mut Plan) -> Option<Program> {
        let mut reading = Reading::of(self.section);
        let mut notes = Vec::new();
        let env = super::environment(self.ini, self.name, self.world, &mut notes);
        let mut program = Program { env, ..Program::default() };
        let bare = Expansion { env: &program.env, socket: &|_| None, world: self.world };
        let now = |text: &str| bare.expand(text, When::Now, &mut Vec::new());
        let count = reading.count("numprocesses", now);
        let is_manual = !reading.boolean("autostart").unwrap_or(true);
        let is_single = reading.boolean("singleton").unwrap_or(false);
        program.rank = reading.number("priority", -i64::MAX..=i64::MAX, now).map_or(0, |priority| -priority);
        program.stop_seconds = Some(reading.seconds("graceful_timeout", now).unwrap_or(STOP_SECONDS));
        let age = reading.seconds("max_age", now).filter(|age| *age > 0);
        let variance = reading.seconds("max_age_variance", now).unwrap_or(AGE_VARIANCE);
        program.max_lifetime = age.map(|age| (age, variance));
        program.count = if is_single { None } else { count.filter(|count| *count != 1) };
        program.is_manual = is_manual;
        let shared = self.take_sockets(&mut reading, &mut program, sockets);
        let expansion =
            Expansion { env: &program.env, socket: &|name| placeholder(&shared, name), world: self.world };
        let Some(command) = command(&mut reading, &expansion, &mut notes) else {
            plan.rest
                .push(format!("[{}] was left out: it has no command that makes sense", self.section.name));
            return None;
        };
        let mut text = |reading: &mut Reading<'_>, key: &str, when: When| {
            let value = reading.take(key)?;
            Some(expansion.expand(value, when, &mut notes).trim().to_owned())
        };
        let cwd = text(&mut reading, "working_dir", When::Start);
        let user = text(&mut reading, "uid", When::Now);
        let group = text(&mut reading, "gid", When::Now);
        let virtualenv = text(&mut reading, "virtualenv", When::Start);
        let output = output::read(&mut reading, &expansion);
        (program.command, program.cwd, program.user, program.group) = (command, cwd, user, group);
        program.output = output;
        read_limits(&mut reading, &mut program);
        read_life(&mut reading, &mut program);
        if let Some(directory) = virtualenv {
            use_virtualenv(&directory, &mut program);
        }
        program.notes.append(&mut notes);
        if !program.is_workers {
            program.name = names.companion(None, self.name, &mut program.notes);
        }
        note_the_rest(&mut reading, &program);
        program.notes.extend(reading.finish());
        program.notes.extend(hints::server(&program));
        Some(program)
    }

    /// The sockets that it uses, with what stands for their numbers. The first watcher with one becomes the workers.
    fn take_sockets(
        &self,
        reading: &mut Reading<'_>,
        program: &mut Program,
        sockets: &mut Sockets,
    ) -> Vec<(String, String)> {
        if !reading.boolean("use_sockets").unwrap_or(false) {
            return Vec::new();
        }
        let text =
            [self.section.get("cmd"), self.section.get("args")].map(Option::unwrap_or_default).join(" ");
        let mut wanted = expand::sockets(&text);
        wanted.dedup();
        if wanted.is_empty() {
            wanted = sockets.names();
            if !wanted.is_empty() {
                program.notes.push(
                    "use_sockets without $(circus.sockets.NAME) in the command: it gets all of them, from descriptor \
                     3 on, as LISTEN_FDS says"
                        .into(),
                );
            }
        }
        let is_workers = !sockets.has_workers && program.starts() && !wanted.is_empty();
        let mut shared = Vec::new();
        for name in wanted {
            if shared.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if !is_workers && !program.sockets.is_empty() {
                program
                    .notes
                    .push(format!("socket {name}: a companion has one socket; open this one in the program"));
                continue;
            }
            let Some(socket) = sockets.take(&name) else {
                program.notes.push(format!(
                    "socket {name}: it is not there, or another one has it; a socket has one owner here"
                ));
                continue;
            };
            let Socket { name: ours, .. } = &socket;
            shared.push((name, if is_workers { format!("{{{ours}}}") } else { "{listen}".to_owned() }));
            program.sockets.push(socket);
        }
        program.is_workers = is_workers && !program.sockets.is_empty();
        sockets.has_workers |= program.is_workers;
        if program.is_workers {
            program.notes.push(
                "this one shares a socket, so it became the workers; arbiter has one kind of them".into(),
            );
        }
        shared
    }
}

fn placeholder(shared: &[(String, String)], name: &str) -> Option<String> {
    shared.iter().find(|(known, _)| known == name).map(|(_, placeholder)| placeholder.clone())
}

fn command(
    reading: &mut Reading<'_>,
    expansion: &Expansion<'_>,
    notes: &mut Vec<String>,
) -> Option<Vec<String>> {
    let mut line = |reading: &mut Reading<'_>, key: &str| {
        let value = reading.take(key)?;
        Some(expansion.expand(value, When::Start, notes))
    };
    let program = line(reading, "cmd");
    let arguments = line(reading, "args");
    let program = program?;
    if reading.boolean("shell").unwrap_or(false) {
        let whole = [program.as_str(), arguments.as_deref().unwrap_or_default()].join(" ");
        return Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), whole.trim_end().to_owned()]);
    }
    let mut words = reading.words("cmd", &program)?;
    if let Some(arguments) = arguments {
        words.extend(reading.words("args", &arguments).unwrap_or_default());
    }
    words.first().is_some_and(|first| !first.is_empty()).then_some(words)
}

fn read_limits(reading: &mut Reading<'_>, program: &mut Program) {
    let keys: Vec<String> = reading.rest().map(|entry| entry.key.clone()).collect();
    for key in keys {
        let lower = key.to_ascii_lowercase();
        let Some(name) = lower.strip_prefix("rlimit_") else { continue };
        let Some((_, known)) = Resource::ALL.iter().find(|(_, known)| *known == name) else {
            reading.without(&key, "there is no such limit");
            continue;
        };
        let value = match reading.take(&key) {
            None | Some("-1") => Some("\"infinity\"".to_owned()),
            Some(_) => reading.number(&key, 0..=i64::MAX, str::to_owned).map(|number| number.to_string()),
        };
        program.limits.extend(value.map(|value| ((*known).to_owned(), value)));
    }
}

/// When it is started again, and how it stops.
fn read_life(reading: &mut Reading<'_>, program: &mut Program) {
    if reading.boolean("respawn") == Some(false) {
        program.restart = Some("never");
    }
    program.stop_signal = reading.signal("stop_signal").filter(|signal| signal != "TERM");
    program.stop_group = reading.boolean("stop_children").unwrap_or(false);
    if reading.boolean("send_hup").unwrap_or(false) {
        program.reload_signal = Some("HUP");
        if program.is_workers {
            reading.notes.push("send_hup: workers are replaced at a reload, new before old".to_owned());
        }
    }
}

/// A program that was meant to be found there is named there: what a circus of that Python would find is not known.
fn use_virtualenv(directory: &str, program: &mut Program) {
    let bin = format!("{}/bin", directory.trim_end_matches('/'));
    match program.command.first_mut() {
        Some(first) if !first.contains('/') => {
            program.notes.push(format!("virtualenv = {directory}: the program is taken from there"));
            *first = format!("{bin}/{first}");
        }
        Some(first) if first.starts_with(&bin) => {}
        _ => program
            .notes
            .push(format!("virtualenv = {directory}: name its programs by their paths, {bin}/python")),
    }
}

fn note_the_rest(reading: &mut Reading<'_>, program: &Program) {
    reading.pass_over(&["copy_env", "stream_backend", "check_flapping", "async_kill"]);
    let no = ["false", "0", "no", "off"];
    reading.without_unless("copy_path", &no, "set env = { PYTHONPATH = … } where the program needs one");
    reading.without_unless(
        "warmup_delay",
        &["0"],
        "all processes start at once, and are ready when they say so",
    );
    reading.without_unless(
        "max_retry",
        &["-1"],
        "arbiter tries for ever, with pauses of up to 60 s; `flapping` gives one up",
    );
    reading.without_unless(
        "on_demand",
        &no,
        "it starts with the others; who connects earlier waits in the socket",
    );
    reading.without_unless(
        "close_child_stdin",
        &["true", "1", "yes", "on"],
        "standard input is empty, or stdin = \"pipe\"",
    );
    reading.without("shell_args", "write them into the command of the shell");
    reading.without("executable", "the first word of the command is what is executed");
    reading.without("use_papa", "companions outlive the manager by themselves");
    reading.without("ipython", "there is no such thing here");
    let keys: Vec<String> = reading.rest().map(|entry| entry.key.clone()).collect();
    for key in keys {
        let lower = key.to_ascii_lowercase();
        if let Some(hook) = lower.strip_prefix("hooks.") {
            let why = match hook {
                "before_start" | "before_spawn" => {
                    "a function of Python; a command that has to succeed first is a companion with ready = \"exit\", \
                     named in `after`"
                }
                "before_stop" | "before_signal" | "before_reap" => {
                    "a function of Python; stop_signal and stop_timeout say how it stops"
                }
                "extended_stats" => "a function of Python; arbiterctl stats shows what the system knows",
                _ if program.is_workers => {
                    "a function of Python; [hooks] post_fork and worker_exit run commands"
                }
                _ => "a function of Python; [hooks] companion_event runs a command at each event",
            };
            reading.without(&key, why);
        } else if lower.starts_with("flapping.") {
            reading.without(
                &key,
                "flapping = { attempts, window, retry_in, max_retry } of the companion says it",
            );
        }
    }
}
