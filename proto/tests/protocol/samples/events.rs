//! Pieces of streams.

use super::Sample;
use proto::control::{Chunk, Event, EventKind, Reply};
use std::time::Duration;

pub(crate) fn chunks() -> Vec<Sample<Reply>> {
    let mut seq = 0;
    let events = kinds().into_iter().map(|(name, subject, kind)| {
        seq += 1;
        let time = Duration::new(1_767_225_600 + seq, 250_000_000);
        (name, Chunk::Event(Event { seq, time, subject: subject.into(), kind }))
    });
    let output = [("output", Chunk::Bytes(b"\x00\xffline\n".to_vec())), ("lost_output", Chunk::Lost(65_536))];
    let log = ("log", Chunk::Log { bytes: b"\x00\xffline\n".to_vec(), next: vec![7, 8] });
    output
        .into_iter()
        .chain(events)
        .chain([log, ("at", Chunk::At(7))])
        .map(|(name, chunk)| (name, Reply::Chunk(chunk)))
        .collect()
}

fn kinds() -> Vec<(&'static str, &'static str, EventKind)> {
    let exit = |code, signal, requested| EventKind::Exit {
        pid: Some(4711),
        code,
        signal,
        requested,
        oneoff: !requested,
    };
    let error = Some("arbiter.toml:3:1: unknown key".into());
    vec![
        ("event_spawn", "worker.3", EventKind::Spawn { pid: 4711 }),
        ("event_ready", "worker.3", EventKind::Ready { pid: 4711 }),
        ("event_exit_with_a_code", "companion.redis.1", exit(Some(1), None, false)),
        ("event_exit_by_a_signal", "companion.redis.1", exit(None, Some(15), true)),
        ("event_reap", "worker.4", EventKind::Reap { pid: 4711 }),
        ("event_kill", "worker.4", EventKind::Kill { pid: 4711, signal: 10 }),
        ("event_flap", "companion.redis.1", EventKind::Flap { count: 2, retry_in: Duration::from_secs(300) }),
        ("event_fatal", "companion.redis.1", EventKind::Fatal { reason: "it keeps ending".into() }),
        ("event_health", "companion.redis.1", EventKind::Health { ok: false, reason: "timed out".into() }),
        ("event_update", "companion.redis", EventKind::Update { target: 3 }),
        ("event_start", "companion.redis", EventKind::Start),
        ("event_stop", "companion.redis", EventKind::Stop),
        ("event_load", "companion.redis", EventKind::Load),
        ("event_unload", "companion.redis", EventKind::Unload),
        ("event_reload", "arbiter", EventKind::Reload { generation: 2, ok: true, error: None }),
        ("event_reload_refused", "arbiter", EventKind::Reload { generation: 1, ok: false, error }),
        ("event_upgrade", "arbiter", EventKind::Upgrade { ok: true }),
        ("event_lost", "manager", EventKind::Lost { count: 12 }),
    ]
}
