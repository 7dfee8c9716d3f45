//! The manager may be killed at any instant: nobody notices but the operator who reads the log.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::{Arbiter, Site, Status, What, processes, signal};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    requires = ["redis"]
    [companion.redis]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    [companion.rq]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
    count = 3
    after = ["redis"]
"#;

/// A running shop whose companions all run.
fn open(site: &Site) -> (Arbiter<'_>, Status) {
    let arbiter = site.start();
    let status = arbiter.wait_for_status("all companions to run", |status| {
        status.companions().iter().all(|name| status.companion(name).state == "RUNNING")
    });
    (arbiter, status)
}

/// All processes that must not change.
fn pids(status: &Status) -> Vec<i32> {
    let companions = status.companions().into_iter().flat_map(|name| status.companion(&name).pids());
    status.worker_pids().into_iter().chain(companions).collect()
}

#[test]
fn companions_and_workers_keep_their_processes_and_arbiterctl_works_again_within_two_seconds() {
    let site = Site::new(SHOP);
    let (arbiter, before) = open(&site);
    let begun = Instant::now();
    let after = arbiter.kill_manager();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(pids(&after), pids(&before));
    assert_eq!(after.manager_restarts(), 1);
    let states = |status: &Status| {
        status.companions().iter().map(|name| status.companion(name).state).collect::<Vec<_>>()
    };
    assert_eq!(states(&after), states(&before));
    assert_eq!((after.state(), after.generation()), ("running", 1));
}

#[test]
fn a_manager_killed_again_and_again_changes_no_process() {
    let site = Site::new(SHOP);
    let (arbiter, before) = open(&site);
    // From the fifth on arbiter waits five seconds: more kills take longer and show nothing else.
    let kills = std::env::var("ARBITER_TEST_KILLS").map_or(6, |text| text.parse().expect("a number"));
    for kill in 1..=kills {
        let after = arbiter.kill_manager();
        assert_eq!(after.manager_restarts(), kill);
        assert_eq!(pids(&after), pids(&before), "after kill {kill}");
    }
    arbiter.done(&["restart", "companion", "rq:2"]);
    let after = arbiter.status();
    assert_ne!(pids(&after), pids(&before));
    assert_eq!(site.started("rq").len(), 4, "nobody was started twice");
}

#[test]
fn the_control_socket_never_refuses_a_connection() {
    let site = Site::new(SHOP);
    let (arbiter, _) = open(&site);
    let stop = Arc::new(AtomicBool::new(false));
    let (path, told) = (site.socket(), Arc::clone(&stop));
    let knocking = std::thread::spawn(move || {
        let mut knocks = 0u32;
        while !told.load(Ordering::Acquire) {
            UnixStream::connect(&path).unwrap_or_else(|error| panic!("knock {knocks}: {error}"));
            knocks += 1;
            std::thread::yield_now();
        }
        knocks
    });
    arbiter.kill_manager();
    arbiter.kill_manager();
    stop.store(true, Ordering::Release);
    assert!(knocking.join().unwrap() > 0);
}

#[test]
fn a_companion_that_dies_in_the_gap_is_restarted_and_its_end_is_known() {
    let site = Site::new(SHOP);
    let (arbiter, before) = open(&site);
    let victims = before.companion("rq").pids();
    site.wait_for_start("rq", 3);
    // Nothing but a process that does not run may be in the gap: it is stopped before it is killed.
    processes::signal(before.manager().unwrap(), signal::STOP);
    processes::signal(victims[0], signal::KILL);
    processes::signal(before.manager().unwrap(), signal::KILL);
    processes::signal(victims[1], signal::KILL);
    let after = arbiter.wait_for_status("both to be replaced", |status| {
        let rq = status.companion("rq");
        status.manager() != before.manager()
            && rq.state == "RUNNING"
            && rq.pids().len() == 3
            && victims[..2].iter().all(|pid| !rq.pids().contains(pid))
    });
    assert_eq!(after.companion("rq").pids()[2], victims[2]);
    for slot in 0..2 {
        let last = &after.0["companions"][1]["processes"][slot]["last_exit"];
        assert_eq!(last["signal"], "SIGKILL", "{last}");
        assert_eq!(last["requested"], false, "{last}");
    }
    // RUNNING comes before a new process has said anything.
    site.wait_for_start("rq", 5);
    assert_eq!(site.started("rq").len(), 5);
    site.wait_for("both to be buried", || {
        victims[..2].iter().all(|pid| !processes::is_zombie(*pid)).then_some(())
    });
}

#[test]
fn a_code_of_a_companion_that_ends_in_the_gap_is_judged_by_its_restart_policy() {
    let site = Site::new(
        r#"
        [companion.job]
        command = ["@companion@", "--exit-code", "3"]
        ready = "started"
        start_seconds = 0
        restart = "on-failure"
        success_exit_codes = [3]
        "#,
    );
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("job", "RUNNING");
    // RUNNING comes before it can take a signal.
    site.wait_for_start("job", 1);
    processes::signal(before.manager().unwrap(), signal::STOP);
    let pid = before.pid_of("job");
    processes::signal(pid, signal::TERM);
    site.wait_for("the job to end", || (!processes::is_alive(pid)).then_some(()));
    processes::signal(before.manager().unwrap(), signal::KILL);
    let after = arbiter.wait_for_companion("job", "EXITED");
    assert_eq!(after.0["companions"][0]["processes"][0]["last_exit"]["code"], 3);
    assert_eq!(site.started("job").len(), 1);
}

#[test]
fn an_end_that_a_dying_manager_had_told_is_judged_by_the_next_one_though_that_comes_later() {
    let site = Site::new(
        r#"
        [companion.job]
        command = ["@companion@", "--exit-code", "3"]
        ready = "started"
        start_seconds = 0
        autostart = false
        restart = "on-failure"
        success_exit_codes = [3]
        "#,
    );
    for (round, step) in ["manager-told", "manager-acted"].into_iter().enumerate() {
        let arbiter = site.launch_to_fail();
        arbiter.wait_until_running();
        // The third one's successor waits: arbiter sees what it left before anybody could ask for it.
        arbiter.kill_manager();
        arbiter.kill_manager();
        arbiter.done(&["start", "companion", "job"]);
        site.wait_for_start("job", round + 1);
        let file = site.fail_at(step, "kill");
        processes::signal(arbiter.status().pid_of("job"), signal::TERM);
        site.wait_for("the manager to die", || (!file.exists()).then_some(()));
        let after = arbiter.wait_for_companion("job", "EXITED");
        assert_eq!(after.0["companions"][0]["processes"][0]["last_exit"]["code"], 3, "{step}");
        assert_eq!(after.manager_restarts(), 3);
        assert_eq!(arbiter.stop(), 0);
        assert_eq!(site.started("job").len(), round + 1, "{step}");
    }
}

#[test]
fn a_manager_killed_while_a_companion_is_being_stopped_is_followed_by_one_that_goes_on_with_it() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--stop-after", "1.5"]
        ready = "started"
        start_seconds = 0
        [companion.deaf]
        command = ["@companion@", "--ignore-term"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 1.5
        "#,
    );
    let (arbiter, before) = open(&site);
    arbiter.done(&["--no-wait", "stop", "companion", "*"]);
    arbiter.wait_for_status("both to be stopping", |status| {
        status.companion("slow").state == "STOPPING" && status.companion("deaf").state == "STOPPING"
    });
    let after = arbiter.kill_manager();
    assert_eq!(pids(&after), pids(&before), "both still run");
    arbiter.wait_for_companion("slow", "STOPPED");
    arbiter.wait_for_companion("deaf", "STOPPED");
    let started = site.events().into_iter().filter(|event| event.what == What::Started).count();
    assert_eq!(started, 2, "nothing came back");
}

#[test]
fn what_was_stopped_and_scaled_by_hand_stays_so() {
    let site = Site::new(SHOP);
    let (arbiter, _) = open(&site);
    arbiter.done(&["stop", "companion", "redis"]);
    arbiter.done(&["scale", "companion", "rq", "1"]);
    let before = arbiter.wait_for_status("one rq", |status| status.companion("rq").pids().len() == 1);
    let after = arbiter.kill_manager();
    assert_eq!(after.companion("redis").state, "STOPPED");
    assert_eq!((after.companion("rq").target, after.companion("rq").configured), (1, 3));
    assert_eq!(pids(&after), pids(&before));
    arbiter.done(&["start", "companion", "redis"]);
    assert_eq!(arbiter.status().companion("redis").state, "RUNNING");
}

#[test]
fn a_client_whose_request_was_cut_off_learns_its_outcome_or_that_it_is_unknown_and_nothing_is_done_twice() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--ready-when", "@site@/go"]
        ready = "notify"
        autostart = false
        "#,
    );
    let arbiter = site.start();
    let mut client = site.ctl_command(&["start", "companion", "slow"]).spawn().unwrap();
    arbiter.wait_for_companion("slow", "STARTING");
    arbiter.kill_manager();
    site.write("go", "");
    let code = site.wait_for("the answer", || client.try_wait().unwrap()).code();
    assert!(matches!(code, Some(0 | 8)), "{code:?}");
    arbiter.wait_for_companion("slow", "RUNNING");
    assert_eq!(site.started("slow").len(), 1);
}

#[test]
fn a_reload_under_way_is_finished() {
    let site = Site::new("");
    let workers = |flags: &str| {
        format!("[workers]\ncommand = [\"@worker@\", {flags}]\nready = \"notify\"\ncount = 2\n")
    };
    site.configure(&workers("\"--ready-after\", \"0\""));
    let arbiter = site.start();
    let clock = "[companion.clock]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n";
    site.configure(&(workers("\"--ready-when\", \"@site@/go\"") + clock));
    let mut client = site.ctl_command(&["reload"]).spawn().unwrap();
    site.wait_for_start("arbiter", 4);
    arbiter.kill_manager();
    site.write("go", "");
    let code = site.wait_for("the answer", || client.try_wait().unwrap()).code();
    assert_eq!(code, Some(0), "{}", site.tail());
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    assert_eq!((status.generation(), status.ready_workers().len()), (2, 2));
}

#[test]
fn a_manager_killed_during_arbiters_stop_does_not_keep_it_from_ending() {
    let site = Site::new(
        r#"
        [companion.slow]
        command = ["@companion@", "--stop-after", "1"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    let (arbiter, before) = open(&site);
    arbiter.signal(signal::TERM);
    site.wait_for("the companion to be asked", || {
        site.events().iter().any(|event| event.what == What::Asked).then_some(())
    });
    processes::signal(before.manager().unwrap(), signal::KILL);
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(site.events().iter().any(|event| event.what == What::Leaves), "it left in its own time");
}

#[test]
fn a_manager_that_does_not_run_is_followed_by_one_that_stops_what_it_should_have() {
    let site = Site::new(
        r#"
        [companion.clock]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        stop_timeout = 0.5
        "#,
    );
    let (arbiter, before) = open(&site);
    processes::signal(before.manager().unwrap(), signal::STOP);
    assert_eq!(arbiter.stop(), 0, "{}", site.tail());
    assert!(site.events().iter().any(|event| event.what == What::Leaves), "it left in its own time");
}

#[test]
fn a_manager_killed_in_the_middle_of_starting_many_leaves_none_out_and_starts_none_twice() {
    for after in [1, 7, 20] {
        let site = Site::new(
            r#"
            [companion.many]
            command = ["@companion@"]
            ready = "started"
            start_seconds = 0
            "#,
        );
        let (arbiter, before) = open(&site);
        arbiter.done(&["--no-wait", "scale", "companion", "many", "40"]);
        site.wait_for_start("many", after);
        processes::signal(before.manager().unwrap(), signal::KILL);
        let status = arbiter.wait_for_status("all forty", |status| {
            let many = status.companion("many");
            status.manager() != before.manager() && many.pids().len() == 40 && many.state == "RUNNING"
        });
        let live: std::collections::BTreeSet<_> = site.processes().into_iter().map(|(pid, _)| pid).collect();
        let mut known: std::collections::BTreeSet<_> = pids(&status).into_iter().collect();
        known.extend([arbiter.pid(), status.manager().unwrap()]);
        assert_eq!(live, known, "killed after {after} starts");
        assert_eq!(status.0["strays"], serde_json::json!([]));
    }
}

/// Forty that come and go while managers are killed again and again.
fn churn(site: &Site, arbiter: &Arbiter<'_>) {
    arbiter.done(&["--no-wait", "scale", "companion", "brief", "40"]);
    for _ in 0..6 {
        let manager = arbiter.wait_for_status("a manager", |status| status.manager().is_some()).manager();
        let started = site.started("brief").len();
        site.wait_for_start("brief", started + 40);
        processes::signal(manager.expect("it was waited for"), signal::KILL);
    }
    arbiter.wait_for_status("a manager", |status| status.manager().is_some());
}

const BRIEF: &str = r#"
    [companion.brief]
    command = ["@companion@", "--exit-after", "0.02"]
    count = 0
    ready = "started"
    start_seconds = 0
    restart_delay = 0.1
    restart_delay_max = 0.1
"#;

#[test]
fn what_a_killed_manager_had_just_reaped_comes_back_and_keeps_nobody_awake() {
    let site = Site::new(BRIEF);
    let arbiter = site.start();
    churn(&site, &arbiter);
    let started = site.started("brief").len();
    site.wait_for("every slot to go on", || {
        let events = site.events();
        let since = events.iter().filter(|event| event.what == What::Started).skip(started);
        (since.map(|event| event.slot).collect::<std::collections::BTreeSet<_>>().len() == 40).then_some(())
    });
    assert!(!site.log().contains("cannot look at the end of a child"), "{}", site.tail());
}

#[test]
fn what_a_killed_manager_had_not_started_yet_leaves_no_descriptor_in_arbiter() {
    let site = Site::new(BRIEF);
    let arbiter = site.start();
    let before = processes::descriptors(arbiter.pid());
    churn(&site, &arbiter);
    arbiter.done(&["scale", "companion", "brief", "0"]);
    site.wait_for("nothing to be left open", || {
        (processes::descriptors(arbiter.pid()).len() <= before.len()).then_some(())
    });
}

#[test]
fn a_stop_while_the_next_manager_is_still_held_back_is_a_graceful_one() {
    let site = Site::new(SHOP);
    let (arbiter, _) = open(&site);
    for _ in 0..3 {
        arbiter.kill_manager();
    }
    let last = arbiter.status().manager().unwrap();
    // The next one waits a second.
    processes::signal(last, signal::KILL);
    site.wait_for("it to be reaped", || sys::procfs::stat(last).is_none().then_some(()));
    assert_eq!(arbiter.stop(), 0);
    let leaves = site.events().into_iter().filter(|event| event.what == What::Leaves).count();
    assert_eq!(leaves, 2 + 1 + 3, "all were asked, none was killed");
}

#[test]
fn a_manager_that_is_replaced_on_purpose_is_not_missed_and_takes_no_blame() {
    let site = Site::new(SHOP);
    let (arbiter, before) = open(&site);
    let oneoff: i32 = arbiter.done(&["run", "companion", "rq"]).stdout.trim().parse().expect("a pid");
    // More often than a manager may die without a wait.
    for round in 1..=6 {
        let begun = Instant::now();
        arbiter.done(&["restart", "manager"]);
        assert!(begun.elapsed() < Duration::from_secs(4), "round {round}: {:?}", begun.elapsed());
    }
    let after = arbiter.status();
    assert_ne!(after.manager(), before.manager());
    assert_eq!(after.manager_restarts(), 6);
    let of_rq = after.companion("rq").pids();
    assert_eq!(of_rq.last(), Some(&oneoff));
    let all: Vec<i32> = pids(&after).into_iter().filter(|pid| *pid != oneoff).collect();
    assert_eq!(all, pids(&before));
    assert!(!site.log().contains("ERROR"), "{}", site.log());
    // What is under way goes on with the next one.
    let mut waiting =
        site.ctl_command(&["wait", "companion", "redis", "stopped"]).spawn().expect("it starts");
    arbiter.done(&["restart", "manager"]);
    arbiter.done(&["stop", "companion", "redis"]);
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));
}
