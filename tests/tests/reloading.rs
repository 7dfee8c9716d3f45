//! HUP and `arbiterctl reload`.

use std::collections::BTreeSet;
use tests::http::{self, Load};
use tests::{Site, processes, signal};

/// Two workers that can be broken on disk.
const TWO: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--exit-if", "@site@/broken"]
    count = 2
"#;

#[test]
fn hup_brings_a_new_generation_without_a_failed_request() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let before = arbiter.status();
    let address = before.address("http");
    let load = Load::start(&address, 2);
    load.goes_on();
    for generation in 2..=4 {
        arbiter.signal(signal::HUP);
        arbiter.wait_for_status(&format!("generation {generation} alone"), |status| {
            let workers = status.workers();
            status.state() == "running"
                && workers.len() == 2
                && workers.iter().all(|worker| worker.generation == generation && worker.ready)
        });
        load.goes_on();
    }
    let generations: BTreeSet<_> = load.finish().into_iter().map(|who| who.generation).collect();
    assert_eq!(generations, BTreeSet::from([1, 2, 3, 4]));
    let after = arbiter.status();
    assert_eq!(after.address("http"), address, "port 0 is kept");
    assert!(before.worker_pids().iter().all(|pid| !processes::is_alive(*pid)));
    assert_eq!(after.workers().iter().map(|worker| worker.slot).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_reload_applies_what_changed_in_the_file() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    site.configure(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [[listener]]
        name = "extra"
        address = "unix:@site@/extra.sock"
        [workers]
        command = ["@worker@", "--new"]
        count = 3
        env = { COLOUR = "red" }
        "#,
    );
    let report = arbiter.done(&["--json", "reload"]).json();
    assert_eq!(report["generation"], 2);
    let status = arbiter.wait_for_status("three workers", |status| status.ready_workers().len() == 3);
    let address = status.address("http");
    assert!(http::get(&address, "/env").unwrap().contains("COLOUR=red\n"));
    assert!(http::get(&address, "/args").unwrap().contains("--new\n"));
    assert!(http::get_unix(&site.path("extra.sock"), "/").is_ok());
    site.configure(TWO);
    arbiter.done(&["reload"]);
    assert!(!site.path("extra.sock").exists(), "a listener that is configured no more goes");
    assert_eq!(arbiter.status().target(), 2);
}

#[test]
fn a_reload_into_broken_code_leaves_the_old_workers_serving() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let before = arbiter.status();
    let load = Load::start(&before.address("http"), 2);
    for code in ["1", "3"] {
        site.write("broken", code);
        let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
        assert!(line.contains("reload failed"), "{line}");
        let status = arbiter.status();
        assert_eq!((status.state(), status.generation()), ("running", 1));
        assert_eq!(status.worker_pids(), before.worker_pids());
    }
    site.remove("broken");
    arbiter.done(&["reload"]);
    assert_ne!(arbiter.status().worker_pids(), before.worker_pids());
    load.finish();
}

#[test]
fn a_hup_into_broken_code_is_logged_and_changes_nothing() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let before = arbiter.status();
    site.write("broken", "3");
    arbiter.signal(signal::HUP);
    site.wait_for("the failure to be logged", || site.log().contains("reload failed").then_some(()));
    let status = arbiter.wait_until_running();
    assert_eq!(status.worker_pids(), before.worker_pids());
}

#[test]
fn an_invalid_configuration_changes_nothing() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let before = arbiter.status();
    site.configure("[workers]\ncommand = [\"@worker@\"]\ncuont = 3\n");
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains("arbiter.toml:3:1") && line.contains("count"), "{line}");
    arbiter.signal(signal::HUP);
    site.wait_for("both refusals in the log", || {
        (site.log().matches("reload failed").count() == 2).then_some(())
    });
    let after = arbiter.wait_until_running();
    assert_eq!((after.generation(), after.worker_pids()), (1, before.worker_pids()));
    assert!(http::who(&after.address("http")).is_ok());
}

#[test]
fn an_address_in_use_at_a_reload_changes_nothing_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(TWO);
    let arbiter = site.start();
    let before = arbiter.status();
    let extra = format!("[[listener]]\nname = \"extra\"\naddress = \"{address}\"\n");
    site.configure(&format!("{TWO}\n{extra}"));
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains(&address.to_string()), "{line}");
    assert_eq!(arbiter.status().worker_pids(), before.worker_pids());
}

#[test]
fn restart_workers_takes_the_settings_in_force_and_not_the_file() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    site.configure("nonsense");
    arbiter.done(&["restart", "workers"]);
    let status = arbiter.status();
    assert_eq!((status.generation(), status.ready_workers().len()), (2, 2));
}

#[test]
fn restart_worker_replaces_one_slot() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let before = arbiter.status().worker_pids();
    let load = Load::start(&arbiter.status().address("http"), 1);
    arbiter.done(&["restart", "worker", "2"]);
    let after = arbiter.wait_for_status("the old one to be gone", |status| status.workers().len() == 2);
    assert_eq!(after.worker_pids()[0], before[0]);
    assert_ne!(after.worker_pids()[1], before[1]);
    load.finish();
    arbiter.ctl(&["restart", "worker", "9"]).failed_with(4);
}

#[test]
fn where_there_are_no_workers_none_has_a_slot() {
    let site = Site::new("[companion.clock]\ncommand = [\"@companion@\"]\nready = \"started\"\n");
    let arbiter = site.start();
    arbiter.ctl(&["restart", "worker", "1"]).failed_with(4);
    arbiter.ctl(&["signal", "worker", "1", "HUP"]).failed_with(4);
    arbiter.ctl(&["restart", "workers"]).failed_with(1);
}

#[test]
fn a_stop_abandons_a_reload_under_way() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    site.configure(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/never"]
        ready = "notify"
        count = 2
        "#,
    );
    arbiter.signal(signal::HUP);
    site.wait_for_start("arbiter", 4);
    assert_eq!(arbiter.status().state(), "reloading");
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn reloads_that_come_together_end_in_one_generation_of_workers() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let clients: Vec<_> = (0..5).map(|_| site.ctl_command(&["reload"]).spawn().unwrap()).collect();
    for mut client in clients {
        assert!(client.wait().unwrap().success());
    }
    let status = arbiter.wait_for_status("two workers of one generation", |status| {
        let workers = status.workers();
        workers.len() == 2 && workers[0].generation == workers[1].generation
    });
    assert!((2..=6).contains(&status.generation()), "{}", status.generation());
}

#[test]
fn what_an_old_worker_has_begun_is_finished_after_the_reload() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let slow = {
        let address = address.clone();
        std::thread::spawn(move || http::get(&address, "/sleep/1.5"))
    };
    site.wait_for("the request to be under way", || {
        let pids = arbiter.status().worker_pids();
        pids.iter().any(|pid| processes::status_line(*pid, "Threads") == "2").then_some(())
    });
    arbiter.done(&["reload"]);
    assert_eq!(http::who(&address).unwrap().generation, 2);
    let status = arbiter.status();
    let leaving: Vec<_> = status.workers().into_iter().filter(|worker| worker.generation == 1).collect();
    assert!(leaving.iter().all(|worker| worker.state == "STOPPING"), "{leaving:?}");
    assert!(slow.join().unwrap().unwrap().ends_with(" 1"), "the old generation has answered");
    arbiter.wait_for_status("the old ones to be gone", |status| status.workers().len() == 2);
}

#[test]
fn workers_can_come_and_go_by_reload() {
    let clock = "[companion.clock]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n";
    let site = Site::new(clock);
    let arbiter = site.start();
    let pid = arbiter.wait_for_companion("clock", "RUNNING").pid_of("clock");
    site.configure(&format!("{TWO}\n{clock}"));
    arbiter.done(&["reload"]);
    let status = arbiter.status();
    assert_eq!((status.ready_workers().len(), status.pid_of("clock")), (2, pid));
    let address = status.address("http");
    assert!(http::who(&address).is_ok());
    site.configure(clock);
    arbiter.done(&["reload"]);
    let status = arbiter.wait_for_status("no workers", |status| status.workers().is_empty());
    assert_eq!((status.target(), status.pid_of("clock")), (0, pid));
    assert!(http::who(&address).is_err(), "its listener is closed");
}

#[test]
fn a_listener_moves_to_another_address_and_the_old_one_is_closed_last() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    let old = arbiter.status().address("http");
    let load = Load::start(&old, 1);
    site.configure(
        r#"
        [[listener]]
        address = "127.0.0.2:0"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/go"]
        ready = "notify"
        count = 2
        "#,
    );
    let mut client = site.ctl_command(&["reload"]).spawn().unwrap();
    site.wait_for_start("arbiter", 4);
    load.finish();
    site.write("go", "");
    assert!(client.wait().unwrap().success());
    let new = arbiter.wait_for_status("two workers", |status| status.workers().len() == 2).address("http");
    assert!(new.starts_with("127.0.0.2:"), "{new}");
    assert!(http::who(&new).is_ok());
    assert!(http::who(&old).is_err());
}

#[test]
fn a_dry_run_tells_how_many_workers_would_be_replaced_and_which_listeners_would_change() {
    let site = Site::new(TWO);
    let arbiter = site.start();
    arbiter.done(&["scale", "workers", "3"]);
    let before = arbiter.wait_for_status("three workers", |status| status.ready_workers().len() == 3);
    let listener = "[[listener]]\nname = \"extra\"\naddress = \"unix:@site@/extra.sock\"\n";
    site.configure(&format!("{listener}{}", TWO.replace("127.0.0.1:0\"", "127.0.0.1:0\"\n    backlog = 7")));
    let plan = arbiter.done(&["--json", "reload", "--dry-run"]).json();
    assert_eq!(plan["workers"]["replaced"], 3);
    assert_eq!(plan["pending"], serde_json::json!(["listener.extra", "listener.http"]));
    let said = arbiter.done(&["reload", "--dry-run"]).stdout;
    assert!(said.contains("would change: listener.extra, listener.http\n"), "{said}");
    assert!(said.contains("workers: 3 would be replaced"), "{said}");
    assert_eq!(arbiter.status().worker_pids(), before.worker_pids(), "nothing was changed");
}
