//! Whatever another master hands over, or one that was killed has left: it is understood, or it is refused.
#![no_main]

use arbiter::runtime::List;
use libfuzzer_sys::fuzz_target;
use proto::handover::Handover;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(handover) = Handover::from_bytes(bytes) {
        assert_eq!(handover.to_bytes(), bytes, "one value, one spelling");
    }
    if let Some(list) = List::parse(bytes) {
        assert!(list.processes.iter().all(|listed| listed.pid > 1), "everybody would be killed");
    }
});
