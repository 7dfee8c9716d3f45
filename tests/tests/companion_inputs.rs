//! `stdin = "pipe"` and `arbiterctl send`.

use std::fs;
use std::process::Stdio;
use tests::{Arbiter, Output, PATIENCE, Site};

const CAT: &str = r#"
    [companion.cat]
    command = ["cat"]
    stdin = "pipe"
    stdout = "@site@/heard"
    ready = "started"
    start_seconds = 0
    restart = "never"
"#;

fn open<'a>(site: &'a Site, name: &str) -> Arbiter<'a> {
    let arbiter = site.start();
    arbiter.wait_for_companion(name, "RUNNING");
    arbiter
}

fn wait_until_heard(site: &Site, text: &[u8]) {
    site.wait_for("all that was sent to be heard", || {
        let heard = fs::read(site.path("heard")).unwrap_or_default();
        assert!(text.starts_with(&heard), "{} bytes, and not as they were sent", heard.len());
        (heard == text).then_some(())
    });
}

#[test]
fn lines_arrive_over_deaths_of_the_manager_until_the_end_is_sent() {
    let site = Site::new(CAT);
    let arbiter = open(&site, "cat");
    let pid = arbiter.status().pid_of("cat");
    arbiter.done(&["send", "companion", "cat", "one"]);
    wait_until_heard(&site, b"one\n");
    arbiter.kill_manager();
    arbiter.done(&["send", "companion", "cat:1", "two"]);
    wait_until_heard(&site, b"one\ntwo\n");
    arbiter.kill_manager();
    assert_eq!(arbiter.status().pid_of("cat"), pid, "it has seen no end");
    arbiter.done(&["send", "companion", "cat", "three", "--eof"]);
    arbiter.wait_for_companion("cat", "EXITED");
    wait_until_heard(&site, b"one\ntwo\nthree\n");
}

#[test]
fn what_arbiterctl_reads_is_sent_as_it_is() {
    let site = Site::new(CAT);
    let arbiter = open(&site, "cat");
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    fs::write(site.path("much"), &bytes).expect("a file can be written");
    let mut command = site.ctl_command(&["send", "companion", "cat", "--eof"]);
    command.stdin(Stdio::from(fs::File::open(site.path("much")).expect("it is there")));
    let sent = Output::of(command, PATIENCE);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    wait_until_heard(&site, &bytes);
    arbiter.wait_for_companion("cat", "EXITED");
}

#[test]
fn one_that_does_not_read_is_an_error_and_holds_nobody_up() {
    let site = Site::new(
        &CAT.replace(r#"["cat"]"#, r#"["@companion@"]"#).replace("companion.cat", "companion.deaf"),
    );
    let arbiter = open(&site, "deaf");
    fs::write(site.path("much"), vec![b'x'; 1 << 20]).expect("a file can be written");
    let mut command = site.ctl_command(&["send", "companion", "deaf"]);
    command.stdin(Stdio::from(fs::File::open(site.path("much")).expect("it is there")));
    let begun = std::time::Instant::now();
    let sending = std::thread::spawn(move || Output::of(command, PATIENCE * 2));
    while !sending.is_finished() {
        assert_eq!(arbiter.status().companion("deaf").state, "RUNNING");
    }
    let refused = sending.join().expect("it ends");
    assert!(refused.failed_with(1).contains("its standard input is full: nothing was read for 10 s"));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn what_cannot_be_sent_to_is_said() {
    let site = Site::new(
        &(CAT.to_owned()
            + r#"
            [companion.two]
            command = ["cat"]
            count = 2
            stdin = "pipe"
            [companion.mute]
            command = ["@companion@"]
        "#),
    );
    let arbiter = open(&site, "cat");
    arbiter.wait_for_companion("two", "RUNNING");
    arbiter.wait_for_companion("mute", "RUNNING");
    let refused = |name: &str, code| {
        let output = arbiter.ctl(&["send", "companion", name, "x"]);
        output.failed_with(code).to_owned()
    };
    assert!(refused("nobody", 4).contains("no companion is called nobody"));
    assert!(refused("two", 1).contains("name one of them, as in two:1"));
    assert!(refused("mute", 1).contains("set stdin = \"pipe\" of companion.mute"));
    arbiter.done(&["send", "companion", "two:2", "x"]);
    // An extra process has no input, and is not in the way.
    arbiter.done(&["run", "companion", "cat", "--wait"]);
    arbiter.done(&["send", "companion", "cat", "x"]);
    arbiter.done(&["stop", "companion", "cat"]);
    assert!(refused("cat", 1).contains("start it first"));
    arbiter.done(&["send", "companion", "two:2", "x", "--eof"]);
    arbiter.wait_for_status("it to be started again", |status| status.companion("two").pids().len() == 2);
}
