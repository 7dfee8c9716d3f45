//! Bytes that are no message are refused, whatever they are.

use crate::samples::{hellos, requests, responses};
use proto::codec;
use proto::control::{Request, Response};
use proto::frame::{FrameReader, MAX_HELLO, MAX_REQUEST};
use proto::hello::Hello;

/// One more seed each time gives other bytes; the same seed the same ones.
const SEEDS: u64 = 20_000;
const LONGEST: usize = 512;

/// A value that comes out must be written as the bytes it came from: one value, one spelling.
fn try_everything(bytes: &[u8], seed: u64) {
    if let Ok(request) = codec::decode::<Request>(bytes) {
        assert_eq!(codec::encode(&request), bytes, "a request, seed {seed}");
    }
    // Durations and floating-point numbers have more than one spelling.
    if let Ok(response) = codec::decode::<Response>(bytes) {
        let written = codec::encode(&response);
        let again: Response = codec::decode(&written).expect("what was written can be read");
        assert_eq!(codec::encode(&again), written, "a response, seed {seed}");
    }
    if let Ok(hello) = Hello::decode(bytes) {
        let again = Hello::decode(&hello.encode());
        assert_eq!(again, Ok(hello), "a hello, seed {seed}");
    }
    let mut reader = FrameReader::default();
    reader.push(bytes);
    while let Ok(Some(payload)) = reader.next_frame(MAX_HELLO) {
        assert!(payload.len() <= MAX_HELLO, "seed {seed}");
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..=bytes.len());
        match random.u8(0..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.u8(..)),
            2 if at < bytes.len() => bytes[at] = random.u8(..),
            _ if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
            _ => bytes.push(random.u8(..)),
        }
    }
}

#[test]
fn arbitrary_bytes_never_make_the_decoder_panic() {
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let length = random.usize(0..LONGEST);
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        try_everything(&bytes, seed);
    }
}

#[test]
fn messages_with_a_few_bytes_changed_never_make_the_decoder_panic() {
    let mut messages: Vec<Vec<u8>> = hellos().iter().map(|(_, hello)| hello.encode()).collect();
    messages.extend(requests().iter().map(|(_, request)| codec::encode(request)));
    messages.extend(responses().iter().map(|(_, response)| codec::encode(response)));
    let mut refused = 0;
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = random.choice(&messages).expect("there are samples").clone();
        mutate(&mut bytes, &mut random);
        try_everything(&bytes, seed);
        refused += u64::from(codec::decode::<Request>(&bytes).is_err());
    }
    assert!(refused > SEEDS / 10, "only {refused} of {SEEDS} were refused: the bytes are hardly changed");
}

#[test]
fn a_message_that_ends_early_or_goes_on_is_malformed() {
    for (name, request) in requests() {
        let mut bytes = codec::encode(&request);
        for length in 0..bytes.len() {
            assert!(codec::decode::<Request>(&bytes[..length]).is_err(), "{name} cut to {length} bytes");
        }
        bytes.push(0);
        assert!(codec::decode::<Request>(&bytes).is_err(), "{name} with a byte more");
    }
}

#[test]
fn a_request_that_would_need_more_memory_than_a_request_may_have_is_malformed() {
    let mut bytes = codec::encode(&requests()[2].1);
    let length_at = bytes.len() - 8;
    for lie in [MAX_REQUEST as u64 / 8, u64::from(u32::MAX), u64::MAX] {
        bytes[length_at..].copy_from_slice(&lie.to_le_bytes());
        assert!(codec::decode::<Request>(&bytes).is_err(), "{lie} names in no bytes");
    }
}
