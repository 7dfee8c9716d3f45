//! What workers say first: when they lived.

use anyhow::{Context, bail};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One worker's first words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Whose worker it is.
    pub label: String,
    /// From 1.
    pub slot: usize,
    pub pid: i32,
    /// On the monotonic clock.
    pub born: Duration,
}

/// The socket where they arrive.
#[derive(Debug)]
pub struct Stamps {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Stamps {
    /// # Errors
    /// The socket cannot be bound.
    pub fn bind(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("stamps");
        let socket = UnixDatagram::bind(&path).context("cannot bind the socket for stamps")?;
        // Ten seconds are an error anywhere.
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { socket, path })
    }

    /// Where to send them.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next one, which has to be `label`'s.
    ///
    /// # Errors
    /// None within ten seconds, or somebody else's.
    pub fn next(&self, label: &str) -> anyhow::Result<Stamp> {
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).with_context(|| format!("no stamp from {label}"))?;
        let text = std::str::from_utf8(&buffer[..length])?;
        let stamp = parse(text).with_context(|| format!("what is this stamp: {text}"))?;
        if stamp.label != label {
            bail!("a worker of {} was born out of turn, {label} was asked", stamp.label);
        }
        Ok(stamp)
    }
}

/// `LABEL SLOT PID NANOSECONDS`
fn parse(text: &str) -> Option<Stamp> {
    let mut words = text.split(' ');
    let label = words.next()?.to_owned();
    let (slot, pid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let born = Duration::from_nanos(words.next()?.parse().ok()?);
    words.next().is_none().then_some(Stamp { label, slot, pid, born })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_four_words() {
        let expected =
            Stamp { label: "x".into(), slot: 2, pid: 7, born: Duration::from_nanos(1_000_000_001) };
        assert_eq!(parse("x 2 7 1000000001"), Some(expected));
        for text in ["", "x 2 7", "x 2 7 1 1", "x two 7 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
