//! The one place that knows how values become bytes: bincode 1's fixed-width little-endian form.

use crate::frame::MAX_REQUEST;
use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not a value.
#[derive(Debug, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct Malformed(#[from] bincode::Error);

fn options(limit: u64) -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .reject_trailing_bytes()
        .with_limit(limit)
}

/// The bytes of `value`.
///
/// # Panics
///
/// When a value cannot be written at all (a sequence of unknown length): none of this crate's can be so.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    options(u64::MAX).serialize(value).expect("this crate's types have a known length")
}

/// A short number that stands for bytes: equal ones have equal numbers. FNV-1a, stable over processes and
/// versions, which the standard library's hasher is not.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The value that `bytes` hold, all of them, using at most as much memory as a request may.
///
/// # Errors
///
/// When they do not hold one, or go on after it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    decode_within(bytes, MAX_REQUEST as u64)
}

/// As [`decode`], for what comes from our own programs and may be larger: specifications, saved state.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_bulk<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    decode_within(bytes, bytes.len() as u64)
}

fn decode_within<T: DeserializeOwned>(bytes: &[u8], limit: u64) -> Result<T, Malformed> {
    Ok(options(limit).deserialize(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_fixed_and_little_endian_and_text_has_a_length_of_eight_bytes() {
        assert_eq!(encode(&1u32), [1, 0, 0, 0]);
        assert_eq!(encode(&"ab"), [2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(encode(&Some(7u8)), [1, 7]);
        assert_eq!(encode(&None::<u8>), [0]);
    }

    #[test]
    fn bytes_after_the_value_are_refused() {
        assert!(decode::<u32>(&[1, 0, 0, 0]).is_ok());
        assert!(decode::<u32>(&[1, 0, 0, 0, 0]).is_err());
        assert!(decode::<u32>(&[1, 0, 0]).is_err());
    }

    #[test]
    fn a_length_that_lies_reserves_no_memory() {
        let mut lie = u64::MAX.to_le_bytes().to_vec();
        lie.extend([0; 16]);
        assert!(decode::<Vec<u8>>(&lie).is_err());
        assert!(decode::<String>(&lie).is_err());
    }
}
