//! The state's bytes: what a program leaves, the next one reads, whichever version it is.

#[path = "../../tests/samples/mod.rs"]
mod samples;

use super::{Child, SavedCaptures, SavedCompanions, SavedOrigin, SavedUpward, SocketAt, State};
use crate::happenings::Happenings;
use crate::ledger::Ledger;
use crate::master::{self, Event, Master};
use crate::shell::{Relays, Role, Zombie};
use proto::control::{Answer, EventKind, Reply, ScaleChange, ScaleTarget, Verb};
use proto::handover::{Handed, SocketFile};
use proto::link::{CapturedPipe, Channel, Happening, OutputStream, Record, SpawnIntent, Transaction};
use proto::numbered::Unusable;
use std::time::Duration;
use supervise::{Exit, ExitStatus, Input, Monotonic, RunId};

/// Where the bytes are kept: `form_N`, then their hexadecimal digits.
const GOLDEN: &str = include_str!("../../tests/golden/upgrade.hex");

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_secs(seconds))
}

/// Two workers serve and a third one starts, for which somebody waits; the program is being replaced, a restart of
/// the workers waits behind that.
fn master() -> master::Saved {
    let mut master = Master::new(samples::master(Some(samples::workers(2))));
    master.seed(7);
    master.start(at(1000));
    master.handle(at(1000), Event::ManagerBegun);
    master.handle(at(1000), Event::Required(None));
    let members: Vec<_> = master.pool().members().filter_map(|member| member.run).collect();
    for (run, pid) in members.into_iter().zip(100..) {
        master.handle_worker(at(1001), run, Input::Spawned { pid });
        master.handle_worker(at(1002), run, Input::Ready);
        master.worker_beats(at(1003), run);
        master.describe_worker(run, "serves".into());
    }
    let scale = Verb::Scale { target: ScaleTarget::Workers, change: ScaleChange::To(3) };
    let waiting = [Verb::Upgrade, Verb::RestartWorkers, Verb::RestartManager, scale];
    for (relay, verb) in (1..).zip(waiting) {
        master.handle(at(1004), Event::Request { relay, wait: true, verb });
    }
    master.tried_to_upgrade(at(1005), Ok(()));
    assert!(master.is_to_be_replaced());
    master.save()
}

fn companions() -> SavedCompanions {
    let spawn = |run, slot| SpawnIntent { run: RunId(run), companion: "redis".into(), slot, replaces: None };
    let mut ledger = Ledger::default();
    ledger.apply(Transaction {
        records: vec![Record { name: "redis".into(), content: Some(vec![1, 2, 3]) }],
        spawns: vec![spawn(1, 1), spawn(2, 2), spawn(3, 2)],
        exits: vec![(RunId(2), Exit::bare(ExitStatus::Signal { number: 9, core_dumped: false }))],
        outcomes: vec![([5; 16], vec![6])],
        ..Transaction::default()
    });
    ledger.born(RunId(1), 200);
    ledger.notice(RunId(1), "READY=1".into());
    let mut relays = Relays::default();
    relays.begin(1);
    relays.begin(4);
    relays.end(4, Reply::Done(Answer::Done));
    let pipe =
        CapturedPipe { run: RunId(1), stream: OutputStream::Stdout, companion: "redis".into(), slot: 1 };
    SavedCompanions {
        in_force: 20,
        operation: 3,
        restarts: 1,
        ledger,
        mains: vec![(RunId(1), 28)],
        captures: SavedCaptures { pipes: vec![(pipe, 21)], tails: vec![("redis".into(), 22)] },
        inputs: vec![(RunId(1), Channel::Stdin, 23), (RunId(1), Channel::Stream("talk".into()), 24)],
        relays,
    }
}

fn happenings() -> Happenings {
    let mut happenings = Happenings::default();
    happenings.watch(true);
    happenings.add(Happening {
        time: Duration::from_millis(1_700_000_000_123),
        subject: "worker.1".into(),
        kind: EventKind::Update { target: 2 },
    });
    happenings
}

fn state() -> State {
    let master = master();
    let handed = master.spec.listeners.iter().map(|spec| Handed {
        spec: spec.clone(),
        for_companion: false,
        slots: vec![None],
        file: None,
    });
    State {
        version: "0.1.0".into(),
        left_at: at(1005),
        descriptors: (10..30).collect(),
        origin: SavedOrigin::new(
            &"/usr/bin/arbiter".into(),
            &["-c".into(), "/etc/arbiter.toml".into()],
            &[("PATH".into(), "/usr/bin".into())].into_iter().collect(),
            &"/".into(),
        ),
        started: at(999),
        nofile: (1024, 524_288),
        outputs: [10, 11],
        managers: [12, 13],
        listeners: (vec!["http".into()], handed.collect(), vec![14]),
        control: Some(SocketAt { socket: 15, file: SocketFile { device: 1, inode: 2 } }),
        pidfile: Some("/run/arbiter.pid".into()),
        lock: Some(("/run/arbiter/control.sock.lock".into(), 16)),
        notify: ("/run/arbiter/notify".into(), 17, 9),
        children: vec![Child { run: RunId(1), is_worker: false, pid: 200, pidfd: 18, main: Some((203, 27)) }],
        notify_sockets: vec![(RunId(1), 19)],
        zombies: vec![Zombie { run: RunId(2), role: Role::Adopted, released: false, survivors: true }],
        companions: companions(),
        happenings: happenings(),
        upward: SavedUpward { watchdog_at: Some(at(1010)), status: "2 workers".into(), owed: Vec::new() },
        master,
    }
}

fn written(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<&str> = (0..hex.len()).step_by(120).map(|at| &hex[at..hex.len().min(at + 120)]).collect();
    format!("form_1\n{}\n", lines.join("\n"))
}

fn refused(bytes: &[u8]) -> Unusable {
    State::from_bytes(bytes).expect_err("it cannot be used")
}

#[test]
fn its_bytes_are_those_that_other_versions_know() {
    let found = written(&state().to_bytes());
    assert_eq!(found, GOLDEN, "if that was meant, arbiter/tests/golden/upgrade.hex is now:\n{found}");
}

#[test]
fn the_same_state_has_the_same_bytes_and_gives_them_again_when_it_was_read() {
    let bytes = state().to_bytes();
    assert_eq!(state().to_bytes(), bytes);
    let read = State::from_bytes(&bytes).expect("it can be read");
    assert_eq!(read.to_bytes(), bytes);
    let master = Master::restore(read.master, None, at(1006)).expect("it agrees with itself");
    assert_eq!(master.pool().members().filter(|member| member.ready).count(), 2);
}

#[test]
fn what_is_damaged_foreign_or_newer_is_refused_in_words() {
    let bytes = state().to_bytes();
    assert!(matches!(refused(b"something else"), Unusable::Foreign));
    assert!(matches!(refused(&bytes[..10]), Unusable::Foreign));
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(refused(&newer).to_string(), "it is of form 2, this program knows form 1");
    // Cut off anywhere, it is not taken for a whole one; nor with something behind it.
    for end in 12..bytes.len() {
        assert!(matches!(refused(&bytes[..end]), Unusable::Malformed(_)), "{end} bytes of {}", bytes.len());
    }
    assert!(matches!(refused(&[&bytes[..], &[0]].concat()), Unusable::Malformed(_)));
}

#[test]
fn no_damaged_byte_makes_a_program_fail_otherwise_than_by_refusing_it() {
    let bytes = state().to_bytes();
    for place in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= flip;
            if let Ok(state) = State::from_bytes(&damaged) {
                // It may contradict itself, or be another state that can be.
                drop(Master::restore(state.master, None, at(1006)));
            }
        }
    }
}
