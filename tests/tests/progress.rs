//! Who waits is told how far it is.

use proto::codec;
use proto::control::{Answer, Progress, ReloadScope, Reply, Request, Response, Verb};
use proto::frame::frame;
use std::time::Duration;
use tests::{Peer, Site, processes, signal};

const SLOW: &str = r#"
    [workers]
    command = ["@worker@", "--ready-when", "@site@/go"]
    ready = "notify"
    [companion.slow]
    command = ["@companion@", "--stop-after", "2.5"]
    ready = "started"
    start_seconds = 0
    stop_timeout = 40
"#;
const TOKEN: [u8; 16] = [7; 16];

fn ask(peer: &mut Peer, token: [u8; 16], verb: Verb) {
    peer.send(&frame(&codec::encode(&Request { id: 1, token, wait: true, verb })));
}

/// Everything that comes until the answer, and the answer.
fn hear(peer: &mut Peer) -> (Vec<Progress>, Reply) {
    let mut heard = Vec::new();
    loop {
        let payload = peer.next_frame().expect("an answer comes");
        match codec::decode::<Response>(&payload).expect("it is one").reply {
            Reply::Progress(progress) => heard.push(progress),
            reply => return (heard, reply),
        }
    }
}

#[test]
fn who_waits_for_a_stop_is_told_what_is_waited_for_and_when_it_is_forced() {
    let site = Site::new(SLOW);
    site.write("go", "");
    let arbiter = site.start();
    arbiter.wait_for_companion("slow", "RUNNING");
    let mut peer = Peer::connect(&site.socket());
    ask(&mut peer, TOKEN, Verb::Stop { names: vec!["slow".into()], force: false });
    let (heard, reply) = hear(&mut peer);
    let first = heard.first().expect("two seconds are long enough to be told of");
    assert_eq!(first.message, "slow is STOPPING");
    assert!(first.since >= Duration::from_secs(1), "{first:?}");
    assert!(first.escalates_in.is_some_and(|time| time < Duration::from_secs(40)), "{first:?}");
    assert_eq!(first.escalation, "SIGKILL");
    assert!(matches!(reply, Reply::Done(Answer::Results(_))), "{reply:?}");
    assert_eq!(arbiter.done(&["status"]).stderr, "", "who does not wait is told nothing");
}

#[test]
fn who_comes_back_for_an_outcome_is_told_too() {
    let site = Site::new(SLOW);
    site.write("go", "");
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("slow", "RUNNING");
    let mut peer = Peer::connect(&site.socket());
    ask(&mut peer, TOKEN, Verb::Stop { names: vec!["slow".into()], force: false });
    arbiter.wait_for_companion("slow", "STOPPING");
    processes::signal(status.manager().expect("there is a manager"), signal::KILL);
    peer.until_closed();
    let mut peer = Peer::connect(&site.socket());
    ask(&mut peer, [0; 16], Verb::Outcome(TOKEN));
    let (heard, reply) = hear(&mut peer);
    assert_eq!(heard.first().map(|progress| progress.message.as_str()), Some("slow is STOPPING"));
    assert!(matches!(reply, Reply::Done(Answer::Results(_))), "{reply:?}");
}

#[test]
fn who_waits_for_a_reload_is_told_how_many_workers_are_ready() {
    let site = Site::new(SLOW);
    site.write("go", "");
    let arbiter = site.start();
    arbiter.wait_for_companion("slow", "RUNNING");
    site.remove("go");
    let mut peer = Peer::connect(&site.socket());
    ask(&mut peer, TOKEN, Verb::Reload(ReloadScope::All));
    arbiter.wait_for_status("a new worker", |status| status.workers().len() == 2);
    let expected = "reload: 0 of 1 workers of generation 2 are ready";
    loop {
        let payload = peer.next_frame().expect("something is told");
        match codec::decode::<Response>(&payload).expect("it is an answer").reply {
            Reply::Progress(progress) if progress.message == expected => break,
            Reply::Progress(_) => {}
            reply => panic!("the new worker is not ready yet: {reply:?}"),
        }
    }
    site.write("go", "");
    let (_, reply) = hear(&mut peer);
    assert!(matches!(reply, Reply::Done(Answer::Reload(_))), "{reply:?}");
}
