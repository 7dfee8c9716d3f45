//! Whatever comes over the link, in either direction: it is a message, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::codec;
use proto::link::{ToArbiter, ToManager};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn read_and_write<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    // Short ones travel in the datagram, longer ones in a memory file.
    let short = codec::decode::<T>(bytes);
    let bulk = codec::decode_bulk::<T>(bytes);
    assert_eq!(short.is_ok(), bulk.is_ok());
    if let Ok(message) = bulk {
        // Durations have more than one spelling.
        let written = codec::encode(&message);
        let again: T = codec::decode_bulk(&written).expect("what was written can be read");
        assert_eq!(codec::encode(&again), written);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read_and_write::<ToManager>(bytes);
    read_and_write::<ToArbiter>(bytes);
});
