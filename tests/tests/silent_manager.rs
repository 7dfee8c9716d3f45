//! A manager that lives and does not answer.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Arbiter, Site, Status, observe_for, processes, signal};

const SHOP: &str = r#"
    [workers]
    command = ["@worker@", "--no-listener", "--ready-after", "0"]
    ready = "notify"
    [companion.clock]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    count = 2
"#;

fn open(site: &Site) -> (Arbiter<'_>, Status, i32) {
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    let manager = status.manager().expect("there is one");
    (arbiter, status, manager)
}

/// Waits for another manager that has everything.
fn assert_taken_over(arbiter: &Arbiter<'_>, before: &Status, manager: i32) {
    let after = arbiter.wait_for_status("another manager", |status| {
        status.manager().is_some_and(|pid| pid != manager) && status.companion("clock").state == "RUNNING"
    });
    assert_eq!(after.companion("clock").pids(), before.companion("clock").pids());
    assert_eq!(after.worker_pids(), before.worker_pids());
    assert_eq!(after.manager_restarts(), before.manager_restarts() + 1);
    arbiter.done(&["restart", "companion", "clock:1"]);
    assert_eq!(arbiter.status().companion("clock").state, "RUNNING");
}

#[test]
fn a_manager_that_was_stopped_is_killed_after_five_seconds_and_the_next_one_has_everything() {
    let site = Site::new(SHOP);
    let (arbiter, before, manager) = open(&site);
    processes::signal(manager, signal::STOP);
    let stopped = Instant::now();
    site.wait_for("the silent manager to be gone", || (!processes::is_alive(manager)).then_some(()));
    assert!(stopped.elapsed() >= Duration::from_secs(4), "after {:?}", stopped.elapsed());
    assert!(site.log().contains("has not answered for 5 s: killing it"), "{}", site.log());
    assert_taken_over(&arbiter, &before, manager);
}

#[test]
fn a_manager_that_is_stopped_for_a_moment_is_left_alone() {
    let site = Site::new(SHOP);
    let (arbiter, _, manager) = open(&site);
    processes::signal(manager, signal::STOP);
    arbiter.signal(signal::TTIN);
    observe_for(Duration::from_secs(2));
    processes::signal(manager, signal::CONT);
    arbiter.wait_for_status("another worker", |status| status.ready_workers().len() == 2);
    observe_for(Duration::from_secs(5));
    assert_eq!(arbiter.status().manager(), Some(manager), "{}", site.log());
}

#[test]
fn a_pause_of_the_whole_machine_is_held_against_nobody() {
    let site = Site::new(SHOP);
    let (arbiter, _, manager) = open(&site);
    // An answer is owed when both are away; arbiter comes back first, long after.
    processes::signal(manager, signal::STOP);
    arbiter.signal(signal::TTIN);
    site.wait_for_start("arbiter", 2);
    arbiter.signal(signal::STOP);
    observe_for(Duration::from_secs(7));
    arbiter.signal(signal::CONT);
    observe_for(Duration::from_secs(1));
    processes::signal(manager, signal::CONT);
    arbiter.wait_for_status("another worker", |status| status.ready_workers().len() == 2);
    observe_for(Duration::from_secs(5));
    assert_eq!(arbiter.status().manager(), Some(manager), "{}", site.log());
}

/// Attaches to the process, holds it, and lets it go when its standard input ends.
const DEBUGGER: &str = r#"
import ctypes, os, sys
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
pid = int(sys.argv[1])
if libc.ptrace(SEIZE, pid, 0, 0) != 0:
    print("cannot:", os.strerror(ctypes.get_errno()), flush=True)
    sys.exit()
libc.ptrace(INTERRUPT, pid, 0, 0)
os.waitpid(pid, 0)
print("held", flush=True)
sys.stdin.read()
libc.ptrace(DETACH, pid, 0, 0)
"#;

/// A process held by a debugger, for as long as this lives.
struct Held(std::process::Child);

/// `None`: nobody may do that here.
fn hold(pid: i32) -> Option<Held> {
    let mut command = Command::new("python3");
    command.args(["-c", DEBUGGER, &pid.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut debugger = Held(command.spawn().expect("python3 can be run"));
    let mut said = String::new();
    let stdout = debugger.0.stdout.take().expect("it is a pipe");
    BufReader::new(stdout).read_line(&mut said).expect("it says something");
    if said == "held\n" {
        return Some(debugger);
    }
    tests::not_tested(&format!("no process can be held here: {said}"));
    None
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends with its input");
    }
}

#[test]
fn a_manager_in_a_debugger_is_not_killed() {
    let site = Site::new(SHOP);
    let (arbiter, _, manager) = open(&site);
    let Some(held) = hold(manager) else { return };
    arbiter.signal(signal::TTIN);
    observe_for(Duration::from_secs(7));
    assert!(processes::is_alive(manager), "{}", site.log());
    drop(held);
    arbiter.wait_for_status("another worker", |status| status.ready_workers().len() == 2);
    assert_eq!(arbiter.status().manager(), Some(manager));
}

#[test]
fn a_manager_in_a_debugger_cannot_keep_arbiter_from_stopping() {
    let site = Site::new(
        r#"
        [companion.clock]
        command = ["@companion@", "--ready-after", "0"]
        ready = "notify"
        stop_timeout = 0.5
        "#,
    );
    let (arbiter, _, manager) = open(&site);
    let Some(held) = hold(manager) else { return };
    arbiter.signal(signal::TERM);
    // Its end, by SIGKILL, is first told to the debugger, which has to go before arbiter can see it.
    site.wait_for("arbiter to lose its patience", || {
        site.log().contains("did not stop its companions in time").then_some(())
    });
    drop(held);
    assert_eq!(arbiter.wait_exit(), 5, "arbiter had to kill");
}
