//! Whatever answers arbiterctl: it is a response, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::codec;
use proto::control::Response;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(response) = codec::decode_bulk::<Response>(bytes) {
        // Durations and floating-point numbers have more than one spelling.
        let written = codec::encode(&response);
        let again: Response = codec::decode_bulk(&written).expect("what was written can be read");
        assert_eq!(codec::encode(&again), written);
    }
});
