//! arbiter itself is killed: nothing is left running.

use std::time::{Duration, Instant};
use tests::{Site, What, http, processes};

#[test]
fn workers_go_at_once_companions_in_good_order_within_five_seconds() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "--ignore-term"]
        count = 2
        [companion.polite]
        command = ["@companion@", "--fork-child"]
        ready = "started"
        start_seconds = 0
        [companion.deaf]
        command = ["@companion@", "--ignore-term", "--fork-child", "--child-ignores-term"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 3600
        "#,
    );
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("deaf", "RUNNING");
    site.wait_for_start("polite-child", 1);
    site.wait_for_start("deaf-child", 1);
    let begun = Instant::now();
    arbiter.kill();
    let workers = status.worker_pids();
    site.wait_for("the workers to be gone", || {
        workers.iter().all(|pid| !processes::is_alive(*pid)).then_some(())
    });
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "the kernel does that, in no time: {:?}",
        begun.elapsed()
    );
    site.wait_for("everything to be gone", || site.processes().is_empty().then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let polite: Vec<_> = site.events().into_iter().filter(|event| event.name.starts_with("polite")).collect();
    assert_eq!(polite.iter().filter(|event| event.what == What::Leaves).count(), 2, "{polite:?}");
}

#[test]
fn what_a_worker_has_started_goes_with_it() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["sh", "-c", "@worker@ --ignore-term; true"]
        count = 2
        "#,
    );
    let arbiter = site.start();
    let server = site.wait_for_start("arbiter", 2);
    assert!(!arbiter.status().worker_pids().contains(&server), "the kernel does not know it as a worker");
    arbiter.kill();
    site.wait_for("everything to be gone", || site.processes().is_empty().then_some(()));
}

#[test]
fn the_next_start_on_the_same_addresses_works() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [[listener]]
        name = "local"
        address = "unix:@site@/app.sock"
        [workers]
        command = ["@worker@"]
        [companion.clock]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    let first = site.start();
    let address = first.status().address("http");
    first.kill();
    site.wait_for("everything to be gone", || site.processes().is_empty().then_some(()));
    let bind = format!("http={address}");
    let local = format!("local=unix:{}/app.sock", site.directory());
    let second = site.launch_with(&["-c", "arbiter.toml", "-b", &bind, "-b", &local]);
    let status = second.wait_until_running();
    assert_eq!(status.address("http"), address);
    assert!(http::who(&address).is_ok());
    assert!(http::get_unix(&site.path("app.sock"), "/").is_ok());
    assert_eq!(second.stop(), 0);
    let leftovers: Vec<_> =
        std::fs::read_dir(site.path("run")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    let notify = leftovers.iter().filter(|name| name.to_string_lossy().starts_with("notify-")).count();
    assert_eq!(notify, 0, "what the killed one left is cleaned up: {leftovers:?}");
}

#[test]
fn a_start_does_not_steal_a_live_control_socket() {
    let site = Site::new("[control]\nsocket = \"@site@/run/control.sock\"\n");
    let first = site.start();
    let output = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(output.code, 1, "{output:?}");
    let owner = format!("another arbiter, pid {}, is in charge of", first.pid());
    assert!(output.stderr.contains(&owner) && output.stderr.contains("control.sock"), "{output:?}");
    assert_eq!(first.status().state(), "running");
}

#[test]
fn arbiter_killed_in_the_middle_of_starting_many_leaves_nothing() {
    for after in [1, 10, 30] {
        let site = Site::new(
            r#"
            [workers]
            command = ["@worker@", "--ignore-term", "--ready-after", "0"]
            ready = "notify"
            count = 20
            [companion.many]
            command = ["@companion@"]
            count = 20
            "#,
        );
        let arbiter = site.launch();
        site.wait_for("some processes", || (site.events().len() >= after).then_some(()));
        arbiter.kill();
        site.wait_for("everything to be gone", || site.processes().is_empty().then_some(()));
    }
}

#[test]
fn a_second_arbiter_without_a_path_of_its_own_runs_without_a_socket() {
    let site = Site::new("");
    let first = site.start();
    let second = site.launch();
    site.wait_for("the warning", || {
        let line = format!("no control socket: another arbiter, pid {}, is in charge of", first.pid());
        site.log().contains(&line).then_some(())
    });
    site.wait_for("its manager", || {
        (site.log().matches("companion manager started").count() == 2).then_some(())
    });
    assert_eq!(second.stop(), 0);
    assert_eq!(first.status().state(), "running", "its socket and its lock are still there");
    assert!(site.path("run/control.sock.lock").exists());
    assert_eq!(first.stop(), 0);
    assert!(!site.path("run/control.sock.lock").exists());
}

#[test]
fn without_a_control_socket_the_lock_is_beside_the_pidfile() {
    let site = Site::new("pidfile = \"@site@/arbiter.pid\"\n[control]\nsocket = \"\"\n");
    let first = site.launch();
    site.wait_for("the pidfile", || site.path("arbiter.pid").exists().then_some(()));
    // Whoever removes the pidfile of a live arbiter does not make room for another one.
    site.remove("arbiter.pid");
    let output = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains(&format!("pid {}", first.pid())), "{output:?}");
    assert!(output.stderr.contains("the pidfile"), "{output:?}");
    assert_eq!(first.stop(), 0);
    assert!(!site.path("arbiter.pid.lock").exists());
}
