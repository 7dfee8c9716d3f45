//! `env_file`: read by each process itself, at each of its starts, on its way to exec.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tests::{Site, is_root, processes, signal};

/// A worker and a companion with the same file, which dress otherwise like any other.
const BOTH: &str = r#"
    env = { TOP = "top", FILE = "top", TABLE = "top" }
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--ready-after", "0", "{env.FILE}", "{http}", "{slot}"]
    ready = "notify"
    env_file = "@site@/variables"
    env = { TABLE = "table" }
    unset_env = ["UNSET"]
    umask = "0027"
    limits = { nofile = "100:200" }
    no_new_privileges = true
    [companion.clock]
    command = ["@companion@", "--ready-after", "0", "{env.FILE}", "{name}"]
    ready = "notify"
    env_file = "@site@/variables"
    env = { TABLE = "table" }
"#;

const FILE: &str = "# three\nFILE='from the file'\nTABLE=file\nUNSET=file\nARBITER_NAME=file\n";

fn both(site: &Site) -> tests::Arbiter<'_> {
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    arbiter
}

fn set<'e>(environment: &'e BTreeMap<String, String>, name: &str) -> &'e str {
    environment.get(name).map_or("unset", String::as_str)
}

#[test]
fn the_file_stands_between_the_top_level_and_the_table() {
    let site = Site::new(BOTH);
    site.write("variables", FILE);
    let arbiter = both(&site);
    let status = arbiter.status();
    for (pid, name) in [(status.worker_pids()[0], "arbiter"), (status.pid_of("clock"), "clock")] {
        let environment = processes::environment(pid);
        let seen = ["TOP", "FILE", "TABLE", "UNSET", "ARBITER_NAME"].map(|name| set(&environment, name));
        assert_eq!(seen, ["top", "from the file", "table", "file", name]);
    }
    let words = processes::command_line(status.worker_pids()[0]);
    assert!(words.ends_with("--ready-after 0 from the file 3 1"), "{words}");
    assert!(processes::command_line(status.pid_of("clock")).ends_with("from the file clock"));
}

#[test]
fn each_start_reads_it_anew() {
    let site = Site::new(BOTH);
    site.write("variables", FILE);
    let arbiter = both(&site);
    let before = arbiter.status();
    site.write("variables", "FILE=second\n");
    for pid in [before.worker_pids()[0], before.pid_of("clock")] {
        processes::signal(pid, signal::KILL);
    }
    for name in ["arbiter", "clock"] {
        let environment = processes::environment(site.wait_for_start(name, 2));
        assert_eq!((set(&environment, "FILE"), set(&environment, "UNSET")), ("second", "unset"), "{name}");
    }
}

#[test]
fn nothing_else_is_different_from_a_process_without_a_file() {
    let seen = |text: &str| {
        let site = Site::new(text);
        site.write("variables", FILE);
        let arbiter = both(&site);
        let status = arbiter.status();
        let mut all = Vec::new();
        for pid in [status.worker_pids()[0], status.pid_of("clock")] {
            let environment = processes::environment(pid);
            for own in ["LISTEN_PID", "WATCHDOG_PID"] {
                assert!(environment.get(own).is_none_or(|value| *value == pid.to_string()), "{own}");
            }
            let stat = sys::procfs::stat(pid).unwrap();
            assert_eq!((stat.session, stat.pgrp), (pid, pid));
            let lines = ["SigBlk", "SigIgn", "ShdPnd", "SigPnd", "Umask", "NoNewPrivs", "Uid", "Groups"];
            let lines = lines.map(|name| processes::status_line(pid, name));
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            // The fakes open descriptors of their own; what they were given has the lowest numbers.
            let given: Vec<_> = processes::descriptors(pid)
                .into_iter()
                .filter(|(_, what)| !what.starts_with("anon_inode") && !what.starts_with("pipe"))
                .map(|(number, what)| (number, what.split(':').next().map(str::to_owned)))
                .filter(|(number, _)| *number > 2)
                .collect();
            let names: Vec<_> = environment.into_keys().collect();
            let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap()
                == site.path("").canonicalize().unwrap();
            all.push((lines, limits, given, names, cwd));
        }
        all
    };
    let without = BOTH
        .replace("env_file = \"@site@/variables\"", "")
        .replace("TOP = \"top\"", "TOP = \"top\", UNSET = \"top\"");
    let without = without.replace("unset_env = [\"UNSET\"]", "");
    assert_eq!(seen(BOTH), seen(&without));
}

#[test]
fn directory_program_and_output_can_come_from_the_file() {
    let site = Site::new(
        r#"
        [companion.clock]
        command = ["fake-companion", "--ready-after", "0", "--write", "1"]
        ready = "notify"
        env_file = "@site@/variables"
        cwd = "{env.PLACE}"
        stdout = "{env.PLACE}/{env.OUT}"
        "#,
    );
    let programs = tests::program("fake-companion").parent().unwrap().to_owned();
    site.write(
        "variables",
        &format!("PLACE={}\nOUT=out\nPATH=/nowhere:{}\n", site.directory(), programs.display()),
    );
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd, site.path("").canonicalize().unwrap());
    assert_eq!(std::fs::read_to_string(site.path("out")).unwrap(), "line 0\n");
}

#[test]
fn whatever_fails_on_the_way_is_the_reason_of_a_companion_in_backoff() {
    let site = Site::new("");
    let cases = [
        ("sleep 1000", "", None, "cannot start sleep: env_file @site@/variables: No such file or directory"),
        (
            "sleep 1000",
            "",
            Some("A=\u{0}"),
            "cannot start sleep: env_file @site@/variables: it is not UTF-8 text without NUL bytes",
        ),
        ("sleep {env.A} {env.B}", "", Some("A=1000\n"), "{env.B}: the environment variable B is not set"),
        ("sleep 1000", "cwd = '{env.A}'", Some("B=1\n"), "{env.A}: the environment variable A is not set"),
        ("nowhere-at-all", "", Some("A=1"), "cannot execute nowhere-at-all: No such file or directory"),
        (
            "sleep 1000",
            "cwd = '@site@/none'",
            Some("A=1"),
            "cannot change to the directory @site@/none: No such file or directory",
        ),
        (
            "sleep 1000",
            "stdout = '@site@/{env.A}/out'",
            Some("A=none"),
            "cannot start sleep: cannot open the file for its output: No such file or directory",
        ),
    ];
    for (command, key, content, expected) in cases {
        site.configure(&format!(
            "[companion.clock]\ncommand = \"{command}\"\nenv_file = \"@site@/variables\"\n{key}\n"
        ));
        let _ = std::fs::remove_file(site.path("variables"));
        if let Some(content) = content {
            site.write("variables", content);
        }
        let arbiter = site.start();
        let clock = arbiter.wait_for_companion("clock", "BACKOFF").companion("clock");
        let expected = site.expand(expected);
        assert!(clock.reason().contains(&expected), "{}\n{expected}", clock.reason());
        assert_eq!(arbiter.stop(), 0);
    }
}

#[test]
fn a_file_that_goes_while_workers_run_keeps_the_next_one_from_starting_and_says_why() {
    let site = Site::new(BOTH);
    site.write("variables", FILE);
    let arbiter = both(&site);
    site.remove("variables");
    processes::signal(arbiter.status().worker_pids()[0], signal::KILL);
    let status = arbiter.wait_for_status("the worker to back off", |status| {
        status.workers().iter().any(|worker| worker.state == "BACKOFF")
    });
    let reason = &status.workers()[0].reason;
    assert!(reason.contains("/variables: No such file or directory"), "{reason}");
    let reload = arbiter.ctl(&["reload"]);
    assert_eq!(reload.code, 1);
    assert!(reload.stderr.contains("variables"), "{reload:?}");
    site.write("variables", FILE);
    arbiter.wait_for_status("it to be tried again", |status| status.ready_workers().len() == 1);
}

#[test]
fn a_check_tells_what_is_missing_and_which_lines_are_passed_over() {
    let site = Site::new(&BOTH.replacen("\"@site@/variables\"", "\"-@site@/variables\"", 1));
    let checked = site.run(&["-c", "arbiter.toml", "--check-config"]);
    assert_eq!(checked.code, 2);
    let expected =
        site.expand("arbiter.toml:17:16: the env_file \"@site@/variables\" cannot be read: No such file");
    assert!(checked.stderr.starts_with(&expected), "{}", checked.stderr);
    site.write("variables", "FILE=1\nexport A=1\n");
    let checked = site.run(&["-c", "arbiter.toml", "--check-config"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let expected = "has no valid name in front of = in line 2";
    assert_eq!(checked.stderr.matches(expected).count(), 2, "{}", checked.stderr);
}

#[test]
fn it_is_opened_before_the_user_is_changed() {
    if !is_root() {
        return;
    }
    let text = "[companion.clock]\ncommand = [\"sleep\", \"{env.LONG}\"]\nready = \"started\"\nstart_seconds = 0\n\
                user = \"nobody\"\ncwd = \"/\"\nenv_file = \"@site@/variables\"\n";
    let site = Site::new(text);
    site.write("variables", "LONG=1000\nHOME=/from/the/file\n");
    for path in ["", "variables"] {
        std::fs::set_permissions(site.path(path), PermissionsExt::from_mode(0o700)).unwrap();
    }
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    site.wait_for("its exec", || (processes::command_line(pid) == "sleep 1000").then_some(()));
    let nobody = sys::users::user_by_name("nobody").unwrap().unwrap();
    assert!(processes::status_line(pid, "Uid").starts_with(&nobody.uid.to_string()));
    let environment = processes::environment(pid);
    assert_eq!((set(&environment, "USER"), set(&environment, "HOME")), ("nobody", "/from/the/file"));
}

#[test]
fn a_reload_restarts_a_companion_whose_file_sets_something_else() {
    let text = "[companion.clock]\ncommand = [\"@companion@\", \"--ready-after\", \"0\"]\nready = \"notify\"\n\
                env_file = \"-@site@/variables\"\n";
    let site = Site::new(text);
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    let listed = |list: &str| {
        let report = arbiter.done(&["--json", "reload"]).json();
        assert_eq!(report[list], serde_json::json!(["clock"]), "{report}");
    };
    listed("unchanged");
    site.write("variables", "A=1\n");
    listed("restarted");
    let pid = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    assert_eq!(set(&processes::environment(pid), "A"), "1");
    site.write("variables", "# written otherwise\nA='1'\n");
    listed("unchanged");
    assert_eq!(arbiter.status().pid_of("clock"), pid);
}

/// Makes the file a pipe that nobody writes to yet.
fn waiting_for_a_pipe(site: &Site) {
    let made = Command::new("mkfifo").arg(site.path("variables")).status().expect("mkfifo is there");
    assert!(made.success());
}

const PIPE: &str = "[companion.clock]\ncommand = [\"@companion@\", \"--ready-after\", \"0\"]\nready = \"notify\"\n\
                    env_file = \"@site@/variables\"\n";

fn write_to_the_pipe(site: &Site, text: &str) {
    let mut pipe = std::fs::File::options().write(true).open(site.path("variables")).expect("it is there");
    pipe.write_all(text.as_bytes()).expect("somebody reads it");
}

#[test]
fn a_file_that_cannot_be_read_yet_keeps_nobody_but_its_own_process_waiting() {
    let site = Site::new(PIPE);
    waiting_for_a_pipe(&site);
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("clock", "STARTING").pid_of("clock");
    arbiter.done(&["ping"]);
    write_to_the_pipe(&site, "A=late\n");
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    assert_eq!(status.pid_of("clock"), pid);
    assert_eq!(set(&processes::environment(pid), "A"), "late");
}

#[test]
fn a_signal_sent_on_the_way_is_not_lost() {
    let site = Site::new(PIPE);
    waiting_for_a_pipe(&site);
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("clock", "STARTING").pid_of("clock");
    processes::signal(pid, signal::TERM);
    write_to_the_pipe(&site, "A=1\n");
    let status = arbiter.wait_for_companion("clock", "BACKOFF");
    assert!(status.companion("clock").reason().contains("SIGTERM"), "{:?}", status.companion("clock"));
    arbiter.done(&["stop", "companion", "clock"]);
}

#[test]
fn a_failure_on_the_way_is_told_to_the_next_manager() {
    let site = Site::new(PIPE);
    waiting_for_a_pipe(&site);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "STARTING");
    let pid = status.pid_of("clock");
    processes::signal(status.manager().unwrap(), signal::KILL);
    write_to_the_pipe(&site, "A=\0\n");
    let status = arbiter.wait_for_companion("clock", "BACKOFF");
    assert!(status.manager_restarts() > 0);
    assert!(!processes::is_alive(pid));
    let clock = status.companion("clock");
    assert!(clock.reason().contains("variables: it is not UTF-8"), "{}", clock.reason());
    arbiter.done(&["stop", "companion", "clock"]);
}

#[test]
fn a_worker_dies_with_arbiter() {
    let site = Site::new(BOTH);
    site.write("variables", FILE);
    let arbiter = both(&site);
    let worker = arbiter.status().worker_pids()[0];
    arbiter.kill();
    site.wait_for("the worker to be gone", || (!processes::is_alive(worker)).then_some(()));
    assert!(!site.events().iter().any(|event| event.pid == worker && event.what == tests::What::Leaves));
}
