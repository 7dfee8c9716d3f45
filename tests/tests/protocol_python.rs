//! A client that shares no code with ours and knows only the protocol's page.

use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{Output, PATIENCE, Site};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol").join(name)
}

/// A Python program in `tests/protocol`, run to its end at `site`.
fn python(site: &Site, name: &str, arguments: &[&str]) -> Output {
    let mut command = site.marked(Command::new("python3"));
    // -B: nothing is left in the source tree.
    command.arg("-B").arg(script(name)).args(arguments);
    Output::of(command, PATIENCE)
}

#[test]
fn the_page_is_enough_to_read_and_write_every_golden_message() {
    let site = Site::new("");
    let checked = python(&site, "check.py", &[]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stderr.contains("Ran 6 tests"), "{}", checked.stderr);
}

#[test]
fn a_client_that_knows_only_the_page_asks_and_restarts() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@"]
        [companion.side]
        command = ["@companion@"]
        "#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("side", "RUNNING");
    let socket = site.socket();
    let ask = |words: &[&str]| {
        let path = socket.to_str().expect("temporary directories have plain names");
        python(&site, "client.py", &[&[path], words].concat())
    };

    let pong = ask(&["ping"]);
    assert_eq!((pong.code, pong.json()), (0, serde_json::json!({"answer": "Done"})), "{}", pong.stderr);
    let version = ask(&["version"]).json();
    assert_eq!(version["answer"]["Version"]["manager"], env!("CARGO_PKG_VERSION"));

    let before = arbiter.status().pid_of("side");
    let seen = ask(&["status"]).json();
    let status = &seen["answer"]["Status"]["status"];
    assert_eq!(status["arbiter"]["pid"], arbiter.pid());
    assert_eq!(status["companions"][0]["name"], "side");
    assert_eq!(status["companions"][0]["processes"][0]["process"]["pid"], before);
    assert_eq!(status["workers"]["processes"][0]["process"]["state"], "Running");

    let restarted = ask(&["restart", "side"]);
    assert_eq!(restarted.code, 0, "{}", restarted.stderr);
    let result = &restarted.json()["answer"]["Results"]["results"][0];
    let after = arbiter.status().pid_of("side");
    assert_ne!(after, before);
    assert_eq!((&result["name"], &result["changed"]), (&"side".into(), &true.into()), "{result}");

    let unknown = ask(&["restart", "nobody"]);
    assert_eq!((unknown.code, &unknown.json()["failure"]["kind"]), (1, &"NotFound".into()));
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_client_finds_nobody_where_nobody_listens() {
    let site = Site::new("");
    let socket = site.socket();
    let output = python(&site, "client.py", &[socket.to_str().expect("a plain name"), "ping"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.starts_with("client.py: "), "{}", output.stderr);
}
