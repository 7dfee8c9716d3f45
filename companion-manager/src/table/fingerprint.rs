//! Short numbers that stand for values: equal values have equal ones.

use proto::codec;
use proto::spec::CompanionSpec;

/// FNV-1a: stable over processes and versions, which the standard library's hasher is not.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Stands for the settings that a process keeps for life: when they change it has to be replaced. All
/// others take effect in place.
pub(super) fn of_settings(spec: &CompanionSpec) -> u64 {
    of_bytes(&codec::encode(&(
        &spec.process,
        &spec.stdin,
        &spec.stdout,
        &spec.stderr,
        &spec.streams,
        &spec.listen,
        &spec.watchdog,
    )))
}
