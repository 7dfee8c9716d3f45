//! `arbiterctl info`: what a companion is, and how it ended.

use tests::{Site, processes, signal};

const JOBS: &str = r#"
    env = { TOP = "level" }
    [companion.redis]
    command = ["@companion@", "--exit-code", "3"]
    ready = "started"
    start_seconds = 0
    env = { "A" = "b\"c" }
    [companion."batch.rq"]
    command = ["@companion@"]
    autostart = false
    after = ["redis"]
"#;

#[test]
fn settings_are_shown_as_they_would_stand_in_a_file_that_means_the_same() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    arbiter.wait_for_companion("redis", "RUNNING");
    let shown = ["redis", "batch.rq"].map(|name| arbiter.done(&["info", "companion", name]).stdout);
    assert!(shown[1].ends_with("\n# batch.rq has not exited yet\n"), "{}", shown[1]);
    let before = site.run(&["-c", "arbiter.toml", "--print-config"]).stdout;
    let tables = |text: &str| text[text.find("[companion.").expect("there is one")..].to_owned();
    // The top level's variables are among the companion's own.
    site.configure(&shown.concat());
    let after = site.run(&["-c", "arbiter.toml", "--print-config"]);
    assert_eq!(after.code, 0, "{after:?}");
    assert_eq!(tables(&after.stdout), tables(&before));
    let report = arbiter.done(&["--json", "reload"]).json();
    assert_eq!(report["unchanged"], serde_json::json!(["batch.rq", "redis"]), "{report}");
}

#[test]
fn the_last_ends_are_known_over_the_managers_death() {
    let site = Site::new(JOBS);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("redis", "RUNNING");
    let first = status.pid_of("redis");
    processes::signal(first, signal::KILL);
    let second = arbiter
        .wait_for_status("another one", |status| {
            let redis = status.companion("redis");
            redis.state == "RUNNING" && redis.pids() != [first]
        })
        .pid_of("redis");
    arbiter.done(&["stop", "companion", "redis"]);
    let exits = |of: &str| {
        let mut exits = arbiter.done(&["--json", "info", "companion", of]).json()["exits"].clone();
        for exit in exits.as_array_mut().expect("a list") {
            // Counted back from now, it may fall into the second before or after.
            let at = exit.as_object_mut().expect("an object").remove("at");
            assert!(at.is_some_and(|at| at.is_string()));
        }
        exits
    };
    let before = exits("redis");
    assert_eq!(
        (&before[0]["pid"], &before[0]["code"], &before[0]["requested"]),
        (&second.into(), &3.into(), &true.into())
    );
    assert_eq!(
        (&before[1]["pid"], &before[1]["signal"], &before[1]["requested"]),
        (&first.into(), &"SIGKILL".into(), &false.into())
    );
    assert_eq!(before.as_array().map(Vec::len), Some(2));
    arbiter.kill_manager();
    assert_eq!(exits("redis"), before);
    let text = arbiter.done(&["info", "companion", "redis"]).stdout;
    assert!(text.contains("# last exits of redis, newest first\n"), "{text}");
    let line = format!("slot 1 (pid {first}) was killed by SIGKILL");
    assert!(text.contains(&line), "{text}");
    arbiter.ctl(&["info", "companion", "none"]).failed_with(4);
}
