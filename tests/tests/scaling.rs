//! TTIN, TTOU, `scale workers`, and storms of signals.

use std::collections::BTreeSet;
use std::process::Stdio;
use tests::{Site, processes, signal};

const ONE: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
"#;

#[test]
fn ttin_adds_a_worker_and_ttou_takes_the_oldest_but_never_the_last() {
    let site = Site::new(ONE);
    let arbiter = site.start();
    let first = arbiter.status().worker_pids()[0];
    arbiter.signal(signal::TTIN);
    let status = arbiter.wait_for_status("two workers", |status| status.ready_workers().len() == 2);
    assert_eq!((status.target(), &status.0["workers"]["configured"]), (2, &1.into()));
    arbiter.signal(signal::TTOU);
    let status = arbiter.wait_for_status("one worker", |status| status.workers().len() == 1);
    assert_ne!(status.worker_pids()[0], first, "the oldest has left");
    arbiter.signal(signal::TTOU);
    // Its answer comes after the signal was taken in.
    assert_eq!(arbiter.done(&["scale", "workers", "+0"]).stdout.trim(), "1", "the last one stays");
    arbiter.signal(signal::TTIN);
    arbiter.wait_for_status("two workers again", |status| status.target() == 2);
}

#[test]
fn scale_workers_prints_the_new_number_and_lasts_over_a_reload() {
    let site = Site::new(ONE);
    let arbiter = site.start();
    assert_eq!(arbiter.done(&["scale", "workers", "3"]).stdout.trim(), "3");
    assert_eq!(arbiter.done(&["scale", "workers", "+1"]).stdout.trim(), "4");
    assert_eq!(arbiter.done(&["scale", "workers", "-2"]).stdout.trim(), "2");
    arbiter.done(&["reload"]);
    let status = arbiter.wait_for_status("two workers", |status| status.workers().len() == 2);
    assert_eq!((status.target(), status.generation()), (2, 2));
    site.configure(&format!("{ONE}\ncount = 3"));
    arbiter.done(&["reload"]);
    arbiter
        .wait_for_status("the configuration's own count to win", |status| status.ready_workers().len() == 3);
    assert_eq!(arbiter.done(&["scale", "workers", "0"]).stdout.trim(), "1");
}

#[test]
fn who_was_told_that_workers_are_ready_finds_them_in_the_status() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/go-{slot}", "--no-listener"]
        ready = "notify"
        "#,
    );
    site.write("go-1", "");
    let arbiter = site.launch_to_fail();
    arbiter.wait_until_running();
    let mut client = site.ctl_command(&["scale", "workers", "2"]).stdout(Stdio::null()).spawn().unwrap();
    arbiter.wait_for_status("a second worker", |status| status.worker_pids().len() == 2);
    site.fail_at("arbiter-answered", "stop");
    site.write("go-2", "");
    assert!(client.wait().unwrap().success());
    // arbiter says no more after its answer; the manager has what came before.
    assert_eq!(arbiter.status().ready_workers().len(), 2);
    let is_stopped = || (sys::procfs::stat(arbiter.pid())?.state == 'T').then_some(());
    site.wait_for("arbiter to have stopped", is_stopped);
    processes::signal(arbiter.pid(), signal::CONT);
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn scale_workers_answers_when_the_new_ones_are_ready_and_those_that_go_have_gone() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/go", "--exit-if", "@site@/broken", "--no-listener"]
        ready = "notify"
        "#,
    );
    site.write("go", "");
    let arbiter = site.start();
    site.remove("go");
    let mut scale = site.ctl_command(&["scale", "workers", "2"]);
    let mut client = scale.stdout(Stdio::piped()).spawn().unwrap();
    arbiter.wait_for_status("a second worker", |status| status.worker_pids().len() == 2);
    assert_eq!(client.try_wait().unwrap(), None, "it is not ready");
    arbiter.ctl(&["--timeout", "0.3", "scale", "workers", "3"]).failed_with(7);
    assert_eq!(arbiter.done(&["--no-wait", "scale", "workers", "2"]).stdout.trim(), "2");
    site.write("go", "");
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"2\n"[..]));
    let ready = arbiter.status().ready_workers();
    assert!(ready.iter().any(|worker| worker.slot == 2), "the new one that it waited for: {ready:?}");
    // The third came of another request, and stays in the place of the first.
    arbiter.wait_for_status("both to be ready", |status| status.ready_workers().len() == 2);

    assert_eq!(arbiter.done(&["scale", "workers", "1"]).stdout.trim(), "1");
    assert_eq!(arbiter.status().workers().len(), 1, "the other one has gone");

    site.write("broken", "1");
    let told = arbiter.ctl(&["scale", "workers", "2"]).failed_with(1).to_owned();
    assert!(told.contains(": exited with status 1 "), "{told}");
    assert_eq!(arbiter.status().target(), 2, "it is tried again");
    site.remove("broken");
    arbiter.wait_for_status("the second worker", |status| status.ready_workers().len() == 2);
}

#[test]
fn new_slots_take_the_lowest_free_number() {
    let site = Site::new(ONE);
    let arbiter = site.start();
    arbiter.done(&["scale", "workers", "3"]);
    arbiter.wait_for_status("three workers", |status| status.ready_workers().len() == 3);
    arbiter.done(&["scale", "workers", "2"]);
    arbiter.wait_for_status("two workers", |status| status.workers().len() == 2);
    arbiter.done(&["scale", "workers", "4"]);
    let status = arbiter.wait_for_status("four workers", |status| status.ready_workers().len() == 4);
    assert_eq!(status.workers().iter().map(|worker| worker.slot).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_storm_of_signals_leaves_a_consistent_state() {
    let site = Site::new(&format!("{ONE}\ncount = 2"));
    let arbiter = site.start();
    let signals =
        [signal::HUP, signal::TTIN, signal::TTOU, signal::USR1, signal::TTIN, signal::TTOU, signal::HUP];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..200 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = signals[usize::try_from(state % 7).unwrap()];
        arbiter.signal(number);
        if state % 5 == 0 {
            // Lets some be taken in before the next ones come.
            assert!(arbiter.try_status().is_some());
        }
    }
    let status = arbiter.wait_for_status("the storm to be over", |status| {
        let generations: BTreeSet<_> = status.workers().iter().map(|worker| worker.generation).collect();
        let target = usize::try_from(status.target()).unwrap();
        status.state() == "running"
            && generations == BTreeSet::from([status.generation()])
            && status.ready_workers().len() == target
            && status.workers().len() == target
    });
    let slots: BTreeSet<_> = status.workers().iter().map(|worker| worker.slot).collect();
    assert_eq!(slots.len(), status.workers().len(), "one worker a slot");
    let live: BTreeSet<_> = site.processes().into_iter().map(|(pid, _)| pid).collect();
    let mut known: BTreeSet<_> = status.worker_pids().into_iter().collect();
    known.extend([arbiter.pid(), status.manager().unwrap()]);
    assert_eq!(live, known, "nobody runs whom the status does not know");
    let zombies: Vec<_> = sys::procfs::children_of(arbiter.pid())
        .into_iter()
        .filter(|pid| processes::is_zombie(*pid))
        .collect();
    assert!(zombies.is_empty(), "{zombies:?}");
}

#[test]
fn a_storm_that_ends_in_term_ends_in_a_clean_stop() {
    for last in [signal::TERM, signal::INT, signal::QUIT] {
        let site = Site::new(&format!("{ONE}\ncount = 2"));
        let arbiter = site.start();
        for _ in 0..10 {
            for number in [signal::HUP, signal::TTIN, signal::USR1, signal::HUP, signal::TTOU] {
                arbiter.signal(number);
            }
        }
        arbiter.signal(last);
        assert_eq!(arbiter.wait_exit(), 0, "signal {last}");
    }
}
