//! The stream of events: ordered, numbered, over crashes of the manager, and bounded for each reader.

use proto::codec;
use proto::control::{Chunk, Event, EventKind, Reply, Response, SignalTarget, Verb};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use tests::{Arbiter, PATIENCE, Peer, Site, processes, signal};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.redis]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
"#;

/// All of it runs: nothing more happens by itself.
fn open(site: &Site) -> Arbiter<'_> {
    let arbiter = site.start();
    arbiter.wait_for_companion("redis", "RUNNING");
    arbiter
}

/// A reader on a connection of its own; it hears everything from here on.
#[track_caller]
fn watch(site: &Site, patterns: &[&str]) -> Peer {
    let mut peer = Peer::connect(&site.socket());
    let patterns = patterns.iter().map(ToString::to_string).collect();
    peer.request(1, Verb::Events { patterns, after: None });
    match next_chunk(&mut peer) {
        Chunk::At(_) => peer,
        other => panic!("the stream begins with something else: {other:?}"),
    }
}

#[track_caller]
fn next_chunk(peer: &mut Peer) -> Chunk {
    let payload = peer.next_frame().expect("something comes");
    match codec::decode::<Response>(&payload).expect("it is a response").reply {
        Reply::Chunk(chunk) => chunk,
        other => panic!("no piece of a stream: {other:?}"),
    }
}

/// The next events, up to and including the first that `is_last` says.
#[track_caller]
fn until(peer: &mut Peer, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        if let Chunk::Event(event) = next_chunk(peer) {
            let last = is_last(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }
}

/// What happened to a subject, in short.
fn kinds_of(events: &[Event], subject: &str) -> Vec<String> {
    let own = events.iter().filter(|event| event.subject.starts_with(subject));
    own.map(|event| format!("{:?}", event.kind).split([' ', '{']).next().unwrap_or_default().to_owned())
        .collect()
}

fn is_reload(event: &Event) -> bool {
    matches!(event.kind, EventKind::Reload { ok: true, .. })
}

#[test]
fn a_companions_life_is_told_in_its_order() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let mut peer = watch(&site, &[]);
    let more = "[companion.rq]\ncommand = [\"@companion@\", \"--ready-after\", \"0\"]\nready = \"notify\"\n";
    site.configure(&format!("{SHOP}{more}"));
    arbiter.done(&["reload"]);
    let events = until(&mut peer, is_reload);
    assert_eq!(kinds_of(&events, "companion.rq"), ["Load", "Start", "Spawn", "Ready"]);
    site.configure(SHOP);
    arbiter.done(&["reload"]);
    let mut more = until(&mut peer, is_reload);
    let of_worker = |more: &[Event]| kinds_of(&[&events, more].concat(), "worker.1");
    assert_eq!(of_worker(&more)[..2], ["Spawn", "Ready"]);
    // The two before, of both reloads, were told to leave, and may take their time for it.
    while of_worker(&more).iter().filter(|kind| *kind == "Exit").count() < 2 {
        more.extend(until(&mut peer, |event| matches!(event.kind, EventKind::Exit { .. })));
    }
    assert_eq!(kinds_of(&more, "companion.rq"), ["Unload", "Stop", "Exit"]);
    assert_eq!(kinds_of(&more, "companion.redis"), [""; 0]);
    let seqs: Vec<u64> = events.iter().chain(&more).map(|event| event.seq).collect();
    let first = seqs[0];
    assert!(seqs.iter().zip(first..).all(|(seq, expected)| *seq == expected), "{seqs:?}");
}

#[test]
fn numbers_of_workers_signals_and_unasked_ends_are_told() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let mut peer = watch(&site, &[]);
    arbiter.done(&["scale", "workers", "3"]);
    arbiter.done(&["signal", "worker", "3", "CONT"]);
    arbiter.done(&["scale", "workers", "2"]);
    let events = until(&mut peer, |event| matches!(event.kind, EventKind::Exit { .. }));
    let updates = events.iter().filter_map(|event| match event.kind {
        EventKind::Update { target } => Some(target),
        _ => None,
    });
    assert_eq!(updates.collect::<Vec<_>>(), [3, 2]);
    let is_of = |kind: &str| kinds_of(&events, "worker").iter().filter(|own| *own == kind).count();
    assert_eq!((is_of("Kill"), is_of("Reap")), (1, 1));
    let redis = arbiter.status().companion("redis").pids()[0];
    processes::signal(redis, signal::KILL);
    let events = until(&mut peer, |event| matches!(event.kind, EventKind::Spawn { .. }));
    let EventKind::Exit { pid, signal: number, requested, oneoff, .. } = &events[0].kind else {
        panic!("an exit comes first: {events:?}");
    };
    assert_eq!((*pid, *number, *requested, *oneoff), (Some(redis), Some(signal::KILL), false, false));
}

#[test]
fn a_pattern_chooses_subjects() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let mut peer = watch(&site, &["*.redis", "worker.2"]);
    arbiter.done(&["signal", "worker", "1", "CONT"]);
    arbiter.done(&["signal", "worker", "2", "CONT"]);
    arbiter.done(&["signal", "companion", "redis", "CONT"]);
    let events = until(&mut peer, |event| event.subject.starts_with("companion"));
    let subjects: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(subjects, ["worker.2", "companion.redis.1"]);
}

#[test]
fn a_reader_that_is_too_slow_is_told_how_many_it_missed_and_keeps_nobody_waiting() {
    let site = Site::new(
        "[companion.many]\ncommand = [\"@companion@\", \"--ready-after\", \"0\"]\ncount = 20\nready = \"notify\"",
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("many", "RUNNING");
    let mut slow = watch(&site, &[]);
    let mut busy = Peer::connect(&site.socket());
    // More than the sockets' buffers and what the manager keeps for one reader.
    let rounds = 1000;
    for id in 1..=rounds {
        let verb =
            Verb::Signal { target: SignalTarget::Companions(vec!["many".into()]), signal: signal::CONT };
        busy.request(id, verb);
        busy.next_frame().expect("it is answered");
    }
    let mut told = 0;
    let lost = loop {
        match next_chunk(&mut slow) {
            Chunk::Event(Event { kind: EventKind::Lost { count }, .. }) => break count,
            Chunk::Event(_) => told += 1,
            _ => {}
        }
    };
    assert_eq!(told + lost, rounds * 20);
    assert!(told > 0 && lost > 0, "{told} told, {lost} lost");
    arbiter.done(&["signal", "companion", "many:1", "CONT"]);
    let events = until(&mut slow, |_| true);
    assert_eq!(events[0].subject, "companion.many.1", "the stream goes on");
}

#[test]
fn idle_is_idle_while_somebody_watches() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let manager = arbiter.wait_for_companion("redis", "RUNNING").manager().expect("there is one");
    let _peer = watch(&site, &[]);
    let sleeps = |pid| processes::status_line(pid, "voluntary_ctxt_switches");
    tests::observe_for(std::time::Duration::from_secs(3));
    let before = [sleeps(arbiter.pid()), sleeps(manager)];
    tests::observe_for(std::time::Duration::from_secs(2));
    assert_eq!([sleeps(arbiter.pid()), sleeps(manager)], before);
}

/// A running `arbiterctl --json events`.
struct Watcher {
    child: Child,
    lines: Receiver<serde_json::Value>,
}

impl Watcher {
    fn start(site: &Site, patterns: &[&str]) -> Self {
        let mut command = site.ctl_command(&[&["--json", "events"], patterns].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("arbiterctl can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits until it hears what happens: what `cause` brings about.
    fn hear(&self, mut cause: impl FnMut()) -> u64 {
        loop {
            cause();
            if let Ok(event) = self.lines.recv_timeout(std::time::Duration::from_millis(200)) {
                return event["seq"].as_u64().expect("a number");
            }
        }
    }

    fn next(&self) -> serde_json::Value {
        self.lines.recv_timeout(PATIENCE).expect("another event comes")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It is our own child and has not been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn arbiterctl_goes_on_over_crashes_of_the_manager_and_each_number_is_told_or_marked() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let watcher = Watcher::start(&site, &[]);
    let mut seq = watcher.hear(|| drop(arbiter.done(&["signal", "companion", "redis", "CONT"])));
    let mut seen = 0;
    for _ in 0..3 {
        // An end that nobody but the next manager can tell, and one that arbiter has to keep.
        let status = arbiter.status();
        processes::signal(status.manager().expect("there is one"), signal::STOP);
        processes::signal(status.companion("redis").pids()[0], signal::KILL);
        processes::signal(status.worker_pids()[0], signal::KILL);
        arbiter.kill_manager();
        let mut wanted =
            vec!["manager exit", "manager spawn", "companion.redis.1 exit", "companion.redis.1 spawn"];
        while !wanted.is_empty() || seen == 0 {
            let event = watcher.next();
            let number = event["seq"].as_u64().expect("a number");
            let lost =
                if event["event"] == "lost" { event["count"].as_u64().expect("a number") - 1 } else { 0 };
            assert_eq!(number, seq + 1 + lost, "{event}");
            seq = number;
            let short = format!(
                "{} {}",
                event["subject"].as_str().unwrap_or_default(),
                event["event"].as_str().unwrap_or_default()
            );
            wanted.retain(|it| *it != short);
            seen += u32::from(short.starts_with("worker.") && short.ends_with("exit"));
        }
    }
    assert!(seen > 0, "ends of workers are told too");
}

#[test]
fn a_reader_of_one_companion_misses_nothing_by_a_crash_that_does_not_concern_it() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let watcher = Watcher::start(&site, &["companion.redis"]);
    watcher.hear(|| drop(arbiter.done(&["signal", "companion", "redis", "CONT"])));
    arbiter.done(&["signal", "workers", "CONT"]);
    arbiter.kill_manager();
    arbiter.done(&["signal", "companion", "redis", "CONT"]);
    let event = watcher.next();
    assert_eq!(
        (event["subject"].as_str(), event["event"].as_str()),
        (Some("companion.redis.1"), Some("kill"))
    );
}

#[test]
fn the_end_of_a_manager_is_one_that_was_requested_where_an_operator_replaces_it() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let watcher = Watcher::start(&site, &["manager", "companion.redis"]);
    watcher.hear(|| drop(arbiter.done(&["signal", "companion", "redis", "CONT"])));
    let end_of_manager = || loop {
        let event = watcher.next();
        if event["subject"] == "manager" && event["event"] == "exit" {
            return event["requested"].clone();
        }
    };
    arbiter.kill_manager();
    assert_eq!(end_of_manager(), false);
    arbiter.done(&["restart", "manager"]);
    assert_eq!(end_of_manager(), true);
}
