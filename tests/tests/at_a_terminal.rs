//! `arbiterctl` as a person at a terminal has it.

use tests::{Arbiter, Site, Terminal, processes, signal};

/// The other screen is taken, and given back with the cursor (xterm's private modes 1049 and 25).
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?25h\x1b[?1049l";

const SHOP: &str = r#"
    [[listener]]
    address = "unix:@site@/a-rather-long-name-of-a-socket.sock"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.clock]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
    [companion.slow]
    command = ["@companion@", "--stop-after", "3"]
    ready = "started"
    start_seconds = 0
    stop_timeout = 40
"#;

fn run(site: &Site, words: &[&str], columns: usize, rows: usize) -> Terminal {
    Terminal::run(&site.ctl_command(words), columns, rows)
}

fn start(site: &Site) -> Arbiter<'_> {
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    arbiter.wait_for_companion("slow", "RUNNING");
    arbiter
}

#[test]
fn a_status_fits_a_terminal_of_80_columns_and_is_whole_anywhere_else() {
    let site = Site::new(SHOP);
    let arbiter = start(&site);
    let mut terminal = run(&site, &["--color", "never", "status"], 80, 24);
    assert_eq!(terminal.end(), 0);
    let shown = terminal.written();
    let rows: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert!(rows.iter().all(|row| row.chars().count() <= 80), "{shown}");
    let joined: String = rows.concat().split_whitespace().collect();
    assert!(joined.contains("a-rather-long-name-of-a-socket.sock"), "nothing is lost: {shown}");
    let plain = arbiter.done(&["status"]).stdout;
    let first = plain.lines().next().expect("it has lines");
    assert!(first.ends_with("a-rather-long-name-of-a-socket.sock"), "a line is a row: {plain}");
    assert_eq!(plain.lines().count(), 6, "{plain}");
}

#[test]
fn states_are_coloured_at_a_terminal_unless_nobody_wants_that() {
    let site = Site::new(SHOP);
    let _arbiter = start(&site);
    let shown = |command| {
        let mut terminal = Terminal::run(&command, 80, 24);
        assert_eq!(terminal.end(), 0);
        terminal.written()
    };
    assert!(shown(site.ctl_command(&["status"])).contains("\x1b[32m"));
    assert!(!shown(site.ctl_command(&["--color", "never", "status"])).contains('\x1b'));
    let mut without = site.ctl_command(&["status"]);
    without.env("NO_COLOR", "1");
    assert!(!shown(without).contains('\x1b'));
}

#[test]
fn a_watched_status_shows_what_happens_and_outlives_the_manager() {
    let site = Site::new(SHOP);
    let arbiter = start(&site);
    let mut terminal = run(&site, &["--color", "never", "status", "--watch"], 80, 24);
    terminal.wait_for("4 processes: 4 RUNNING");
    assert!(terminal.written().starts_with(TAKEN), "{:?}", terminal.written());
    arbiter.done(&["stop", "companion", "clock"]);
    terminal.wait_for("4 processes: 3 RUNNING, 1 STOPPED (clock)");
    processes::signal(arbiter.status().manager().expect("there is a manager"), signal::KILL);
    terminal.wait_for("replaced once");
    terminal.look_away();
    arbiter.done(&["start", "companion", "clock"]);
    terminal.wait_for("4 processes: 4 RUNNING");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert!(terminal.written().ends_with(GIVEN_BACK), "{:?}", terminal.written());
}

#[test]
fn ctrl_c_ends_watching_and_gives_the_terminal_back() {
    let site = Site::new(SHOP);
    let _arbiter = start(&site);
    for question in ["status", "stats"] {
        let mut terminal = run(&site, &[question, "--watch"], 80, 24);
        terminal.wait_for("clock");
        terminal.press("\x03");
        assert_eq!(terminal.end(), 0, "{question}");
        assert!(terminal.written().ends_with(GIVEN_BACK), "{:?}", terminal.written());
    }
}

#[test]
fn where_arbiter_ends_watching_does_too_and_says_so_below_what_was_there() {
    let site = Site::new(SHOP);
    let arbiter = start(&site);
    let mut terminal = run(&site, &["status", "--watch"], 80, 24);
    terminal.wait_for("clock");
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(terminal.end(), 5);
    let written = terminal.written();
    let (_, after) = written.split_once(GIVEN_BACK).expect("the terminal is given back");
    assert!(after.starts_with("arbiterctl: nothing listens on"), "{after:?}");
}

#[test]
fn watched_stats_are_sorted_as_keys_say() {
    let site = Site::new(SHOP);
    let _arbiter = start(&site);
    let mut terminal = run(&site, &["stats", "--watch"], 80, 24);
    terminal.wait_for("6 processes: ");
    terminal.wait_for("by processor");
    terminal.press("m");
    terminal.wait_for("by memory");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn whoever_waits_sees_for_what_and_when_it_is_forced() {
    let site = Site::new(SHOP);
    let _arbiter = start(&site);
    let mut terminal = run(&site, &["stop", "companion", "slow", "clock"], 80, 24);
    terminal.wait_for("slow is STOPPING");
    terminal.wait_for(" s so far, SIGKILL in ");
    assert_eq!(terminal.end(), 0);
    let written = terminal.written();
    let (_, answer) = written.rsplit_once("\r\x1b[K").expect("the row is cleared");
    assert!(answer.starts_with("slow: stopped"), "only the answer is left: {answer:?}");
}

#[test]
fn whoever_shuts_arbiter_down_sees_who_takes_long() {
    let site = Site::new(SHOP);
    let arbiter = start(&site);
    let mut terminal = run(&site, &["shutdown"], 80, 24);
    terminal.wait_for("shutdown: slow is STOPPING, ");
    terminal.wait_for(" s so far, SIGKILL in ");
    assert_eq!((terminal.end(), arbiter.wait_exit()), (0, 0));
    assert!(terminal.written().ends_with("\x1b[Kshutdown: done\r\n"), "{:?}", terminal.written());
}

#[test]
fn ctrl_c_leaves_the_work_going_and_says_so() {
    let site = Site::new(SHOP);
    let arbiter = start(&site);
    let pid = arbiter.status().pid_of("slow");
    let mut terminal = run(&site, &["restart", "companion", "slow"], 80, 24);
    terminal.wait_for("slow is STOPPING");
    terminal.press("\x03");
    assert_eq!(terminal.end(), 128 + signal::INT);
    let written = terminal.written();
    assert!(written.contains("interrupted; `restart` goes on: look with `arbiterctl status"), "{written:?}");
    arbiter.wait_for_status("another process", |status| {
        let slow = status.companion("slow");
        slow.state == "RUNNING"
            && slow.processes.iter().all(|process| process.pid.is_some_and(|it| it != pid))
    });
}
