//! Whatever a client's frame holds: it is a request, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::codec;
use proto::control::Request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = codec::decode::<Request>(bytes) {
        // One value, one spelling.
        assert_eq!(codec::encode(&request), bytes);
    }
});
