//! Frames: a length of four bytes, then that many bytes.

use std::fmt;

/// The longest request, in bytes without the length.
pub const MAX_REQUEST: usize = 1 << 20;
/// The longest answer frame: longer answers come in parts of at most this size.
pub const MAX_ANSWER: usize = 1 << 20;
/// The longest hello: magic, two versions, and a program version of sensible size.
pub const MAX_HELLO: usize = 256;

/// A frame longer than the reader allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The announced length in bytes.
    pub length: usize,
    /// The longest allowed.
    pub limit: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of {} bytes is longer than the {} allowed", self.length, self.limit)
    }
}

impl std::error::Error for TooLong {}

/// `payload` as a frame.
///
/// # Panics
///
/// When the payload is 4 GiB or longer.
#[must_use]
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("no message comes near 4 GiB");
    let mut bytes = Vec::with_capacity(4 + payload.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// Cuts a stream of bytes into frames. A length is looked at before memory is set aside for it.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
}

impl FrameReader {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's payload.
    ///
    /// # Errors
    ///
    /// When the next frame is longer than `limit`: nothing after it can be read.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, TooLong> {
        let rest = &self.buffer[self.start..];
        let Some(length) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > limit {
            return Err(TooLong { length, limit });
        }
        let Some(payload) = rest.get(4..4 + length) else { return Ok(None) };
        let payload = payload.to_vec();
        self.start += 4 + length;
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            self.start = 0;
        }
        Ok(Some(payload))
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let mut stream = frame(b"one");
        stream.extend(frame(b""));
        stream.extend(frame(b"three"));
        for size in 1..=stream.len() {
            let mut reader = FrameReader::default();
            let mut frames = Vec::new();
            for chunk in stream.chunks(size) {
                reader.push(chunk);
                while let Some(payload) = reader.next_frame(16).unwrap() {
                    frames.push(payload);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "in chunks of {size}");
            assert_eq!(reader.pending(), 0);
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_arrive() {
        let mut reader = FrameReader::default();
        reader.push(&17u32.to_le_bytes());
        assert_eq!(reader.next_frame(16), Err(TooLong { length: 17, limit: 16 }));
    }
}
