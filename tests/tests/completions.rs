//! `arbiterctl completions SHELL`, in the shells themselves.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Output, PATIENCE, Site, program};

const COMPANIONS: &str = r#"
    [companion.web-cache]
    command = ["@companion@"]
    [companion.worker-queue]
    command = ["@companion@"]
    count = 2
    streams = ["feed", "back"]
    [companion."batch.mail"]
    command = ["@companion@"]
"#;

/// How each shell completes the words in `$@`, once the script for it is read.
const SHELLS: [(&str, &str); 3] = [
    (
        "bash",
        r#"eval "$(arbiterctl completions bash)"
           function compopt { :; }
           COMP_WORDBREAKS="$COMP_WORDBREAKS"
           COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
           _arbiterctl arbiterctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
           printf '%s\n' "${COMPREPLY[@]}""#,
    ),
    (
        "zsh",
        r#"function compdef { : }
           function _describe { print -rl -- ${${(P)@[-1]}%%:*} }
           eval "$(arbiterctl completions zsh)"
           words=("$@"); CURRENT=$#
           _clap_dynamic_completer_arbiterctl"#,
    ),
    (
        "fish",
        r#"arbiterctl completions fish | source
           complete --do-complete "$(string join ' ' -- $argv)" | string replace --regex '\t.*' ''; or true"#,
    ),
];

/// What `shell` offers for the words.
fn offered(site: &Site, shell: &str, script: &str, words: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(shell);
    match shell {
        "bash" => command.args(["--norc", "-c", script, "bash"]),
        "zsh" => command.args(["-f", "-c", script, "zsh"]),
        _ => command.args(["--no-config", "-c", script]),
    };
    let programs = program("arbiterctl");
    let path = std::env::var("PATH").expect("there is a PATH");
    let path = format!("{}:{path}", programs.parent().expect("it is in a directory").display());
    command.args(words);
    let mut command = site.marked(command);
    command.env("PATH", path).env("ARBITER_SOCKET", site.socket()).env("HOME", site.path(""));
    let output = Output::of(command, PATIENCE);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{shell} {words:?}: {}", output.stdout);
    output.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn verbs_options_and_names_of_companions_are_offered_in_every_shell() {
    let site = Site::new(COMPANIONS);
    let arbiter = site.start();
    arbiter.wait_for_companion("worker-queue", "RUNNING");
    for (shell, script) in SHELLS {
        let offered = |words: &[&str]| offered(&site, shell, script, words);
        assert_eq!(offered(&["arbiterctl", "sta"]), set(&["start", "stats", "status"]), "{shell}");
        assert_eq!(offered(&["arbiterctl", "restart", "work"]), set(&["worker", "workers"]), "{shell}");
        assert!(offered(&["arbiterctl", "reload", "--d"]).contains("--dry-run"), "{shell}");
        assert!(
            offered(&["arbiterctl", "completions", ""]).is_superset(&set(&["bash", "fish", "zsh"])),
            "{shell}"
        );
        for verb in ["start", "stop", "info", "recv", "logs"] {
            let names = offered(&["arbiterctl", verb, "companion", "w"]);
            assert_eq!(names, set(&["web-cache", "worker-queue"]), "{shell} {verb}");
        }
        let more = offered(&["arbiterctl", "stop", "companion", "web-cache", "b"]);
        assert_eq!(more, set(&["batch.mail"]), "{shell}");
    }
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn slots_signals_and_streams_are_offered_in_every_shell() {
    let site = Site::new(COMPANIONS);
    let arbiter = site.start();
    arbiter.wait_for_companion("worker-queue", "RUNNING");
    for (shell, script) in SHELLS {
        let offered = |words: &[&str]| offered(&site, shell, script, words);
        let signals = offered(&["arbiterctl", "signal", "workers", "USR"]);
        assert_eq!(signals, set(&["USR1", "USR2"]), "{shell}");
        let streams = ["arbiterctl", "recv", "companion", "worker-queue", "--stream", ""];
        assert_eq!(offered(&streams), set(&["feed", "back"]), "{shell}");
        match shell {
            // It takes a word apart at its colon, and completes what stands behind.
            "bash" => {
                let words = ["arbiterctl", "restart", "companion", "worker-queue", ":"];
                assert_eq!(offered(&words), set(&["1", "2"]));
                let second =
                    ["arbiterctl", "stop", "companion", "worker-queue", ":", "1", "worker-queue", ":", "2"];
                assert_eq!(offered(&second), set(&["2"]));
                assert_eq!(offered(&["arbiterctl", "--color", "=", "al"]), set(&["always"]));
            }
            // What its stub shows ends at a colon: the shell itself shows the rest.
            "zsh" => {}
            _ => {
                let slots = offered(&["arbiterctl", "restart", "companion", "worker-queue:"]);
                assert_eq!(slots, set(&["worker-queue:1", "worker-queue:2"]), "{shell}");
            }
        }
    }
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn where_nothing_listens_no_names_are_offered_and_nobody_waits() {
    let site = Site::new(COMPANIONS);
    for (shell, script) in SHELLS {
        let offered = |words: &[&str]| offered(&site, shell, script, words);
        assert_eq!(offered(&["arbiterctl", "ver"]), set(&["version"]), "{shell}");
        let begun = Instant::now();
        let names = offered(&["arbiterctl", "-s", "/nonexistent/socket", "stop", "companion", "web"]);
        assert_eq!(names, set(&[]), "{shell}");
        assert!(begun.elapsed() < PATIENCE, "{shell} {:?}", begun.elapsed());
    }
}

#[test]
fn a_socket_where_nobody_answers_holds_a_prompt_up_for_a_moment_only() {
    let site = Site::new(COMPANIONS);
    let socket = site.path("silent");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).expect("a socket can be bound");
    let ask = || {
        let mut command = site.ctl_command(&[]);
        command.args(["--", "arbiterctl", "-s"]).arg(&socket).args(["stop", "companion", ""]);
        command.env("ARBITERCTL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "5");
        let begun = Instant::now();
        let output = Output::of(command, PATIENCE);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        assert!(!output.stdout.contains("web-cache"), "{}", output.stdout);
        begun.elapsed()
    };
    // A machine that is busy elsewhere may take longer once.
    let quickest = (0..3).map(|_| ask()).min().expect("there are some");
    site.remove("silent");
    assert!(quickest >= Duration::from_millis(200) && quickest < Duration::from_secs(2), "{quickest:?}");
}
