//! Messages on the link: one that is too long for a datagram travels in a sealed memory file, announced by
//! an empty datagram's worth of mark.

use std::io;
use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::memfd;
use crate::seqpacket::DATAGRAM_MAX;

/// The first byte of a datagram that holds its message.
const INLINE: u8 = 0;
/// The first byte of one whose message is in the memory file that is its first descriptor.
const IN_FILE: u8 = 1;
/// The longest message in a memory file.
const BULK_MAX: usize = 1 << 30;

/// The datagram for a message, and its descriptors.
///
/// # Errors
/// A long message's memory file cannot be made.
pub fn pack<T: Serialize>(message: &T, mut descriptors: Vec<OwnedFd>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let encoded = proto::codec::encode(message);
    if encoded.len() < DATAGRAM_MAX {
        return Ok((inline(&encoded), descriptors));
    }
    descriptors.insert(0, memfd::sealed(c"message", &encoded)?);
    Ok((vec![IN_FILE], descriptors))
}

/// The datagram that holds an encoded message: for one that is made before it is sent, a letter.
#[must_use]
pub fn inline(encoded: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + encoded.len());
    bytes.push(INLINE);
    bytes.extend_from_slice(encoded);
    bytes
}

/// The message of a datagram, and its own descriptors.
///
/// # Errors
/// `InvalidData`: it holds none.
pub fn unpack<T: DeserializeOwned>(
    bytes: &[u8],
    mut descriptors: Vec<OwnedFd>,
) -> io::Result<(T, Vec<OwnedFd>)> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let message = match bytes.split_first() {
        Some((&INLINE, rest)) => proto::codec::decode(rest),
        Some((&IN_FILE, [])) if !descriptors.is_empty() => {
            let bytes = memfd::read_sealed(&descriptors.remove(0), BULK_MAX)?;
            proto::codec::decode_bulk(&bytes)
        }
        _ => return Err(invalid("neither a message nor the mark of one".into())),
    };
    Ok((message.map_err(|error| invalid(error.to_string()))?, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_whatever_its_length() {
        for length in [0, 1, DATAGRAM_MAX - 10, DATAGRAM_MAX, 3 * DATAGRAM_MAX] {
            let message = "x".repeat(length);
            let own = crate::fd::null().unwrap();
            let (bytes, descriptors) = pack(&message, vec![own]).unwrap();
            assert!(bytes.len() <= DATAGRAM_MAX, "{} bytes", bytes.len());
            let (back, descriptors): (String, _) = unpack(&bytes, descriptors).unwrap();
            assert_eq!(back, message);
            assert_eq!(descriptors.len(), 1);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[][..], &[2], &[IN_FILE], &[INLINE, 1]] {
            assert!(unpack::<u32>(bytes, Vec::new()).is_err(), "{bytes:?}");
        }
    }
}
