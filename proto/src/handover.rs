//! What a master hands to another that is started beside it: the sockets, and who it is.
//!
//! The two may be of different versions, so the form is numbered: eight bytes of magic, a u32, then the
//! value. It travels in a sealed memory file at descriptor [`DESCRIPTOR`]; behind it is a pipe with one byte,
//! from which each of the two reads at its end: who finds nothing is the last and cleans up. The sockets follow
//! in the order in which they are listed: [`Handover::passed`], [`Handover::listeners`], [`Handover::control`].

use crate::numbered::{Numbered, Unusable};
use crate::spec::ListenerSpec;
use serde::{Deserialize, Serialize};

/// The variable that tells a program that something is handed to it; its value is [`DESCRIPTOR`].
pub const VARIABLE: &str = "ARBITER_HANDOVER";
/// Where the memory file is; the pipe and the sockets come after it.
pub const DESCRIPTOR: i32 = 3;
/// The most it may take: ten thousand listeners would fit.
pub const MAX: usize = 16 << 20;

const FORM: Numbered = Numbered::new(*b"arbiter>", 1);

/// What is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The master that hands over.
    pub pid: i32,
    /// The names of the sockets that its service manager passed to it.
    pub passed: Vec<String>,
    /// The sockets it has opened itself.
    pub listeners: Vec<Handed>,
    /// The file of the control socket, if there is one.
    pub control: Option<SocketFile>,
}

/// A listener that the master has opened itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// What it was opened as.
    pub spec: ListenerSpec,
    /// Whether it is held for the companion of its name instead of for the workers.
    pub for_companion: bool,
    /// Its sockets: one that all share, or one for each slot.
    pub slots: Vec<Option<u32>>,
    /// Its file, for a Unix socket.
    pub file: Option<SocketFile>,
}

/// What a socket's file is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketFile {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl Handover {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        FORM.write(self)
    }

    /// What `bytes` hold.
    ///
    /// # Errors
    /// It is not what this program knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unusable> {
        FORM.read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::AddressSpec;

    fn sample() -> Handover {
        let spec = ListenerSpec {
            name: "app".into(),
            address: AddressSpec::Unix("/run/app.sock".into()),
            written: "unix:/run/app.sock".into(),
            backlog: 2048,
            reuse_port: false,
            v6only: false,
            mode: 0o666,
            owner: None,
        };
        Handover {
            pid: 7,
            passed: vec!["web".into()],
            listeners: vec![Handed {
                spec,
                for_companion: false,
                slots: vec![None, Some(2)],
                file: Some(SocketFile { device: 1, inode: 2 }),
            }],
            control: None,
        }
    }

    #[test]
    fn its_bytes_are_those_that_other_versions_know() {
        let bytes = sample().to_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(format!("version_1 {hex}"), include_str!("../tests/golden/handover.hex").trim());
        assert_eq!(Handover::from_bytes(&bytes).unwrap(), sample());
    }

    #[test]
    fn what_is_damaged_foreign_or_of_another_version_is_refused() {
        let bytes = sample().to_bytes();
        assert!(matches!(Handover::from_bytes(b"something else"), Err(Unusable::Foreign)));
        assert!(matches!(Handover::from_bytes(&bytes[..10]), Err(Unusable::Foreign)));
        assert!(matches!(Handover::from_bytes(&bytes[..40]), Err(Unusable::Malformed(_))));
        let mut newer = bytes;
        newer[8] = 9;
        assert!(matches!(Handover::from_bytes(&newer), Err(Unusable::Version { found: 9, known: 1 })));
    }
}
