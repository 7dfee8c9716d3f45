//! An environment in one piece of memory.

use std::ffi::{CStr, CString};

/// C strings, one after the other in one buffer: a piece of memory for each would be scattered all over the heap, and
/// every page that a daemon writes to after a clone costs it a fault.
#[derive(Debug, Clone, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

/// A NUL byte inside of a text, where the kernel would cut it short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a NUL byte inside of a text")]
pub struct InteriorNul;

impl Strings {
    /// Adds one that is put together from parts.
    ///
    /// # Errors
    /// A part has a NUL byte; nothing is added.
    pub fn push(&mut self, parts: &[&[u8]]) -> Result<(), InteriorNul> {
        if parts.iter().any(|part| part.contains(&0)) {
            return Err(InteriorNul);
        }
        self.starts.push(self.bytes.len());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
        Ok(())
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        let whole = |start: &usize| CStr::from_bytes_until_nul(&self.bytes[*start..]);
        self.starts.iter().map(move |start| whole(start).expect("each is ended by a NUL"))
    }

    /// All of them with their ends.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each begins.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }
}

impl FromIterator<CString> for Strings {
    fn from_iter<I: IntoIterator<Item = CString>>(texts: I) -> Self {
        let mut strings = Self::default();
        for text in texts {
            strings.starts.push(strings.bytes.len());
            strings.bytes.extend_from_slice(text.as_bytes_with_nul());
        }
        strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_again_whole_and_one_with_a_nul_byte_is_refused() {
        let mut strings: Strings = [c"A=1".to_owned(), c"".to_owned()].into_iter().collect();
        assert_eq!(strings.push(&[b"B", b"=", b"2"]), Ok(()));
        assert_eq!(strings.push(&[b"C", b"=\0"]), Err(InteriorNul));
        assert_eq!(strings.iter().collect::<Vec<_>>(), [c"A=1", c"", c"B=2"]);
    }
}
