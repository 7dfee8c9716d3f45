//! What a reload does about each single key of a companion: its process is replaced, or runs on with the new setting.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::manual::{Page, literals};
use tests::{Arbiter, Site, Status, is_root, processes};

/// What becomes of a companion when nothing but this key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It gets another process.
    Restarted,
    /// Its process runs on.
    Applied,
    /// Its process runs on, beside another one.
    Scaled,
    /// Nothing.
    Unchanged,
}

/// A key, how it is written before and after the reload, and what becomes of the companion.
type Row = (&'static str, &'static str, &'static str, Fate);

/// Every key of `[companion.NAME]` but `session`, which is a part of the name, and those of whom the process is.
const KEYS: [Row; 37] = [
    ("command", "command = [\"@companion@\"]", "command = [\"@companion@\", \"--other\"]", Fate::Restarted),
    ("cwd", "", "cwd = \"@site@/run\"", Fate::Restarted),
    ("env", "env = { A = \"1\" }", "env = { A = \"2\" }", Fate::Restarted),
    ("unset_env", "", "unset_env = [\"XDG_RUNTIME_DIR\"]", Fate::Restarted),
    ("env_file", "", "env_file = \"@site@/variables\"", Fate::Restarted),
    ("umask", "umask = \"0022\"", "umask = \"0027\"", Fate::Restarted),
    ("limits", "limits = { core = 0 }", "limits = { core = \"0:4096\" }", Fate::Restarted),
    ("nice", "nice = 1", "nice = 2", Fate::Restarted),
    ("oom_score_adj", "oom_score_adj = 100", "oom_score_adj = 200", Fate::Restarted),
    ("no_new_privileges", "", "no_new_privileges = true", Fate::Restarted),
    ("watchdog", "watchdog = 100", "watchdog = 200", Fate::Restarted),
    ("stdout", "", "stdout = \"@site@/out\"", Fate::Restarted),
    ("stderr", "", "stderr = \"null\"", Fate::Restarted),
    ("stdin", "", "stdin = \"pipe\"", Fate::Restarted),
    ("streams", "", "streams = [\"extra\"]", Fate::Restarted),
    ("listen", "", "listen = \"unix:@site@/listen.sock\"", Fate::Restarted),
    ("count", "", "count = 2", Fate::Scaled),
    ("autostart", "", "autostart = false", Fate::Applied),
    ("critical", "", "critical = true", Fate::Applied),
    ("after", "", "after = [\"nice\"]", Fate::Applied),
    ("restart", "", "restart = \"on-failure\"", Fate::Applied),
    ("success_exit_codes", "", "success_exit_codes = [0, 3]", Fate::Applied),
    ("restart_delay", "", "restart_delay = 2", Fate::Applied),
    ("restart_delay_max", "", "restart_delay_max = 30", Fate::Applied),
    ("flapping", "flapping = { attempts = 4 }", "flapping = { attempts = 3 }", Fate::Applied),
    ("ready", "ready = \"started\"", "ready = \"auto\"", Fate::Applied),
    ("start_seconds", "start_seconds = 0", "start_seconds = 0.1", Fate::Applied),
    ("start_timeout", "", "start_timeout = 30", Fate::Applied),
    ("health", "", "health = { exec = [\"true\"], interval = 100 }", Fate::Applied),
    ("stop_signal", "", "stop_signal = \"INT\"", Fate::Applied),
    ("stop_timeout", "", "stop_timeout = 7", Fate::Applied),
    ("stop_group", "", "stop_group = true", Fate::Applied),
    ("reload_signal", "", "reload_signal = \"HUP\"", Fate::Applied),
    ("log", "log = { max_size = \"1MiB\" }", "log = { max_size = \"2MiB\" }", Fate::Applied),
    ("max_lifetime", "", "max_lifetime = \"1h\"", Fate::Applied),
    (
        "max_lifetime_jitter",
        "max_lifetime = \"1h\"",
        "max_lifetime = \"1h\"\nmax_lifetime_jitter = 9",
        Fate::Applied,
    ),
    ("memory_max", "", "memory_max = \"1GiB\"", Fate::Applied),
];

/// What a process has is what counts, and not how it is written.
const WRITTEN_OTHERWISE: [Row; 2] = [
    ("order", "env = { A = \"1\", B = \"2\" }", "env = { B = \"2\", A = \"1\" }", Fate::Unchanged),
    (
        "place",
        "env = { FROM_FILE = \"1\" }",
        "env_file = \"@site@/variables\"\nunset_env = [\"SURELY_NOT_SET\"]",
        Fate::Applied,
    ),
];

const AS_NOBODY: &str = "command = [\"sleep\", \"1000\"]\ncwd = \"/\"\nuser = \"nobody\"";

/// A companion for each row, called by the row's key.
fn companions(rows: &[Row], line: fn(&Row) -> &'static str) -> String {
    let defaults = ["command = [\"@companion@\"]", "ready = \"started\"", "start_seconds = 0"];
    let table = |row: &Row| {
        let own = line(row);
        let sets = |default: &&&str| !own.starts_with(default.split(' ').next().unwrap_or_default());
        let defaults = defaults.iter().filter(sets).copied().collect::<Vec<_>>().join("\n");
        format!("[companion.{}]\n{defaults}\n{own}\n", row.0)
    };
    rows.iter().map(table).collect()
}

fn all_running(status: &Status) -> bool {
    status.companions().iter().all(|name| status.companion(name).state == "RUNNING")
}

/// Reloads from the rows' first lines to their second ones, and checks what becomes of each.
fn check(site: &Site, arbiter: &Arbiter<'_>, rows: &[Row]) {
    let before = arbiter.wait_for_status("all to run", all_running);
    site.configure(&companions(rows, |row| row.2));
    let plan = arbiter.done(&["--json", "reload", "--dry-run"]).json();
    let report = arbiter.done(&["--json", "reload"]).json();
    let after = arbiter.wait_for_status("all to run", all_running);
    for (key, _, line, fate) in rows {
        let listed = |answer: &Value| {
            let lists = ["added", "removed", "restarted", "scaled", "applied", "unchanged"];
            let has = |list: &&str| answer[*list].as_array().is_some_and(|names| names.contains(&json!(key)));
            lists.into_iter().filter(has).collect::<Vec<_>>()
        };
        let expected = match fate {
            Fate::Restarted => "restarted",
            Fate::Applied => "applied",
            Fate::Scaled => "scaled",
            Fate::Unchanged => "unchanged",
        };
        assert_eq!(listed(&report), [expected], "{key}, now {line}: {report:#}");
        assert_eq!(listed(&plan), [expected], "{key}, now {line}: the plan is {plan:#}");
        let (old, new) = (before.companion(key).pids(), after.companion(key).pids());
        assert_eq!(new.contains(&old[0]), *fate != Fate::Restarted, "{key}, now {line}: {old:?}, {new:?}");
        assert_eq!(new.len(), if *fate == Fate::Scaled { 2 } else { 1 }, "{key}");
    }
}

#[test]
fn each_key_of_a_companion_restarts_it_or_is_applied_in_place() {
    let site = Site::new(&companions(&KEYS, |row| row.1));
    site.write("variables", "FROM_FILE=1\n");
    let arbiter = site.start();
    check(&site, &arbiter, &KEYS);
    let printed = site.run(&["-c", "arbiter.toml", "--print-config"]).stdout;
    let tables = printed.split("[companion.").skip(1);
    let known = tables.flat_map(|table| table.lines().skip(1)).filter_map(|line| line.split_once(" = "));
    let tried: BTreeSet<&str> = KEYS.iter().map(|row| row.0).chain(["session", "user", "group"]).collect();
    let untried: BTreeSet<&str> = known.map(|(key, _)| key).filter(|key| !tried.contains(key)).collect();
    assert!(untried.is_empty(), "every key that there is has been tried: {untried:?}");
}

#[test]
fn a_companion_whose_environment_is_only_written_otherwise_is_left_alone() {
    let site = Site::new(&companions(&WRITTEN_OTHERWISE, |row| row.1));
    site.write("variables", "FROM_FILE=1\n");
    let arbiter = site.start();
    check(&site, &arbiter, &WRITTEN_OTHERWISE);
}

#[test]
fn a_companion_whose_user_or_group_changes_is_restarted() {
    if !is_root() {
        return;
    }
    let rows: [Row; 2] = [
        ("user", "command = [\"sleep\", \"1000\"]\ncwd = \"/\"", AS_NOBODY, Fate::Restarted),
        ("group", "group = 12345", "group = 12346", Fate::Restarted),
    ];
    let site = Site::new(&companions(&rows, |row| row.1));
    let arbiter = site.start();
    check(&site, &arbiter, &rows);
    let group = processes::status_line(arbiter.status().pid_of("group"), "Gid");
    assert!(group.starts_with("12346"), "{group}");
}

#[test]
fn a_companion_that_comes_into_another_session_is_another_companion() {
    let table =
        |session: &str| format!("[companion.{session}]\ncommand = [\"@companion@\"]\nstart_seconds = 0\n");
    let site = Site::new(&table("clock"));
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    site.configure(&(table("clock") + "session = \"batch\"\n"));
    let report = arbiter.done(&["--json", "reload"]).json();
    assert_eq!((&report["added"], &report["removed"]), (&json!(["batch.clock"]), &json!(["clock"])));
    assert!(!processes::is_alive(before));
    arbiter.wait_for_companion("batch.clock", "RUNNING");
}

#[test]
fn what_the_top_level_says_of_every_process_restarts_those_that_have_it_from_there() {
    let tables = "[companion.plain]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n\
        [companion.own]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n\
        cwd = \"@site@/run\"\numask = \"0077\"\nenv = { A = \"own\" }\n";
    let site = Site::new(tables);
    let arbiter = site.start();
    for line in ["umask = \"0027\"", "chdir = \"@site@/run\"", "env = { A = \"1\" }"] {
        let before = arbiter.wait_for_status("all to run", all_running);
        site.configure(&format!("{line}\n{tables}"));
        arbiter.done(&["reload"]);
        let after = arbiter.wait_for_status("all to run", all_running);
        assert_ne!(before.pid_of("plain"), after.pid_of("plain"), "{line}");
        assert_eq!(before.pid_of("own"), after.pid_of("own"), "{line}: it has its own");
        site.configure(tables);
        arbiter.done(&["reload"]);
    }
}

#[test]
fn what_is_applied_in_place_holds_for_the_process_that_runs() {
    let table = |name: &str, line: &str| {
        let rest = "command = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0";
        format!("[companion.{name}]\n{rest}\n{line}\n")
    };
    let lines = [
        ("signal", "stop_signal = \"USR1\""),
        ("restart", "restart = \"never\""),
        ("codes", "restart = \"on-failure\"\nsuccess_exit_codes = [7]"),
        ("age", "max_lifetime = 0.1"),
        ("health", "health = { exec = [\"false\"], interval = 0.1, failures = 1 }"),
        ("reload", "reload_signal = \"USR1\""),
    ];
    let exits = |name: &str| name == "codes";
    let all = |line: fn(&'static str) -> &'static str| {
        let tables = lines.map(|(name, changed)| {
            let table = table(name, line(changed));
            let command = "[\"@companion@\", \"--exit-code\", \"7\"]";
            if exits(name) { table.replace("[\"@companion@\"]", command) } else { table }
        });
        tables.concat()
    };
    let site = Site::new(&all(|_| ""));
    let arbiter = site.start();
    let before = arbiter.wait_for_status("all to run", all_running);
    site.configure(&all(|line| line));
    let report = arbiter.done(&["--json", "reload"]).json();
    assert_eq!(report["applied"], json!(["age", "codes", "health", "reload", "restart", "signal"]));
    let ended_by = |name: &str, how: &str| {
        let line = format!("{name}: {how}");
        site.wait_for(&line, || site.log().contains(&line).then_some(()));
    };
    arbiter.done(&["stop", "companion", "signal"]);
    ended_by("signal", "stopped, was killed by SIGUSR1");
    processes::signal(before.pid_of("restart"), tests::signal::KILL);
    arbiter.wait_for_companion("restart", "EXITED");
    processes::signal(before.pid_of("codes"), tests::signal::TERM);
    arbiter.wait_for_companion("codes", "EXITED");
    arbiter.done(&["status", "--check", "codes"]);
    for name in ["age", "health"] {
        site.wait_for_start(name, 2);
    }
    arbiter.done(&["reload", "companion", "reload"]);
    // It knows nothing of that signal, which ends it: nobody would have sent it before.
    site.wait_for_start("reload", 2);
}

/// arbiter.toml(5) tells the same.
#[test]
fn the_manual_says_of_each_key_what_a_reload_does() {
    let page = Page::read("arbiter.toml.5").section("The table `[companion.NAME]`");
    let (shared, _) =
        page.text().split_once("are applied in place").expect("what companions share with workers");
    let (restart, in_place) = shared.split_once("restart, and").expect("what restarts, and what does not");
    let (restart, in_place) = (literals(restart), literals(in_place));
    let of_user = ["user", "group"].map(|key| (key, Fate::Restarted));
    let rows = KEYS.iter().map(|(key, _, _, fate)| (*key, *fate));
    for (key, fate) in rows.chain(of_user) {
        let said = if restart.iter().any(|name| name == key) {
            "Reload: restarts.".to_owned()
        } else if in_place.iter().any(|name| name == key) {
            "Reload: in place.".to_owned()
        } else {
            page.entry(key).body
        };
        let expected = if fate == Fate::Restarted { "Reload: restarts." } else { "Reload: in place" };
        assert!(said.contains(expected), "{key}, which is {fate:?}: {said}");
    }
}
