//! `streams`, `arbiterctl send --stream` and `arbiterctl recv`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;
use tests::{Arbiter, Output, PATIENCE, Site, processes, signal};

fn open<'a>(site: &'a Site, name: &str) -> Arbiter<'a> {
    let arbiter = site.start();
    arbiter.wait_for_companion(name, "RUNNING");
    arbiter
}

/// A companion that runs a script of the shell, with two streams.
fn talker(script: &str) -> String {
    format!(
        r#"
        [companion.talker]
        command = ["sh", "-c", '''{script}''']
        streams = ["first", "to-do"]
        ready = "started"
        start_seconds = 0
        restart = "never"
        "#
    )
}

const ECHO: &str = "exec cat <&$ARBITER_STREAM_TO_DO >&$ARBITER_STREAM_TO_DO";

fn wait_until_received(site: &Site, arbiter: &Arbiter<'_>, name: &str, stream: &str, text: &str) {
    site.wait_for("all that was written to be received", || {
        let received = arbiter.done(&["recv", "companion", name, "--stream", stream]).stdout;
        assert!(text.starts_with(&received), "{received:?}");
        (received == text).then_some(())
    });
}

#[test]
fn both_ways_of_a_stream_last_over_deaths_of_the_manager_until_the_end_is_sent() {
    let site = Site::new(&talker(ECHO));
    let arbiter = open(&site, "talker");
    let pid = arbiter.status().pid_of("talker");
    let mut all = String::new();
    for word in ["one", "two", "three"] {
        arbiter.done(&["send", "companion", "talker", word, "--stream", "to-do"]);
        all += &format!("{word}\n");
        wait_until_received(&site, &arbiter, "talker:1", "to-do", &all);
        arbiter.kill_manager();
        assert_eq!(arbiter.status().pid_of("talker"), pid, "it has seen no end");
        wait_until_received(&site, &arbiter, "talker", "to-do", &all);
    }
    arbiter.done(&["send", "companion", "talker", "four", "--stream", "to-do", "--eof"]);
    arbiter.wait_for_companion("talker", "EXITED");
    // Its last words are kept, and the next process of the slot goes on behind them.
    wait_until_received(&site, &arbiter, "talker", "to-do", &(all.clone() + "four\n"));
    arbiter.done(&["start", "companion", "talker"]);
    arbiter.done(&["send", "companion", "talker", "five", "--stream", "to-do"]);
    wait_until_received(&site, &arbiter, "talker", "to-do", &(all + "four\nfive\n"));
    assert_eq!(arbiter.done(&["recv", "companion", "talker", "--stream", "first"]).stdout, "");
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_follower_is_shown_every_line_once_over_deaths_of_the_manager() {
    let script = "i=0; while [ $i -lt 1500 ]; do echo $i; i=$((i+1)); sleep 0.001; done >&$ARBITER_STREAM_FIRST; \
                  exec sleep 1000";
    let site = Site::new(&talker(script));
    let arbiter = open(&site, "talker");
    let mut follow = site.ctl_command(&["recv", "companion", "talker", "--stream", "first", "-f"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().expect("arbiterctl can be started");
    let mut lines = BufReader::new(follow.stdout.take().expect("it is piped")).lines();
    for number in 0..1500 {
        let line = lines.next().expect("it goes on").expect("it is text");
        assert_eq!(line, number.to_string());
        if [100, 400, 1100].contains(&number) {
            arbiter.kill_manager();
        }
    }
    follow.kill().expect("it runs");
    follow.wait().expect("it ends");
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn what_was_written_while_there_was_no_manager_is_kept_whole() {
    let script = "for part in 1 2 3 4; do while [ ! -e @site@/go$part ]; do sleep 0.01; done; \
                  seq ${part}0000 ${part}2499 >&$ARBITER_STREAM_FIRST; touch @site@/did$part; done; \
                  exec sleep 1000";
    let site = Site::new(&talker(script));
    let arbiter = open(&site, "talker");
    let mut all = String::new();
    for part in 1..=4 {
        let manager = arbiter.wait_for_status("a manager", |status| status.manager().is_some()).manager();
        fs::write(site.path(&format!("go{part}")), "").expect("a file can be written");
        processes::signal(manager.expect("it was waited for"), signal::KILL);
        site.wait_for("it to be written", || site.path(&format!("did{part}")).exists().then_some(()));
        arbiter.wait_for_status("another", |status| status.manager().is_some_and(|pid| Some(pid) != manager));
        all.extend((part * 10_000..part * 10_000 + 2500).map(|number| format!("{number}\n")));
    }
    assert!(all.len() < 64 << 10 && all.len() > 58 << 10, "{}", all.len());
    wait_until_received(&site, &arbiter, "talker", "first", &all);
}

#[test]
fn one_that_writes_without_end_is_never_held_up_and_only_the_last_is_kept() {
    let site =
        Site::new(&talker("seq 1 3000000 >&$ARBITER_STREAM_FIRST; touch @site@/done; exec sleep 1000"));
    let arbiter = open(&site, "talker");
    let manager = arbiter.status().manager().expect("it answers");
    while !site.path("done").exists() {
        let begun = Instant::now();
        assert_eq!(arbiter.status().companion("talker").state, "RUNNING");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }
    let all: String = (2_990_000..=3_000_000).map(|number| format!("{number}\n")).collect();
    let last = &all[all.len() - (64 << 10)..];
    site.wait_for("the last to be kept", || {
        (arbiter.done(&["recv", "companion", "talker", "--stream", "first"]).stdout == last).then_some(())
    });
    assert_eq!(arbiter.status().manager(), Some(manager));
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn one_that_does_not_read_its_stream_is_an_error_and_is_still_heard() {
    let site = Site::new(&talker("echo here >&$ARBITER_STREAM_TO_DO; exec sleep 1000"));
    let arbiter = open(&site, "talker");
    fs::write(site.path("much"), vec![b'x'; 1 << 20]).expect("a file can be written");
    let mut command = site.ctl_command(&["send", "companion", "talker", "--stream", "to-do"]);
    command.stdin(Stdio::from(fs::File::open(site.path("much")).expect("it is there")));
    let sending = std::thread::spawn(move || Output::of(command, PATIENCE * 2));
    while !sending.is_finished() {
        assert_eq!(arbiter.status().companion("talker").state, "RUNNING");
    }
    let refused = sending.join().expect("it ends");
    assert!(refused.failed_with(1).contains("its stream to-do is full: nothing was read for 10 s"));
    wait_until_received(&site, &arbiter, "talker", "to-do", "here\n");
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn streams_come_after_the_socket_with_and_without_a_file_of_variables() {
    let script = r#"echo $LISTEN_FDS $ARBITER_STREAM_FIRST $ARBITER_STREAM_TO_DO $SAYS >&$ARBITER_STREAM_TO_DO; ls -l /proc/$$/fd/4 /proc/$$/fd/5 /proc/$$/fd/6 >@site@/open 2>&1; echo >@site@/done; exec sleep 1000"#;
    for env_file in ["", "env_file = '@site@/env'\n"] {
        let site = Site::new(&(talker(script) + "listen = '127.0.0.1:0'\n" + env_file));
        fs::write(site.path("env"), "SAYS=hello\nARBITER_STREAM_FIRST=77\n").expect("a file can be written");
        let arbiter = open(&site, "talker");
        let says = if env_file.is_empty() { "1 4 5\n" } else { "1 4 5 hello\n" };
        wait_until_received(&site, &arbiter, "talker", "to-do", says);
        site.wait_for("it to have looked", || site.path("done").exists().then_some(()));
        let open = fs::read_to_string(site.path("open")).expect("it was written");
        assert_eq!(open.matches("socket:").count(), 2, "{open}");
        assert!(open.contains("fd/6': No such file"), "{open}");
        assert_eq!(arbiter.stop(), 0);
    }
}

#[test]
fn what_has_no_stream_is_said_and_one_that_was_taken_away_is_no_more() {
    let site = Site::new(&(talker("echo here >&$ARBITER_STREAM_FIRST; exec sleep 1000") + "count = 2\n"));
    let arbiter = open(&site, "talker");
    let refused = |args: &[&str], code| arbiter.ctl(args).failed_with(code).to_owned();
    let recv = |name: &'static str, stream: &'static str| ["recv", "companion", name, "--stream", stream];
    assert!(refused(&recv("nobody", "first"), 4).contains("no companion is called nobody"));
    assert!(refused(&recv("talker", "first"), 1).contains("name one of them, as in talker:1"));
    assert!(refused(&recv("talker:1", "third"), 1).contains("add it to streams of companion.talker"));
    let send = ["send", "companion", "talker:1", "x", "--stream", "third"];
    assert!(refused(&send, 1).contains("talker:1 has no stream called third"));
    wait_until_received(&site, &arbiter, "talker:1", "first", "here\n");
    wait_until_received(&site, &arbiter, "talker:2", "first", "here\n");

    let mut follow = site.ctl_command(&["recv", "companion", "talker:2", "--stream", "first", "-f"]);
    let output = fs::File::create(site.path("followed")).expect("a file can be made");
    let mut following = follow.stdout(output).spawn().expect("it can be started");
    let followed = || fs::read_to_string(site.path("followed")).unwrap_or_default();
    site.wait_for("the one who follows", || (followed() == "here\n").then_some(()));
    site.configure(&talker(ECHO).replace("\"first\", ", ""));
    arbiter.done(&["reload"]);
    assert!(following.wait().expect("it ends").success());
    assert_eq!(followed(), "here\n");
    assert!(refused(&recv("talker", "first"), 1).contains("talker has no stream called first"));
    // An extra process has none, and is not in the way.
    arbiter.done(&["send", "companion", "talker", "x", "--stream", "to-do"]);
    wait_until_received(&site, &arbiter, "talker", "to-do", "x\n");
    arbiter.done(&["stop", "companion", "talker"]);
    let send = ["send", "companion", "talker", "x", "--stream", "to-do"];
    assert!(refused(&send, 1).contains("start it first"));
    assert_eq!(arbiter.stop(), 0);
}
