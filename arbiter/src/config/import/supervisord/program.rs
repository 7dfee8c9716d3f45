//! `[program:x]` and `[fcgi-program:x]`.

use super::environment;
use super::expand::{Expansion, Number, When};
use super::{Kept, output};
use crate::config::import::World;
use crate::config::import::ini::Section;
use crate::config::import::plan::{Plan, Program, Socket, file_address, reachable};
use crate::config::import::reading::{Reading, is_variable};
use std::time::Duration;
use supervise::Flapping;

/// The priority of what has none.
pub(super) const PRIORITY: i64 = 999;

/// Up to how many processes are written out one by one where their numbers matter.
const WRITTEN_OUT: u32 = 20;

/// How long a program may take to stop, where nothing is said.
const STOP_SECONDS: u32 = 10;

/// Reads a section: one companion or several, or the workers.
pub(super) fn read(
    section: &Section,
    name: &str,
    group: Option<&str>,
    world: &World<'_>,
    kept: &mut Kept<'_>,
    plan: &mut Plan,
) {
    let now = |text: &str| super::daemon::expansion(world).expand(text, When::Now, &mut Vec::new());
    // What is wrong with the numbers is noted with the rest, once.
    let mut first = Reading::of(section);
    let count = first.count("numprocs", now).unwrap_or(1);
    let start = first.number("numprocs_start", -1_000_000..=1_000_000, now).unwrap_or(0);
    let expansion = |number| Expansion {
        program: name,
        group: group.unwrap_or(name),
        number,
        numprocs: count,
        here: world.directory,
        env: world.env,
    };
    let one = One { section, group, count, world };
    if count > 1 && count <= WRITTEN_OUT && numbers_matter(section, start) {
        for number in start..start + i64::from(count) {
            let expansion = expansion(Number::Is(number));
            let named = section.get("process_name").unwrap_or("%(program_name)s_%(process_num)02d");
            let named = expansion.expand(named, When::Now, &mut Vec::new());
            let mut program = one.read(&named, &expansion, kept, plan);
            if let Some(program) = program.as_mut().filter(|_| number == start) {
                program.notes.insert(0, format!(
                    "numprocs = {count}: written out, as their numbers count from {start}; where numbers from 1 will \
                     do, keep one, with count = {count} and {{slot}} in its command"
                ));
            }
            plan.programs.extend(program);
        }
    } else {
        let number = if count > 1 { Number::Slot } else { Number::Is(start) };
        let mut program = one.read(name, &expansion(number), kept, plan);
        if let Some(program) = program.as_mut().filter(|_| count != 1) {
            program.count = Some(count);
            let named = section.get("process_name").unwrap_or_default();
            let slots = if program.is_workers { "worker 1, worker 2" } else { "NAME:1, NAME:2" };
            program.notes.push(format!("process_name = {named}: its processes are {slots} and so on"));
        }
        plan.programs.extend(program);
    }
}

/// Whether what a process is told has its number in it, and one that our slots do not give.
fn numbers_matter(section: &Section, start: i64) -> bool {
    let has = |key: &str, text: &str| section.get(key).is_some_and(|value| value.contains(text));
    let plain = ["%(process_num)s", "%(process_num)d"];
    let told = ["command", "directory"];
    let is_plain = |key: &str| {
        let value = section.get(key).unwrap_or_default();
        plain
            .iter()
            .fold(value.to_owned(), |value, plain| value.replace(plain, ""))
            .find("%(process_num)")
            .is_none()
    };
    has("environment", "%(process_num)")
        || told.iter().any(|key| has(key, "%(process_num)") && (start != 1 || !is_plain(key)))
}

/// What is read for each process of a section.
struct One<'a> {
    section: &'a Section,
    group: Option<&'a str>,
    count: u32,
    world: &'a World<'a>,
}

impl One<'_> {
    /// `None` where there is nothing to run, which is noted.
    fn read(
        &self,
        wanted: &str,
        expansion: &Expansion<'_>,
        kept: &mut Kept<'_>,
        plan: &mut Plan,
    ) -> Option<Program> {
        let mut reading = Reading::of(self.section);
        let mut notes = Vec::new();
        let mut program = Program { rank: PRIORITY, ..Program::default() };
        let line = reading.take("command").map(|line| expansion.expand(line, When::Start, &mut notes));
        let words = line.as_deref().and_then(|line| reading.words("command", line));
        let Some(words) = words else {
            let mut why = reading.notes;
            why.extend(line.is_none().then(|| "it has no command".to_owned()));
            plan.rest.push(format!("[{}] was left out: {}", self.section.name, why.join("; ")));
            return None;
        };
        program.command = words;
        let mut text = |reading: &mut Reading<'_>, key: &str, when: When| {
            let value = reading.take(key)?;
            Some(expansion.expand(value, when, &mut notes).trim().to_owned())
        };
        program.cwd = text(&mut reading, "directory", When::Start);
        program.user = text(&mut reading, "user", When::Now);
        let env = text(&mut reading, "environment", When::Now);
        program.umask = reading.mode("umask");
        self.read_environment(env.as_deref(), &mut program, &mut notes);
        read_life(&mut reading, self.world, &mut program);
        let is_fcgi = self.section.name_of("fcgi-program").is_some();
        if is_fcgi {
            self.read_socket(&mut reading, expansion, kept, &mut program);
        }
        program.output = output::read(&mut reading, expansion);
        reading.pass_over(&["numprocs", "numprocs_start", "process_name", "killasgroup"]);
        reading.without_unless(
            "serverurl",
            &["auto"],
            "a companion finds arbiter's socket in ARBITER_SOCKET",
        );
        program.notes.append(&mut notes);
        if program.is_workers {
            program.notes.push(
                "this one shares a socket, so it became the workers; arbiter has one kind of them".into(),
            );
        } else {
            program.name = kept.names.companion(self.group, wanted, &mut program.notes);
        }
        program.notes.extend(reading.finish());
        program.notes.extend(super::super::hints::server(&program));
        Some(program)
    }

    fn read_environment(&self, text: Option<&str>, program: &mut Program, notes: &mut Vec<String>) {
        let Some(text) = text else { return };
        let Some(pairs) = environment::pairs(text) else {
            notes.push(format!("environment = {text}: this is not KEY=\"value\",KEY2=\"value\""));
            return;
        };
        for (name, value) in pairs.into_iter().filter(|(name, _)| is_variable(name)) {
            program.env.retain(|(other, _)| *other != name);
            program.env.push((name, value));
        }
    }

    /// A socket that is open as standard input. The first program with one becomes the workers.
    fn read_socket(
        &self,
        reading: &mut Reading<'_>,
        expansion: &Expansion<'_>,
        kept: &mut Kept<'_>,
        program: &mut Program,
    ) {
        let mut socket = Socket::default();
        let mut notes = Vec::new();
        let written = reading.take("socket").unwrap_or_default();
        let url = expansion.expand(written, When::Now, &mut notes);
        reading.notes.append(&mut notes);
        let has_port = |address: &&str| {
            address
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        // What begins so would be a socket file here.
        let is_tcp = |address: &&str| !address.starts_with("unix:") && has_port(address);
        let address = url.strip_prefix("tcp://").filter(is_tcp).map(str::to_owned);
        let Some(address) = address.or_else(|| url.strip_prefix("unix://").map(file_address)) else {
            reading.notes.push(format!("socket = {written}: neither unix://PATH nor tcp://HOST:PORT"));
            return;
        };
        let is_file = address.starts_with("unix:");
        socket.address = address;
        let owner = reading.take("socket_owner").unwrap_or_default();
        let mode = reading.mode("socket_mode");
        if is_file {
            let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
            let named = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            (socket.user, socket.group) = (named(user).or_else(|| program.user.clone()), named(group));
            socket.mode = Some(mode.unwrap_or_else(|| "0700".to_owned()));
        }
        let backlog = reading.number("socket_backlog", 1..=i64::from(i32::MAX), str::to_owned);
        socket.backlog = backlog.and_then(|backlog| u32::try_from(backlog).ok());
        program.is_workers = !kept.has_workers && !program.is_manual && self.count > 0;
        kept.has_workers |= program.is_workers;
        let number = if program.is_workers {
            socket.name = kept.sockets.listener(expansion.program);
            socket.name.clone()
        } else {
            "listen".to_owned()
        };
        let words = std::mem::take(&mut program.command);
        let shell = ["/bin/sh", "-c", &format!("exec \"$@\" <&{{{number}}}"), "sh"].map(str::to_owned);
        program.command = shell.into_iter().chain(words).collect();
        program.sockets.push(socket);
    }
}

/// When it starts, is started again, and stops.
fn read_life(reading: &mut Reading<'_>, world: &World<'_>, program: &mut Program) {
    let now = |text: &str| super::daemon::expansion(world).expand(text, When::Now, &mut Vec::new());
    program.rank = reading.number("priority", i64::MIN..=i64::MAX, now).unwrap_or(PRIORITY);
    program.is_manual = !reading.boolean("autostart").unwrap_or(true);
    let restart = reading.take("autorestart").unwrap_or("unexpected").trim().to_ascii_lowercase();
    program.restart = match restart.as_str() {
        "true" | "yes" | "on" | "1" => None,
        "false" | "no" | "off" | "0" => Some("never"),
        "unexpected" => Some("on-failure"),
        _ => {
            reading.notes.push(format!("autorestart = {restart}: neither true, false nor unexpected"));
            Some("on-failure")
        }
    };
    let codes = reading.take("exitcodes");
    let read = codes
        .map(|codes| codes.split(',').map(|code| code.trim().parse::<u8>().ok()).collect::<Option<Vec<_>>>());
    match read {
        Some(None) => {
            reading.notes.push(format!("exitcodes = {}: not exit codes", codes.unwrap_or_default()))
        }
        Some(Some(codes)) if codes != [0] => program.success_exit_codes = Some(codes),
        _ => {}
    }
    let seconds = reading.seconds("startsecs", now);
    program.start_seconds = seconds.filter(|seconds| *seconds != 1);
    program.flapping = read_retries(reading, seconds.unwrap_or(1), now);
    program.stop_signal = reading.signal("stopsignal").filter(|signal| signal != "TERM");
    program.stop_seconds = Some(reading.seconds("stopwaitsecs", now).unwrap_or(STOP_SECONDS));
    program.stop_group = reading.boolean("stopasgroup").unwrap_or(false);
}

/// A program that ends too often is given up.
fn read_retries(
    reading: &mut Reading<'_>,
    start_seconds: u32,
    now: impl Fn(&str) -> String,
) -> Option<Flapping> {
    let retries = reading.number("startretries", 0..=i64::MAX, now)?;
    // Whoever writes more means for ever, which is the rule here.
    let attempts = u32::try_from(retries).ok().filter(|retries| *retries < 100)?.max(1) + 1;
    let rule = Flapping { attempts, window: Duration::from_secs(10), retry_in: Duration::ZERO, max_retry: 0 };
    Some(reachable(rule, Duration::from_secs(u64::from(start_seconds.clamp(1, 3600)))))
}
