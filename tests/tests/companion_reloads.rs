//! A reload applies differences.

use serde_json::json;
use tests::{Site, processes};

/// A companion's table with further lines.
fn companion(name: &str, lines: &str) -> String {
    format!(
        "[companion.{name}]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n{lines}\n"
    )
}

#[test]
fn each_companion_is_treated_by_what_changed_of_it() {
    let begin = [
        companion("same", ""),
        companion("gone", ""),
        companion("env", "env = { A = \"1\" }"),
        companion("scaled", ""),
        companion("applied", "stop_timeout = 5"),
        companion("stopped", ""),
    ];
    let site = Site::new(&begin.concat());
    let arbiter = site.start();
    let before = arbiter.wait_for_status("all to run", |status| {
        status.companions().iter().all(|name| status.companion(name).state == "RUNNING")
    });
    arbiter.done(&["stop", "companion", "stopped"]);
    let changed = [
        companion("same", ""),
        companion("new", ""),
        companion("env", "env = { A = \"2\" }"),
        companion("scaled", "count = 2"),
        companion("applied", "stop_timeout = 6\nrestart_delay = 2"),
        companion("stopped", "env = { A = \"1\" }"),
    ];
    site.configure(&changed.concat());
    let plan = arbiter.done(&["--json", "reload", "--dry-run"]).json();
    assert_eq!(arbiter.status().companions().len(), 6, "a dry run changes nothing");
    let report = arbiter.done(&["--json", "reload"]).json();
    for answer in [&plan, &report] {
        assert_eq!(answer["added"], json!(["new"]));
        assert_eq!(answer["removed"], json!(["gone"]));
        assert_eq!(answer["restarted"], json!(["env"]));
        assert_eq!(answer["scaled"], json!(["scaled"]));
        assert_eq!(answer["applied"], json!(["applied", "stopped"]));
        assert_eq!(answer["unchanged"], json!(["same"]));
    }
    let after = arbiter.wait_for_status("all to run", |status| {
        let others = status.companions().into_iter().filter(|name| name != "stopped");
        others.into_iter().all(|name| status.companion(&name).state == "RUNNING")
            && status.companion("scaled").pids().len() == 2
    });
    for name in ["same", "applied"] {
        assert_eq!(after.pid_of(name), before.pid_of(name), "{name} is untouched");
    }
    assert_eq!(after.companion("scaled").pids()[0], before.pid_of("scaled"));
    assert_eq!(processes::environment(after.pid_of("env"))["A"], "2");
    assert!(!processes::is_alive(before.pid_of("gone")));
    assert_eq!(after.companion("stopped").state, "STOPPED");
    arbiter.done(&["start", "companion", "stopped"]);
    assert_eq!(processes::environment(arbiter.status().pid_of("stopped"))["A"], "1");
}

#[test]
fn a_reload_of_companions_only_lists_the_rest_as_pending() {
    let workers = |count: u32| {
        format!(
            "[workers]\ncommand = [\"@worker@\", \"--ready-after\", \"0\"]\nready = \"notify\"\ncount = {count}\n"
        )
    };
    let site = Site::new(&(workers(1) + &companion("old", "")));
    let arbiter = site.start();
    let worker = arbiter.status().worker_pids();
    site.configure(&(workers(2) + &companion("new", "")));
    let report = arbiter.done(&["--json", "reload", "companions"]).json();
    assert_eq!(report["added"], json!(["new"]));
    assert_eq!(report["removed"], json!(["old"]));
    assert_eq!(report["pending"], json!(["workers"]));
    let status = arbiter.status();
    assert_eq!((status.target(), status.worker_pids(), status.generation()), (1, worker, 1));
}

#[test]
fn a_companion_that_fails_after_a_reload_is_told_and_not_undone() {
    let site = Site::new(&companion("same", ""));
    let arbiter = site.start();
    site.configure(&(companion("same", "") + "[companion.bad]\ncommand = [\"@companion@\", \"--exit-after\", \"0\", \"--exit-code\", \"9\"]\nready = \"notify\"\n"));
    let output = arbiter.ctl(&["reload"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("bad") && output.stderr.contains("status 9"), "{output:?}");
    assert_eq!(arbiter.status().companions(), ["bad", "same"]);
}

#[test]
fn what_was_stopped_by_hand_stays_so_over_a_reload_that_changes_nothing_of_it() {
    let site = Site::new(&companion("clock", ""));
    let arbiter = site.start();
    site.wait_for_start("clock", 1);
    arbiter.done(&["stop", "companion", "clock"]);
    arbiter.done(&["reload"]);
    assert_eq!(arbiter.status().companion("clock").state, "STOPPED");
    assert_eq!(site.started("clock").len(), 1);
}

#[test]
fn a_scale_lasts_over_a_reload_until_the_configurations_own_count_changes() {
    let site = Site::new(&companion("clock", ""));
    let arbiter = site.start();
    arbiter.done(&["scale", "companion", "clock", "3"]);
    arbiter.done(&["reload"]);
    assert_eq!(arbiter.status().companion("clock").target, 3);
    site.configure(&companion("clock", "count = 2"));
    arbiter.done(&["reload"]);
    let clock = arbiter.status().companion("clock");
    assert_eq!((clock.target, clock.configured), (2, 2));
}

#[test]
fn a_new_required_companion_is_ready_before_the_new_workers_start() {
    let workers = "[workers]\ncommand = [\"@worker@\", \"--ready-after\", \"0\"]\nready = \"notify\"\n";
    let site = Site::new(workers);
    let arbiter = site.start();
    site.configure(&format!("{workers}requires = [\"redis\"]\n[companion.redis]\ncommand = [\"@companion@\", \"--ready-after\", \"0.3\"]\nready = \"notify\"\n"));
    arbiter.done(&["reload"]);
    let names: Vec<_> = site
        .events()
        .into_iter()
        .filter(|event| event.what == tests::What::Started)
        .map(|event| event.name)
        .collect();
    assert_eq!(names, ["arbiter", "redis", "arbiter"]);
    assert_eq!(arbiter.status().generation(), 2);
}

#[test]
fn a_required_companion_that_was_stopped_by_hand_does_not_hold_a_reload_up() {
    let site = Site::new(&format!(
        "[workers]\ncommand = [\"@worker@\"]\nrequires = [\"redis\"]\n{}",
        companion("redis", "")
    ));
    let arbiter = site.start();
    arbiter.done(&["stop", "companion", "redis"]);
    arbiter.done(&["reload"]);
    let status = arbiter.status();
    assert_eq!((status.generation(), status.companion("redis").state.as_str()), (2, "STOPPED"));
}

#[test]
fn companions_stay_as_they_are_until_the_workers_that_may_lean_on_them_have_stopped() {
    let workers = |requires: &str| {
        format!(
            "[workers]\ncommand = [\"@worker@\", \"--ready-after\", \"0\", \"--at-end\", \"@site@/end\"]\n\
             count = 1\nready = \"notify\"\n{requires}\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n"
        )
    };
    let before = workers("requires = [\"db\"]") + &companion("db", "") + &companion("other", "");
    let site = Site::new(&before);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("other", "RUNNING");
    site.configure(&(workers("") + &companion("other", "env = { A = \"1\" }") + &companion("new", "")));
    let mut reload = site.ctl_command(&["reload"]).spawn().unwrap();
    let now = arbiter.wait_for_status("the next worker", |status| {
        status.ready_workers().iter().any(|worker| worker.generation == 2)
    });
    assert_eq!(now.companions(), ["db", "other"]);
    for name in ["db", "other"] {
        assert_eq!((now.companion(name).state.as_str(), now.pid_of(name)), ("RUNNING", status.pid_of(name)));
    }
    assert_eq!(reload.try_wait().unwrap(), None);
    site.write("end", "go");
    assert_eq!(site.wait_for("the answer", || reload.try_wait().unwrap()).code(), Some(0));
    let names = |what| {
        let is_one = |event: &tests::Event| event.what == what && event.name != "new";
        site.events().into_iter().filter(is_one).map(|event| event.name).collect::<Vec<_>>()
    };
    assert_eq!(names(tests::What::Leaves)[0], "arbiter");
    let after = arbiter.status();
    assert_eq!(after.companions(), ["new", "other"]);
    assert_ne!(after.pid_of("other"), status.pid_of("other"));
}

#[test]
fn a_reload_whose_required_companion_does_not_start_is_undone() {
    let workers = "[workers]\ncommand = [\"@worker@\", \"--ready-after\", \"0\"]\nready = \"notify\"\n";
    let site = Site::new(&(workers.to_owned() + &companion("old", "")));
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("old", "RUNNING");
    site.configure(&format!("{workers}requires = [\"redis\"]\n[companion.redis]\ncommand = [\"@companion@\", \"--exit-after\", \"0\", \"--exit-code\", \"1\"]\nready = \"notify\"\n"));
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains("redis"), "{line}");
    let after = arbiter.wait_for_status("redis to be removed again", |status| status.companions() == ["old"]);
    assert_eq!((after.generation(), after.worker_pids()), (1, before.worker_pids()));
    assert_eq!(after.pid_of("old"), before.pid_of("old"));
}
