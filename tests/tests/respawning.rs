//! Workers that die, and workers that cannot start.

use tests::{Site, http, processes, signal};

/// Workers whose slot's file `broken-SLOT` holds the code with which they cannot start.
const BREAKABLE: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--exit-if", "@site@/broken-{slot}"]
    count = 3
"#;

#[test]
fn a_worker_that_is_killed_is_replaced_in_its_slot_at_once() {
    let site = Site::new(BREAKABLE);
    let arbiter = site.start();
    let before = arbiter.status().workers();
    let victim = before[1].pid.unwrap();
    processes::signal(victim, signal::KILL);
    let status = arbiter.wait_for_status("slot 2 to have another worker", |status| {
        status.ready_workers().iter().any(|worker| worker.slot == 2 && worker.pid != Some(victim))
    });
    let after = status.workers();
    assert_eq!((after[0].pid, after[2].pid), (before[0].pid, before[2].pid), "the others are untouched");
    assert_eq!(after[1].restarts, 1);
    assert_eq!(status.0["workers"]["processes"][1]["last_exit"]["signal"], "SIGKILL");
    assert!(!processes::is_zombie(victim));
    assert!(site.log().contains("killed by SIGKILL while serving"), "{}", site.log());
}

#[test]
fn a_worker_that_cannot_start_backs_off_while_the_others_serve() {
    let site = Site::new(BREAKABLE);
    site.write("broken-2", "1");
    let arbiter = site.launch();
    let status = arbiter.wait_for_status("slot 2 to back off and the others to serve", |status| {
        let workers = status.workers();
        workers.len() == 3 && workers[1].state == "BACKOFF" && status.ready_workers().len() == 2
    });
    let broken = &status.workers()[1];
    assert_eq!(broken.pid, None);
    assert!(broken.retry_in.is_some_and(|seconds| seconds <= 10.0), "{broken:?}");
    assert!(broken.reason.contains("status 1"), "{broken:?}");
    assert!(http::who(&status.address("http")).is_ok());
    site.remove("broken-2");
    assert_eq!(arbiter.wait_until_running().ready_workers().len(), 3);
}

#[test]
fn code_that_breaks_on_disk_does_not_take_down_a_running_pool() {
    let site = Site::new(BREAKABLE);
    let arbiter = site.start();
    let before = arbiter.status();
    site.write("broken-1", "3");
    processes::signal(before.worker_pids()[0], signal::KILL);
    let status =
        arbiter.wait_for_status("slot 1 to back off", |status| status.workers()[0].state == "BACKOFF");
    assert_eq!(status.worker_pids(), before.worker_pids()[1..], "the others serve on");
    site.remove("broken-1");
    arbiter.wait_for_status("slot 1 to serve again", |status| status.ready_workers().len() == 3);
}

#[test]
fn workers_that_end_with_a_halting_code_before_any_was_ready_halt_arbiter_with_that_code() {
    for (code, count) in [(3, 1), (4, 1), (3, 4), (4, 16)] {
        let site = Site::new(&format!(
            r#"
            [workers]
            command = ["@worker@", "--exit-if", "@site@/broken", "--ready-after", "0"]
            count = {count}
            "#
        ));
        site.write("broken", &code.to_string());
        let arbiter = site.launch();
        assert_eq!(arbiter.wait_exit(), code, "{count} workers");
        assert!(site.log().contains(&format!("status {code}")), "{}", site.log());
    }
}

#[test]
fn a_boot_failure_of_one_worker_stops_the_others_and_the_companions_too() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--exit-if", "@site@/broken-{slot}", "--ready-when", "@site@/never"]
        ready = "notify"
        count = 2
        requires = ["redis"]
        [companion.redis]
        command = ["@companion@", "--ready-after", "0"]
        ready = "notify"
        "#,
    );
    site.write("broken-2", "4");
    assert_eq!(site.launch().wait_exit(), 4);
}

#[test]
fn a_reload_that_comes_before_the_workers_does_not_save_code_that_cannot_boot() {
    let settings = |requires: &str| {
        format!(
            r#"
            [workers]
            command = ["@worker@", "--no-listener", "--exit-if", "@site@/broken"]
            count = 3
            requires = [{requires}]
            [companion.redis]
            command = ["@companion@", "--ready-when", "@site@/never"]
            ready = "notify"
            "#
        )
    };
    let site = Site::new(&settings("\"redis\""));
    site.write("broken", "4");
    let arbiter = site.launch();
    site.wait_for_start("redis", 1);
    assert!(site.started("arbiter").is_empty(), "they wait for what they require");
    site.configure(&settings(""));
    arbiter.done(&["--no-wait", "reload"]);
    assert_eq!(arbiter.wait_exit(), 4);
    assert!(site.log().contains("worker 1 (generation 2)"), "{}", site.log());
}

#[test]
fn a_reload_fails_where_code_cannot_boot_and_the_workers_before_it_halt_arbiter_as_ever() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--no-listener", "--exit-if", "@site@/broken-{generation}", "--ready-when", "@site@/never"]
        ready = "notify"
        "#,
    );
    site.write("broken-2", "3");
    let arbiter = site.launch();
    let first = site.wait_for_start("arbiter", 1);
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains("new worker 1 exited with status 3"), "{line}");
    assert_eq!(arbiter.status().worker_pids(), [first]);
    site.write("broken-1", "4");
    processes::signal(first, signal::KILL);
    assert_eq!(arbiter.wait_exit(), 4);
}

#[test]
fn other_codes_do_not_halt_arbiter() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--exit-if", "@site@/broken", "--ready-after", "0"]
        ready = "notify"
        halt_exit_codes = [7]
        "#,
    );
    site.write("broken", "3");
    let arbiter = site.launch();
    arbiter.wait_for_status("the worker to back off", |status| {
        status.workers().first().is_some_and(|worker| worker.state == "BACKOFF")
    });
    site.remove("broken");
    arbiter.wait_until_running();
}

#[test]
fn a_program_that_has_vanished_is_named_as_the_reason_until_it_is_back() {
    let site = Site::new("");
    std::os::unix::fs::symlink(tests::program("fake-worker"), site.path("server")).unwrap();
    site.configure(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@site@/server"]
        count = 2
        "#,
    );
    let arbiter = site.start();
    site.remove("server");
    let victim = arbiter.status().worker_pids()[0];
    processes::signal(victim, signal::KILL);
    let status =
        arbiter.wait_for_status("slot 1 to back off", |status| status.workers()[0].state == "BACKOFF");
    let reason = &status.workers()[0].reason;
    assert!(reason.contains(&format!("{}/server", site.directory())), "{reason}");
    assert_eq!(status.ready_workers().len(), 1);
    std::os::unix::fs::symlink(tests::program("fake-worker"), site.path("server")).unwrap();
    arbiter.wait_for_status("both to serve", |status| status.ready_workers().len() == 2);
}

#[test]
fn every_worker_killed_at_once_is_replaced() {
    let site = Site::new(BREAKABLE);
    let arbiter = site.start();
    let before = arbiter.status().worker_pids();
    before.iter().for_each(|pid| processes::signal(*pid, signal::KILL));
    let status = arbiter.wait_for_status("three new workers", |status| {
        let pids = status.worker_pids();
        status.ready_workers().len() == 3 && before.iter().all(|pid| !pids.contains(pid))
    });
    assert_eq!(status.workers().iter().map(|worker| worker.slot).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(before.iter().all(|pid| !processes::is_zombie(*pid)));
}
