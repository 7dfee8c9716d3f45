//! What scripts rely on: exit statuses, JSON, one line of error.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;
use tests::{Output, PATIENCE, Site, processes, signal};

const SHOP: &str = r#"
    name = "web"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.clock]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
"#;

/// The keys of an object, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let keys: BTreeSet<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.into_iter().collect()
}

#[test]
fn the_status_has_exactly_the_documented_keys() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING").0;
    assert_eq!(
        keys(&status),
        ["arbiter", "companions", "listeners", "manager", "schema", "strays", "workers"]
    );
    assert_eq!(status["schema"], 1);
    let arbiter_keys = ["config", "generation", "name", "pid", "state", "uptime_seconds", "version"];
    assert_eq!(keys(&status["arbiter"]), arbiter_keys);
    assert_eq!(keys(&status["manager"]), ["pid", "restarts"]);
    assert_eq!(keys(&status["listeners"][0]), ["address", "name"]);
    assert_eq!(keys(&status["workers"]), ["configured", "processes", "target"]);
    let worker = [
        "generation",
        "heartbeat_age_seconds",
        "last_exit",
        "pid",
        "ready",
        "reason",
        "restarts",
        "retry_in_seconds",
        "slot",
        "state",
        "status_text",
        "uptime_seconds",
    ];
    assert_eq!(keys(&status["workers"]["processes"][0]), worker);
    let companion = ["configured", "description", "name", "processes", "session", "state", "target"];
    assert_eq!(keys(&status["companions"][0]), companion);
    let process = [
        "last_exit",
        "oneoff",
        "pid",
        "ready",
        "reason",
        "restarts",
        "retry_in_seconds",
        "slot",
        "state",
        "status_text",
        "uptime_seconds",
    ];
    assert_eq!(keys(&status["companions"][0]["processes"][0]), process);
    assert_eq!(status["arbiter"]["name"], "web");
    assert_eq!(status["arbiter"]["pid"], arbiter.pid());
    assert_eq!(status["arbiter"]["config"], site.path("arbiter.toml").to_string_lossy().as_ref());
    assert_eq!(status["companions"][0]["session"], "default");
    processes::signal(
        i32::try_from(status["companions"][0]["processes"][0]["pid"].as_i64().unwrap()).unwrap(),
        signal::KILL,
    );
    site.wait_for_start("clock", 2);
    let status = arbiter.wait_for_companion("clock", "RUNNING").0;
    let last = &status["companions"][0]["processes"][0]["last_exit"];
    assert_eq!(keys(last), ["at", "code", "remark", "requested", "signal"]);
    assert_eq!((&last["code"], &last["signal"]), (&Value::Null, &"SIGKILL".into()));
    assert!(last["at"].as_str().unwrap().ends_with('Z'), "{last}");
}

#[test]
fn the_text_status_has_a_line_for_each_process() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    let text = arbiter.done(&["status"]).stdout;
    for pid in status.worker_pids().into_iter().chain([status.pid_of("clock")]) {
        let words = format!("RUNNING   pid {pid},");
        let lines = text.lines().filter(|line| line.contains(&words));
        assert_eq!(lines.count(), 1, "{pid}: {text}");
    }
    assert!(!text.contains('\x1b'), "no colours where there is no terminal: {text:?}");
    assert!(arbiter.done(&["--color", "always", "status"]).stdout.contains('\x1b'));
}

#[test]
fn check_tells_by_status_3_that_not_all_is_as_configured() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    arbiter.done(&["status", "--check"]);
    arbiter.done(&["status", "--check", "clock"]);
    arbiter.done(&["stop", "companion", "clock"]);
    assert!(arbiter.ctl(&["status", "--check"]).failed_with(3).contains("clock"));
    assert!(arbiter.ctl(&["status", "--check", "clock"]).failed_with(3).contains("clock"));
    arbiter.ctl(&["status", "--check", "nobody"]).failed_with(4);
}

#[test]
fn questions_and_orders_have_their_exit_statuses() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    // 0
    arbiter.done(&["ping"]);
    assert!(arbiter.done(&["version"]).stdout.contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(arbiter.done(&["--json", "ping"]).json()["schema"], 1);
    arbiter.done(&["--help"]);
    // 1: refused
    site.configure("nonsense");
    arbiter.ctl(&["reload"]).failed_with(1);
    // 2: bad usage
    arbiter.ctl(&["frobnicate"]).failed_with(2);
    arbiter.ctl(&["stop", "companion"]).failed_with(2);
    arbiter.ctl(&["scale", "workers", "many"]).failed_with(2);
    // 4: no such companion or worker
    for words in [
        ["start", "companion", "nobody"],
        ["stop", "companion", "nobody"],
        ["restart", "companion", "nobody"],
    ] {
        assert!(arbiter.ctl(&words).failed_with(4).contains("nobody"));
    }
    arbiter.ctl(&["status", "nobody"]).failed_with(4);
    arbiter.ctl(&["scale", "companion", "nobody", "2"]).failed_with(4);
    arbiter.ctl(&["signal", "worker", "9", "TERM"]).failed_with(4);
    arbiter.ctl(&["pid", "nobody"]).failed_with(4);
}

#[test]
fn options_may_stand_before_the_verb_within_it_and_after_the_names() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    arbiter.wait_for_companion("clock", "RUNNING");
    for stop in [
        ["stop", "--force", "companion", "clock"],
        ["stop", "companion", "--force", "clock"],
        ["stop", "companion", "clock", "--force"],
    ] {
        let pid = arbiter.status().pid_of("clock");
        arbiter.done(&stop);
        let exit = &arbiter.status().0["companions"][0]["processes"][0]["last_exit"];
        assert_eq!(
            (&exit["signal"], &exit["requested"]),
            (&"SIGKILL".into(), &true.into()),
            "{stop:?}, {pid}"
        );
        arbiter.done(&["start", "companion", "clock"]);
    }
    for run in [
        ["run", "--wait", "companion", "clock", "--", "--exit-after", "0"],
        ["run", "companion", "--wait", "clock", "--", "--exit-after", "0"],
        ["run", "companion", "clock", "--wait", "--", "--exit-after", "0"],
    ] {
        assert!(!arbiter.done(&run).stdout.is_empty());
    }
    for question in
        [["--json", "status", "clock"], ["status", "--json", "clock"], ["status", "clock", "--json"]]
    {
        assert_eq!(arbiter.done(&question).json()["companions"][0]["name"], "clock", "{question:?}");
    }
}

#[test]
fn where_nothing_listens_the_status_is_5_and_the_line_names_the_socket() {
    let site = Site::new("");
    let line = site.ctl(&["status"]).failed_with(5).to_owned();
    assert!(line.contains("control.sock"), "{line}");
    let arbiter = site.launch();
    arbiter.wait_until_running();
    assert_eq!(arbiter.stop(), 0);
    site.ctl(&["ping"]).failed_with(5);
}

#[test]
fn a_timeout_gives_status_7_and_the_work_goes_on() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--ready-when", "@site@/go"]
        ready = "notify"
        autostart = false
        "#,
    );
    let arbiter = site.start();
    arbiter.ctl(&["--timeout", "0.2", "start", "companion", "slow"]).failed_with(7);
    assert_eq!(arbiter.status().companion("slow").state, "STARTING");
    site.write("go", "");
    arbiter.wait_for_companion("slow", "RUNNING");
}

#[test]
fn the_socket_is_found_by_the_variable_that_children_get_and_by_the_usual_places() {
    let site = Site::new("[control]\nsocket = \"@site@/elsewhere.sock\"\n");
    let arbiter = site.launch();
    site.wait_for("the socket", || site.path("elsewhere.sock").exists().then_some(()));
    let mut by_variable = site.command("arbiterctl");
    by_variable.arg("ping").env("ARBITER_SOCKET", site.path("elsewhere.sock"));
    assert_eq!(Output::of(by_variable, PATIENCE).code, 0);
    assert_eq!(arbiter.stop(), 0);
    let site = Site::new("");
    let arbiter = site.launch();
    let mut by_place = site.command("arbiterctl");
    by_place.arg("ping");
    arbiter.wait_until_running();
    assert_eq!(Output::of(by_place, PATIENCE).code, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let mut command = site.ctl_command(&["status"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn what_this_version_does_not_have_is_said_and_refused() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let output = arbiter.ctl(&["upgrade"]);
    if output.code != 0 {
        let line = output.failed_with(1);
        assert!(line.contains("not implemented"), "{line}");
    }
}
