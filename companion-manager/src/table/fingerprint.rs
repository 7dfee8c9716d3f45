//! Short numbers that stand for values: equal values have equal ones.

use proto::codec;
use proto::spec::{CompanionSpec, ProcessSpec};

/// Stands for bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    codec::fingerprint(bytes)
}

/// Stands for the settings that a process keeps for life: when they change it has to be replaced. All
/// others take effect in place.
pub(super) fn of_settings(spec: &CompanionSpec) -> u64 {
    // Of the environment, what it comes to counts, and not how it is written.
    let process = ProcessSpec {
        unset_env: Vec::new(),
        top_env: Vec::new(),
        env_file: None,
        env: Vec::new(),
        ..spec.process.clone()
    };
    of_bytes(&codec::encode(&(
        &process,
        spec.env_digest,
        &spec.stdin,
        &spec.stdout,
        &spec.stderr,
        &spec.streams,
        &spec.listen,
        &spec.watchdog,
    )))
}
