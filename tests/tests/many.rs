//! Sizes beyond what fits one message.

use std::fmt::Write;
use tests::{Site, processes, signal};

#[test]
fn six_thousand_companions_are_answered_for_and_outlive_the_manager() {
    let mut text = String::from(
        "[companion.live]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n",
    );
    for number in 0..6000 {
        let name = format!("a-companion-with-quite-a-long-name-{number:05}");
        writeln!(text, "[companion.{name}]\ncommand = [\"sleep\", \"1000\"]\nautostart = false").unwrap();
    }
    let site = Site::new(&text);
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("live", "RUNNING");
    assert_eq!(before.companions().len(), 6001);
    processes::signal(before.manager().unwrap(), signal::KILL);
    let after = arbiter.wait_for_status("another manager", |status| {
        status.manager().is_some_and(|pid| Some(pid) != before.manager())
    });
    assert_eq!((after.companions().len(), after.pid_of("live")), (6001, before.pid_of("live")));
    arbiter.done(&["start", "companion", "a-companion-with-quite-a-long-name-04711"]);
    assert_eq!(arbiter.status().companion("a-companion-with-quite-a-long-name-04711").state, "RUNNING");
}

#[test]
fn two_hundred_processes_of_one_companion_start_stop_and_outlive_the_manager() {
    let site = Site::new(
        r#"
        [companion.many]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        count = 200
        "#,
    );
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("many", "RUNNING");
    assert_eq!(before.companion("many").pids().len(), 200);
    processes::signal(before.manager().unwrap(), signal::KILL);
    let after = arbiter.wait_for_status("another manager", |status| {
        status.manager().is_some_and(|pid| Some(pid) != before.manager())
    });
    assert_eq!(after.companion("many").pids(), before.companion("many").pids());
    arbiter.done(&["stop", "companion", "many"]);
    assert_eq!(arbiter.status().companion("many").pids().len(), 0);
    assert_eq!(site.processes().len(), 2, "arbiter and its manager are alone");
}
