//! Values that another version of a program may read: eight bytes that say what it is, the number of its form as a
//! u32, then the value.

use crate::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of such values, in the form that this program writes.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    magic: [u8; 8],
    version: u32,
}

/// Why bytes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// They are something else altogether.
    #[error("it is something else")]
    Foreign,
    /// They are of a form that this program does not know.
    #[error("it is of form {found}, this program knows form {known}")]
    Version {
        /// Their form.
        found: u32,
        /// The one that is known.
        known: u32,
    },
    /// They are damaged.
    #[error(transparent)]
    Malformed(#[from] codec::Malformed),
}

impl Numbered {
    /// The kind that is known by `magic`, in the form of this number.
    #[must_use]
    pub const fn new(magic: [u8; 8], version: u32) -> Self {
        Self { magic, version }
    }

    /// The bytes of `value`.
    #[must_use]
    pub fn write<T: Serialize>(&self, value: &T) -> Vec<u8> {
        [&self.magic[..], &self.version.to_le_bytes(), &codec::encode(value)].concat()
    }

    /// What `bytes` hold.
    ///
    /// # Errors
    /// It is not what this program knows.
    pub fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Unusable> {
        let rest = bytes.strip_prefix(&self.magic).ok_or(Unusable::Foreign)?;
        let (version, rest) = rest.split_first_chunk().ok_or(Unusable::Foreign)?;
        match u32::from_le_bytes(*version) {
            found if found == self.version => Ok(codec::decode_bulk(rest)?),
            found => Err(Unusable::Version { found, known: self.version }),
        }
    }
}
