//! A hook that writes down what it is told, and then does as its flags say.
//!
//! | flag | |
//! | --- | --- |
//! | `--write FILE` | appends what it is told to that: a JSON object a line |
//! | `--wait-for FILE` | ends once that is there |
//! | `--exit-code N` | ends with this code |
//! | `--leave-child` | leaves a child in its group, which would live for long |

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::fake::Flags;

/// How often it looks whether a file is there.
const LOOK: Duration = Duration::from_millis(10);
/// Longer than any scenario.
const FOREVER: Duration = Duration::from_secs(3600);

fn main() {
    let flags = Flags::of_this_process();
    if flags.has("--as-child") {
        std::thread::sleep(FOREVER);
    }
    if let Some(path) = flags.value("--write") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("it can be written");
        file.write_all(format!("{}\n", told()).as_bytes()).expect("it can be appended to");
    }
    if flags.has("--leave-child") {
        leave_child();
    }
    while flags.value("--wait-for").is_some_and(|file| !Path::new(file).exists()) {
        std::thread::sleep(LOOK);
    }
    std::process::exit(flags.number("--exit-code").unwrap_or(0));
}

/// Its process, its line of standard input, and its variables.
fn told() -> Value {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("standard input can be read");
    let input: Value = serde_json::from_str(&line).expect("it is JSON");
    let variables: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| name.starts_with("ARBITER_")).collect();
    json!({ "pid": std::process::id(), "input": input, "variables": variables })
}

#[expect(clippy::zombie_processes, reason = "it is waited for by whoever reaps what the group leaves")]
fn leave_child() {
    let own = std::env::current_exe().expect("a program has a path");
    Command::new(own).arg("--as-child").spawn().expect("a child can be started");
}
