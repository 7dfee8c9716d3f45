//! Sizes beyond what fits one message.

use proto::control::{Answer, Reply, Verb};
use std::fmt::Write;
use std::time::Instant;
use tests::{PATIENCE, Peer, Site, processes, signal};

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
    let after = arbiter.kill_manager();
    assert_eq!((after.companions().len(), after.pid_of("live")), (6001, before.pid_of("live")));
    arbiter.done(&["start", "companion", "a-companion-with-quite-a-long-name-04711"]);
    assert_eq!(arbiter.status().companion("a-companion-with-quite-a-long-name-04711").state, "RUNNING");
}

/// One companion with many processes.
fn many(keys: &str) -> Site {
    Site::new(&format!(
        r#"
        [companion.many]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        {keys}
        "#
    ))
}

#[test]
fn two_hundred_processes_of_one_companion_start_stop_and_outlive_the_manager() {
    let site = many("count = 200");
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("many", "RUNNING");
    assert_eq!(before.companion("many").pids().len(), 200);
    let after = arbiter.kill_manager();
    assert_eq!(after.companion("many").pids(), before.companion("many").pids());
    arbiter.done(&["stop", "companion", "many"]);
    assert_eq!(arbiter.status().companion("many").pids().len(), 0);
    assert_eq!(site.processes().len(), 2, "arbiter and its manager are alone");
}

/// Asks for the processes until 400 of them are new, and is answered again and again until then.
#[track_caller]
fn is_answered_meanwhile(peer: &mut Peer, is_new: impl Fn(i32) -> bool) {
    let (begun, mut halfway, mut new) = (Instant::now(), 0, 0);
    while new < 400 {
        assert!(begun.elapsed() < PATIENCE, "{new} of 400 are there");
        let Reply::Done(Answer::Pids(now)) = peer.ask(Verb::Pids(vec!["many".into()])) else {
            panic!("that is no answer")
        };
        new = now.iter().filter(|one| is_new(one.pid)).count();
        halfway += usize::from((1..400).contains(&new));
    }
    assert!(halfway >= 5, "{halfway} answers came meanwhile");
}

#[test]
fn while_hundreds_are_replaced_at_once_the_control_socket_answers() {
    let site = many("count = 400");
    let arbiter = site.start();
    let before = arbiter.wait_for_companion("many", "RUNNING").companion("many").pids();
    assert_eq!(before.len(), 400);
    let mut peer = Peer::connect(&site.socket());
    before.iter().for_each(|&pid| processes::signal(pid, signal::KILL));
    is_answered_meanwhile(&mut peer, |pid| !before.contains(&pid));
}

#[test]
fn while_hundreds_are_started_at_once_the_control_socket_answers() {
    let site = many("count = 400\nautostart = false");
    let arbiter = site.start();
    arbiter.wait_for_companion("many", "STOPPED");
    let (mut starter, mut asker) = (Peer::connect(&site.socket()), Peer::connect(&site.socket()));
    starter.request(1, Verb::Start(vec!["many".into()]));
    is_answered_meanwhile(&mut asker, |_| true);
}

#[test]
fn hundreds_that_die_in_the_gap_do_not_keep_the_next_manager_from_its_turns() {
    let site = Site::new(
        r#"
        [companion.many]
        command = ["sleep", "1000"]
        ready = "started"
        start_seconds = 0
        count = 600
        "#,
    );
    let arbiter = site.start();
    let victims = arbiter.wait_for_companion("many", "RUNNING").companion("many").pids();
    for _ in 0..3 {
        arbiter.kill_manager();
    }
    // The next one waits a second: arbiter has taken in all ends by then.
    processes::signal(arbiter.status().manager().unwrap(), signal::KILL);
    for &victim in &victims {
        processes::signal(victim, signal::KILL);
    }
    arbiter.wait_for_status("all to be replaced", |status| {
        let many = status.companion("many").pids();
        many.len() == 600 && many.iter().all(|pid| !victims.contains(pid))
    });
    assert!(!site.log().contains("has not answered"), "{}", site.log());
}
