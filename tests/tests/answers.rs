//! What each command answers: JSON for scripts, at once or when it is done, whatever else is under way.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;
use tests::{Arbiter, Site, signal};

const SHOP: &str = r#"
    [workers]
    command = ["@worker@", "--no-listener", "--ready-when", "@site@/go"]
    ready = "notify"
    [companion.clock]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
    flapping = { attempts = 2, window = 60, max_retry = 0 }
    [companion.slow]
    command = ["@companion@", "--stop-after", "2"]
    ready = "started"
    start_seconds = 0
"#;

fn open(site: &Site) -> Arbiter<'_> {
    site.write("go", "");
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    arbiter.wait_for_companion("slow", "RUNNING");
    arbiter
}

/// The keys of an object, sorted.
#[track_caller]
fn keys(object: &Value) -> String {
    let keys: BTreeSet<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_answer_in_json_has_exactly_the_documented_keys() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let ask = |words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["--json"]).collect();
        let answer = arbiter.done(&words).json();
        assert_eq!(answer["schema"], 1, "{words:?}");
        answer
    };
    for words in [
        "restart companion clock",
        "signal companion clock HUP",
        "signal workers USR1",
        "stop companion clock",
        "start companion clock",
        "reload companion clock",
        "wait companion clock ready",
    ] {
        let answer = ask(words);
        assert_eq!(keys(&answer), "results schema", "{words}");
        assert_eq!(keys(&answer["results"][0]), "changed message name pid slot state", "{words}");
    }
    let report = "added applied generation pending removed restarted scaled schema unchanged workers";
    for words in ["reload --dry-run", "reload companions", "reload", "reload workers", "restart worker 1"] {
        let answer = ask(words);
        assert_eq!(
            (keys(&answer).as_str(), keys(&answer["workers"]).as_str()),
            (report, "replaced"),
            "{words}"
        );
    }
    for (words, expected) in [
        ("scale companion clock +0", "count schema"),
        ("scale workers +0", "count schema"),
        ("pid clock", "pids schema"),
        ("run companion clock", "exit pid schema"),
        ("info companion clock", "exits name schema settings"),
        ("stats clock", "processes schema sum"),
        ("version", "arbiter arbiterctl manager schema"),
        ("ping", "ok schema"),
        ("reopen-logs", "ok schema"),
    ] {
        assert_eq!(keys(&ask(words)), expected, "{words}");
    }
}

#[test]
fn who_does_not_wait_is_answered_at_once_and_the_work_is_done() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let before = arbiter.status().pid_of("slow");
    arbiter.done(&["--no-wait", "restart", "companion", "slow"]);
    assert_eq!(arbiter.wait_for_companion("slow", "STOPPING").pid_of("slow"), before);
    arbiter.wait_for_status("another process", |status| {
        status.companion("slow").state == "RUNNING" && status.pid_of("slow") != before
    });
    site.remove("go");
    let told = arbiter.done(&["signal", "workers", "WINCH"]).stdout;
    assert!(told.starts_with("worker:1: SIGWINCH sent, pid "), "{told}");
    arbiter.done(&["reload", "--no-wait"]);
    arbiter.wait_for_status("the reload", |status| status.state() == "reloading");
    site.write("go", "");
    arbiter.wait_for_status("its end", |status| status.state() == "running" && status.generation() == 2);
}

#[test]
fn a_client_that_leaves_undoes_nothing() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let before = arbiter.status().pid_of("slow");
    let mut restart = site.ctl_command(&["restart", "companion", "slow"]);
    let mut client = restart.stdout(Stdio::null()).spawn().unwrap();
    arbiter.wait_for_companion("slow", "STOPPING");
    client.kill().unwrap();
    client.wait().unwrap();
    arbiter.wait_for_status("another process", |status| {
        status.companion("slow").state == "RUNNING" && status.pid_of("slow") != before
    });
}

#[test]
fn an_end_by_the_signal_that_was_asked_for_is_no_failure() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    for count in 2..=5 {
        let pid = arbiter.status().pid_of("clock");
        arbiter.done(&["signal", "companion", "clock", "KILL"]);
        assert_ne!(site.wait_for_start("clock", count), pid);
        let status = arbiter.wait_for_companion("clock", "RUNNING");
        let clock = status.0["companions"].as_array().unwrap().iter().find(|one| one["name"] == "clock");
        let last = &clock.unwrap()["processes"][0]["last_exit"];
        assert_eq!((&last["signal"], &last["requested"]), (&"SIGKILL".into(), &true.into()));
    }
    arbiter.wait_for_status("it to be given up for two that nobody asked for", |status| {
        let clock = status.companion("clock");
        for pid in clock.pids() {
            // It may have ended in this moment.
            let _ = sys::process::send_signal(pid, signal::KILL);
        }
        clock.state == "FATAL"
    });
    let told = arbiter.ctl(&["wait", "companion", "clock", "ready"]).failed_with(1).to_owned();
    assert!(told.contains("clock: was killed by SIGKILL"), "{told}");
}

#[test]
fn while_everything_stops_the_status_is_told_at_once_and_nothing_is_started() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let mut shutdown = site.ctl_command(&["shutdown"]);
    let mut client = shutdown.stdout(Stdio::null()).spawn().unwrap();
    arbiter.wait_for_status("the stop", |status| status.state() == "stopping");
    assert_eq!(arbiter.status().companion("slow").state, "STOPPING");
    assert!(arbiter.ctl(&["status", "--check"]).failed_with(3).contains("arbiter is stopping"));
    for refused in [
        &["start", "companion", "clock"][..],
        &["restart", "companion", "clock"],
        &["scale", "companion", "clock", "2"],
        &["run", "companion", "clock"],
        &["reload"],
        &["restart", "workers"],
        &["scale", "workers", "+1"],
    ] {
        assert!(arbiter.ctl(refused).failed_with(1).contains("arbiter is stopping"), "{refused:?}");
    }
    assert_eq!(client.wait().unwrap().code(), Some(0), "it ends with arbiter");
    assert_eq!(arbiter.wait_exit(), 0);
}
