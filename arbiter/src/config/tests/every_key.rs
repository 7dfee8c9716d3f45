//! Each key of each table, set to something else than in the full example: it makes another specification, is
//! printed, and what is printed is read as the same.

use super::Place;
use super::round_trip::{FULL, assert_round_trip};
use crate::config::keys::{self, Keys};

/// The head of a table in the full example, its name among the keys, a line, and which key that is about where
/// it is one of an inline table.
type Other = (&'static str, &'static str, &'static str, &'static str);

const TOP: &str = "";
const WORKERS: &str = "[workers]";
const REDIS: &str = "[companion.redis]";
const MAIL: &str = "[companion.\"batch.mail\"]";
const MIGRATE: &str = "[companion.migrate]";
const HTTP: &str = "name = \"http\"";
const SIX: &str = "address = \"[::]:0\"";
const UNIX: &str = "address = \"unix:app.sock\"";

#[rustfmt::skip]
const OTHERS: &[Other] = &[
    (TOP, "top", "name = 'other'", ""),
    (TOP, "top", "pidfile = ''", ""),
    (TOP, "top", "chdir = 'again'", ""),
    (TOP, "top", "umask = '0007'", ""),
    (TOP, "top", "user = 'postgres'", ""),
    (TOP, "top", "group = 'postgres'", ""),
    (TOP, "top", "env = { APP_ENV = 'test', B = '2' }", ""),
    (TOP, "top", "unset_env = ['LANG']", ""),
    (TOP, "top", "pre_stop_delay = 3", ""),
    (TOP, "top", "on_boot_failure = 'retry'", ""),
    ("[control]", "control", "socket = 'other.sock'", ""),
    ("[control]", "control", "mode = '0666'", ""),
    ("[control]", "control", "group = 'postgres'", ""),
    ("[control]", "control", "allow_users = ['root']", ""),
    ("[control]", "control", "allow_groups = []", ""),
    ("[log]", "log", "level = 'trace'", ""),
    ("[log]", "log", "format = 'json'", ""),
    ("[log]", "log", "file = 'own.log'", ""),
    ("[[listener]]", "listener", "name = 'web'", ""),
    (HTTP, "listener", "address = ':81'", ""),
    (HTTP, "listener", "backlog = 9", ""),
    (HTTP, "listener", "reuse_port = true", ""),
    (SIX, "listener", "v6only = false", ""),
    (UNIX, "listener", "mode = '0600'", ""),
    (UNIX, "listener", "user = 'postgres'", ""),
    (UNIX, "listener", "group = 'postgres'", ""),
    (WORKERS, "workers", "count = 2", ""),
    (WORKERS, "workers", "timeout = 9", ""),
    (WORKERS, "workers", "heartbeat = 'required'", ""),
    (WORKERS, "workers", "abort_signal = 'USR2'", ""),
    (WORKERS, "workers", "abort_timeout = 3", ""),
    (WORKERS, "workers", "quick_stop_signal = 'INT'", ""),
    (WORKERS, "workers", "reopen_signal = 'USR1'", ""),
    (WORKERS, "workers", "graceful_timeout = '1m 1s'", ""),
    (WORKERS, "workers", "reload_batch = 2", ""),
    (WORKERS, "workers", "requires = []", ""),
    (WORKERS, "workers", "halt_exit_codes = [9]", ""),
    (WORKERS, "workers", "command = ['./server', 'other']", ""),
    (WORKERS, "workers", "cwd = 'again'", ""),
    (WORKERS, "workers", "env = {}", ""),
    (WORKERS, "workers", "unset_env = ['APP_ENV']", ""),
    (WORKERS, "workers", "env_file = 'a.toml'", ""),
    (WORKERS, "workers", "user = 'postgres'", ""),
    (WORKERS, "workers", "group = 'www-data'", ""),
    (WORKERS, "workers", "umask = '0000'", ""),
    (WORKERS, "workers", "limits = { nofile = 7 }", ""),
    (WORKERS, "workers", "nice = -5", ""),
    (WORKERS, "workers", "oom_score_adj = -7", ""),
    (WORKERS, "workers", "no_new_privileges = false", ""),
    (WORKERS, "workers", "ready = 'listening'", ""),
    (WORKERS, "workers", "start_seconds = 2.5", ""),
    (WORKERS, "workers", "start_timeout = 5", ""),
    (WORKERS, "workers", "stop_signal = 'QUIT'", ""),
    (WORKERS, "workers", "stop_group = true", ""),
    (WORKERS, "workers", "max_lifetime = '2d'", ""),
    (WORKERS, "workers", "max_lifetime_jitter = '2h'", ""),
    (WORKERS, "workers", "memory_max = '1GiB'", ""),
    (MIGRATE, "companion", "session = 'night'", ""),
    (REDIS, "companion", "count = 2", ""),
    (MAIL, "companion", "autostart = false", ""),
    (REDIS, "companion", "critical = true", ""),
    (MIGRATE, "companion", "after = ['redis']", ""),
    (REDIS, "companion", "restart = 'never'", ""),
    (REDIS, "companion", "success_exit_codes = [0, 7]", ""),
    (REDIS, "companion", "restart_delay = 2", ""),
    (REDIS, "companion", "restart_delay_max = 90", ""),
    (REDIS, "companion", "flapping = { attempts = 6 }", "attempts"),
    (REDIS, "companion", "flapping = { window = 61 }", "window"),
    (REDIS, "companion", "flapping = { retry_in = 6 }", "retry_in"),
    (REDIS, "companion", "flapping = { max_retry = -1 }", "max_retry"),
    (REDIS, "companion", "health = { exec = './server other' }", "exec"),
    (REDIS, "companion", "health = { tcp = '127.0.0.1:1' }", "tcp"),
    (REDIS, "companion", "health = { http = 'http://localhost/' }", "http"),
    (REDIS, "companion", "health = { exec = './server ping', interval = 3 }", "interval"),
    (REDIS, "companion", "health = { exec = './server ping', timeout = 3 }", "timeout"),
    (REDIS, "companion", "health = { exec = './server ping', failures = 2 }", "failures"),
    (REDIS, "companion", "watchdog = 5", ""),
    (REDIS, "companion", "stop_timeout = 9", ""),
    (REDIS, "companion", "reload_signal = ''", ""),
    (MAIL, "companion", "stdout = 'inherit'", ""),
    (MAIL, "companion", "stderr = 'null'", ""),
    (REDIS, "companion", "log = { file = 'x', max_size = '10MiB' }", "file"),
    (REDIS, "companion", "log = { file = 'redis-{slot}.log', max_size = '1MiB' }", "max_size"),
    (REDIS, "companion", "log = { file = 'redis-{slot}.log', keep = 1 }", "keep"),
    (REDIS, "companion", "log = { file = 'redis-{slot}.log', timestamps = true }", "timestamps"),
    (REDIS, "companion", "stdin = 'pipe'", ""),
    (REDIS, "companion", "streams = []", ""),
    (MAIL, "companion", "listen = { address = 'unix:other.sock' }", "address"),
    (MAIL, "companion", "listen = { address = 'unix:mail.sock', backlog = 17 }", "backlog"),
    (MAIL, "companion", "listen = { address = 'unix:mail.sock', mode = '0666' }", "mode"),
    (MAIL, "companion", "listen = { address = 'unix:mail.sock', user = 'root' }", "user"),
    (MAIL, "companion", "listen = { address = 'unix:mail.sock', group = 70 }", "group"),
    (REDIS, "companion", "command = ['./server']", ""),
    (REDIS, "companion", "cwd = '/usr'", ""),
    (REDIS, "companion", "env = { A = '' }", ""),
    (REDIS, "companion", "unset_env = ['Z']", ""),
    (REDIS, "companion", "env_file = '-none.env'", ""),
    (REDIS, "companion", "user = 'www-data'", ""),
    (REDIS, "companion", "group = 'www-data'", ""),
    (REDIS, "companion", "umask = '0000'", ""),
    (REDIS, "companion", "limits = { nproc = 7 }", ""),
    (REDIS, "companion", "nice = -5", ""),
    (REDIS, "companion", "oom_score_adj = -7", ""),
    (REDIS, "companion", "no_new_privileges = true", ""),
    (MAIL, "companion", "ready = { exec = './server up' }", "exec"),
    (MAIL, "companion", "ready = { tcp = '127.0.0.1:8080' }", "tcp"),
    (MAIL, "companion", "ready = { http = 'http://127.0.0.1:8081/health' }", "http"),
    (MAIL, "companion", "ready = { http = 'http://127.0.0.1:8080/health', interval = 2 }", "interval"),
    (MAIL, "companion", "ready = { http = 'http://127.0.0.1:8080/health', timeout = 2 }", "timeout"),
    (REDIS, "companion", "start_seconds = 2.5", ""),
    (REDIS, "companion", "start_timeout = 5", ""),
    (REDIS, "companion", "stop_signal = 'QUIT'", ""),
    (REDIS, "companion", "stop_group = true", ""),
    (REDIS, "companion", "max_lifetime = '2d'", ""),
    (MAIL, "companion", "max_lifetime = '1d'\nmax_lifetime_jitter = '2h'", ""),
    (MAIL, "companion", "max_lifetime_jitter = '2h'\nmax_lifetime = '1d'", ""),
    (REDIS, "companion", "memory_max = '1GiB'", ""),
    ("[hooks]", "hooks", "when_ready = { command = './server other', timeout = 2.5 }", "command"),
    ("[hooks]", "hooks", "when_ready = { command = './server ready', timeout = 3 }", "timeout"),
];

/// What is no value: tables of their own, and the files that the whole is read from.
const TABLES: [&str; 7] = ["include", "control", "log", "listener", "workers", "companion", "hooks"];

fn key_of(line: &str) -> &str {
    line.split_once(" = ").expect("a key and a value").0
}

/// The full example with a line in the place of the one of the same key, or added to its table.
fn changed(head: &str, line: &str) -> String {
    let mut lines: Vec<&str> = FULL.lines().collect();
    let begin = if head.is_empty() {
        0
    } else {
        lines.iter().position(|line| *line == head).expect("the example has this table") + 1
    };
    let end =
        lines[begin..].iter().position(|line| line.starts_with('[')).map_or(lines.len(), |at| begin + at);
    let is_it = |known: &&str| known.split_once(" = ").is_some_and(|(key, _)| key == key_of(line));
    match lines[begin..end].iter().position(is_it) {
        Some(at) => lines[begin + at] = line,
        None => lines.insert(begin, line),
    }
    lines.join("\n")
}

#[test]
fn each_key_is_printed_and_read_back() {
    let printed = |place: &Place, text: &str| {
        let (stdout, stderr, code) = place.printed(&["-c", "a.toml", "--print-config"]);
        assert_eq!((stderr.as_str(), code), ("", 0), "{text}");
        stdout
    };
    let full = printed(&Place::with(FULL), FULL);
    for (head, _, line, _) in OTHERS {
        let text = changed(head, line);
        let place = Place::with(&text);
        // Another name of the same directory.
        std::os::unix::fs::symlink(".", place.path().join("again")).unwrap();
        assert_ne!(printed(&place, &text), full, "{head} {line}");
        assert_round_trip(&place, &["-c", "a.toml"]);
    }
}

#[test]
fn each_key_of_each_table_has_its_turn() {
    let of_table = |table: &str, keys: Keys| {
        let set = |key: &str| {
            TABLES.contains(&key)
                || OTHERS.iter().any(|(_, name, line, _)| *name == table && key_of(line) == key)
        };
        keys.iter().filter(|key| !set(key)).map(|key| format!("{table}.{key}")).collect::<Vec<_>>()
    };
    let of_inline = |outer: &str, keys: Keys| {
        let set = |key: &str| OTHERS.iter().any(|(_, _, line, inner)| key_of(line) == outer && *inner == key);
        keys.iter().filter(|key| !set(key)).map(|key| format!("{outer}.{key}")).collect::<Vec<_>>()
    };
    let missing = [
        of_table("top", keys::TOP),
        of_table("control", keys::CONTROL),
        of_table("log", keys::LOG),
        of_table("listener", keys::LISTENER),
        of_table("workers", keys::WORKERS),
        of_table("companion", keys::COMPANION),
        of_inline("flapping", keys::FLAPPING),
        of_inline("health", keys::HEALTH),
        of_inline("ready", keys::READY),
        of_inline("log", keys::COMPANION_LOG),
        of_inline("listen", keys::LISTEN),
        of_inline("when_ready", keys::HOOK),
    ];
    assert_eq!(missing.concat(), Vec::<String>::new());
}
