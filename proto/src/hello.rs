//! The first frame each way, whose bytes never change.

/// The first eight bytes of a hello.
pub const MAGIC: [u8; 8] = *b"ARBITER\n";
/// The lowest protocol version this program speaks.
pub const LOWEST: u32 = 1;
/// The highest protocol version this program speaks.
pub const HIGHEST: u32 = 1;

/// What each side says first: the protocol versions it speaks and its program's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The lowest protocol version spoken.
    pub lowest: u32,
    /// The highest protocol version spoken.
    pub highest: u32,
    /// The program's version, for people.
    pub program: String,
}

/// Why a hello is none, or cannot be agreed with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The bytes are no hello.
    #[error("the other side does not speak arbiter's control protocol")]
    NotArbiter,
    /// Both speak the protocol, but no common version.
    #[error(
        "the other side (version {program}) speaks protocol versions {lowest} to {highest}, this program {LOWEST} to {HIGHEST}: use the arbiterctl that was installed with it"
    )]
    NoCommonVersion {
        /// The other side's program version.
        program: String,
        /// Its lowest protocol version.
        lowest: u32,
        /// Its highest protocol version.
        highest: u32,
    },
}

impl Hello {
    /// What this program says.
    #[must_use]
    pub fn ours() -> Self {
        Self { lowest: LOWEST, highest: HIGHEST, program: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// The payload of the hello's frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.lowest.to_le_bytes());
        bytes.extend(self.highest.to_le_bytes());
        bytes.extend((self.program.len() as u64).to_le_bytes());
        bytes.extend(self.program.as_bytes());
        bytes
    }

    /// Reads a hello's payload. What later versions may add after the program's version is not looked at.
    ///
    /// # Errors
    ///
    /// When the bytes are no hello.
    pub fn decode(bytes: &[u8]) -> Result<Self, HelloError> {
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(HelloError::NotArbiter)?;
        let (lowest, rest) = rest.split_first_chunk::<4>().ok_or(HelloError::NotArbiter)?;
        let (highest, rest) = rest.split_first_chunk::<4>().ok_or(HelloError::NotArbiter)?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or(HelloError::NotArbiter)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| HelloError::NotArbiter)?;
        let program = rest.get(..length).ok_or(HelloError::NotArbiter)?;
        if *magic != MAGIC {
            return Err(HelloError::NotArbiter);
        }
        Ok(Self {
            lowest: u32::from_le_bytes(*lowest),
            highest: u32::from_le_bytes(*highest),
            program: String::from_utf8_lossy(program).into_owned(),
        })
    }

    /// The highest version that both this program and the sender of this hello speak.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn agree(&self) -> Result<u32, HelloError> {
        let version = self.highest.min(HIGHEST);
        if version < self.lowest.max(LOWEST) {
            return Err(HelloError::NoCommonVersion {
                program: self.program.clone(),
                lowest: self.lowest,
                highest: self.highest,
            });
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_hello_never_change() {
        let hello = Hello { lowest: 1, highest: 3, program: "0.1.0".into() };
        let golden = b"ARBITER\n\x01\0\0\0\x03\0\0\0\x05\0\0\0\0\0\0\x000.1.0";
        assert_eq!(hello.encode(), golden);
        assert_eq!(Hello::decode(golden), Ok(hello));
    }

    #[test]
    fn bytes_that_are_no_hello_are_refused() {
        let hello = Hello::ours().encode();
        for length in 0..hello.len() {
            assert_eq!(Hello::decode(&hello[..length]), Err(HelloError::NotArbiter), "{length} bytes");
        }
        assert_eq!(Hello::decode(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Err(HelloError::NotArbiter));
    }

    #[test]
    fn the_highest_common_version_is_agreed_upon() {
        let theirs = |lowest, highest| Hello { lowest, highest, program: "9".into() };
        assert_eq!(theirs(1, 9).agree(), Ok(HIGHEST));
        assert!(theirs(HIGHEST + 1, 9).agree().is_err());
        assert!(theirs(0, 0).agree().is_err());
    }
}
