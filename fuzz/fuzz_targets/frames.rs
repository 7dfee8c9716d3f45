//! Whatever a peer sends, however it is cut into pieces: frames come out whole, the same ones, within their limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::frame::{FrameReader, MAX_HELLO, MAX_REQUEST, TooLong, frame};
use proto::hello::Hello;

/// A hello and what follows it, as the manager reads a client.
#[derive(Debug, Default, PartialEq)]
struct Read {
    reader: Vec<Vec<u8>>,
    refused: Option<TooLong>,
}

impl Read {
    fn take(&mut self, reader: &mut FrameReader) {
        while self.refused.is_none() {
            let limit = if self.reader.is_empty() { MAX_HELLO } else { MAX_REQUEST };
            match reader.next_frame(limit) {
                Ok(Some(payload)) => {
                    assert!(payload.len() <= limit);
                    self.reader.push(payload);
                }
                Ok(None) => return,
                Err(too_long) => {
                    assert!(too_long.length > limit);
                    self.refused = Some(too_long);
                }
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let mut whole = Read::default();
    let mut reader = FrameReader::default();
    reader.push(bytes);
    whole.take(&mut reader);
    let written: Vec<u8> = whole.reader.iter().flat_map(|payload| frame(payload)).collect();
    assert!(bytes.starts_with(&written));
    assert_eq!(reader.pending(), bytes.len() - written.len());

    let mut cut = Read::default();
    let mut reader = FrameReader::default();
    for part in bytes.chunks(usize::from(*piece) + 1) {
        reader.push(part);
        cut.take(&mut reader);
    }
    assert_eq!(whole, cut, "where the pieces begin matters");

    if let Some(Ok(hello)) = whole.reader.first().map(|payload| Hello::decode(payload)) {
        assert_eq!(Hello::decode(&hello.encode()).as_ref(), Ok(&hello));
        // The answer names what both speak.
        assert_eq!(
            hello.agree().is_ok(),
            Hello::ours().lowest <= hello.highest && hello.lowest <= Hello::ours().highest
        );
    }
});
