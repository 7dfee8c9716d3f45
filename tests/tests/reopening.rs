//! USR1 and `arbiterctl reopen-logs`: log files that somebody has moved away.

use std::fs;
use tests::{Arbiter, Site, signal};

/// The workers that say they have reopened their logs, in the order of their numbers.
fn reopened(site: &Site) -> Vec<i32> {
    let text = fs::read_to_string(site.path("reopened")).unwrap_or_default();
    let mut pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

fn sorted(arbiter: &Arbiter<'_>) -> Vec<i32> {
    let mut pids = arbiter.status().worker_pids();
    pids.sort_unstable();
    pids
}

#[test]
fn workers_with_a_signal_for_it_are_told_to_reopen_their_logs() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--no-listener", "--ready-after", "0", "--reopened", "@site@/reopened"]
        ready = "notify"
        count = 2
        reopen_signal = "USR1"
        "#,
    );
    let arbiter = site.start();
    let pids = sorted(&arbiter);
    arbiter.signal(signal::USR1);
    site.wait_for("both to have reopened", || (reopened(&site) == pids).then_some(()));
    site.remove("reopened");
    arbiter.done(&["reopen-logs"]);
    site.wait_for("both to have reopened again", || (reopened(&site) == pids).then_some(()));
    assert_eq!(sorted(&arbiter), pids);
}

#[test]
fn workers_without_a_signal_for_it_get_none() {
    let site =
        Site::new("[workers]\ncommand = [\"@worker@\", \"--no-listener\"]\nstart_seconds = 0\ncount = 2");
    let arbiter = site.start();
    let pids = sorted(&arbiter);
    arbiter.signal(signal::USR1);
    // They would die of it before the answer to the second request is known.
    arbiter.done(&["reopen-logs"]);
    arbiter.done(&["scale", "workers", "2"]);
    assert_eq!(sorted(&arbiter), pids);
    assert!(!site.log().contains("SIGUSR1"), "{}", site.log());
}

#[test]
fn the_log_is_one_file_for_arbiter_and_the_manager_also_after_it_was_moved_away() {
    let log = |name: &str| format!("[log]\nfile = \"@site@/{name}\"\n");
    let clock = "[companion.clock]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n";
    let site = Site::new(&format!("{}{clock}", log("a.log")));
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    let told = |name: &str| fs::read_to_string(site.path(name)).unwrap_or_default().matches("clock").count();
    site.wait_for("the manager to log", || (told("a.log") > 0).then_some(()));
    fs::rename(site.path("a.log"), site.path("a.log.1")).unwrap();
    arbiter.signal(signal::USR1);
    site.wait_for("arbiter to open it anew", || site.path("a.log").exists().then_some(()));
    let before = told("a.log.1");
    arbiter.done(&["restart", "companion", "clock"]);
    site.wait_for("the manager to log there", || (told("a.log") > 0).then_some(()));
    assert_eq!(told("a.log.1"), before);

    site.configure(&format!("{}{clock}", log("b.log")));
    arbiter.done(&["reload"]);
    let before = told("a.log");
    arbiter.done(&["restart", "companion", "clock"]);
    site.wait_for("the manager to log in the new file", || (told("b.log") > 0).then_some(()));
    assert_eq!(told("a.log"), before);
}

/// A worker that can be broken on disk, and the log in `file`.
fn logged_to(file: &str) -> String {
    format!(
        r#"
        [log]
        file = "{file}"
        [workers]
        command = ["@worker@", "--no-listener", "--ready-after", "0", "--exit-if", "@site@/broken"]
        ready = "notify"
        "#
    )
}

#[test]
fn a_log_that_cannot_be_opened_fails_a_reload_which_changes_nothing() {
    let site = Site::new(&logged_to("@site@/a.log"));
    let arbiter = site.start();
    let before = sorted(&arbiter);
    site.configure(&logged_to("/proc/arbiter.log"));
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    let reason = "reload failed, nothing was changed: cannot open the log /proc/arbiter.log";
    assert!(line.contains(reason), "{line}");
    assert_eq!(sorted(&arbiter), before);
    let log = fs::read_to_string(site.path("a.log")).unwrap();
    assert!(log.contains(reason), "the old one is still written to: {log}");
}

#[test]
fn the_log_of_a_reload_that_fails_later_goes_again() {
    let site = Site::new(&logged_to("@site@/a.log"));
    let arbiter = site.start();
    site.configure(&logged_to("@site@/b.log"));
    site.write("broken", "1");
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains("nothing was changed"), "{line}");
    assert!(!site.path("b.log").exists());
    site.remove("broken");
    arbiter.done(&["reload"]);
    assert!(site.path("b.log").exists());
}
