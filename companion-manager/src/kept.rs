//! What came out of one slot's stream: the last 64 KiB, in a memory file that arbiter holds too.
//!
//! Bytes are peeked at, written here, noted, consumed, and noted as consumed, in this order. A manager may be killed
//! between any two steps: what the next one finds noted here, and what the kernel knows to be peeked at, tell
//! together how far it came ([`Kept::settle`]). So nothing that a process wrote is lost or doubled.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// How many bytes are kept.
const KEPT: u64 = 64 << 10;
/// How many are taken at a time: they must not take the place of what is kept before they are noted.
const PIECE: usize = 16 << 10;
/// The room for bytes, used in a circle.
const RING: u64 = KEPT + PIECE as u64;
/// Where it begins; before it stand two numbers.
const HEADER: u64 = 4096;

/// The bytes of one stream. A place in it is how many bytes came before.
#[derive(Debug)]
pub struct Kept {
    file: File,
    /// How many have ever come.
    end: u64,
    /// How many of these may not have been consumed.
    pending: u64,
}

/// What a try to take something came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes.
    Bytes(usize),
    /// There is nothing now.
    Nothing,
    /// Nothing will come any more.
    End,
}

impl Kept {
    /// An empty file for one, to be given to arbiter first.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn create() -> io::Result<OwnedFd> {
        let file = File::from(sys::memfd::writable(c"stream")?);
        file.set_len(HEADER + RING)?;
        Ok(file.into())
    }

    /// Goes on where the manager before was cut off.
    ///
    /// # Errors
    /// It is no such file.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let mut header = [0; 16];
        file.read_exact_at(&mut header, 0)?;
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        Ok(Self { file, end: number(0), pending: number(8) })
    }

    /// In one write: a manager is killed before or after it.
    fn note(&self) -> io::Result<()> {
        let mut header = [0; 16];
        header[..8].copy_from_slice(&self.end.to_le_bytes());
        header[8..].copy_from_slice(&self.pending.to_le_bytes());
        self.file.write_all_at(&header, 0)
    }

    /// Ends what a manager before has begun with the socket.
    ///
    /// # Errors
    /// Either cannot be used.
    pub fn settle(&mut self, socket: &impl AsFd) -> io::Result<()> {
        let peeked = sys::stream::peeked(socket)?;
        if peeked > 0 && self.pending > 0 {
            consume(socket, peeked)?;
        }
        sys::stream::unpeek(socket)?;
        self.pending = 0;
        self.note()
    }

    /// Takes a piece out of the socket.
    ///
    /// # Errors
    /// The socket has failed, which is an end too, or there is no memory: then nothing is taken.
    pub fn take(&mut self, socket: &impl AsFd) -> io::Result<Taken> {
        let mut piece = [0; PIECE];
        let seen = match sys::stream::peek(socket, &mut piece)? {
            None => return Ok(Taken::Nothing),
            Some(0) => return Ok(Taken::End),
            Some(seen) => seen,
        };
        self.commit(&piece[..seen]).inspect_err(|_| {
            // It is seen again.
            let _ = sys::stream::unpeek(socket);
        })?;
        consume(socket, seen)?;
        self.pending = 0;
        self.note()?;
        Ok(Taken::Bytes(seen))
    }

    fn commit(&mut self, piece: &[u8]) -> io::Result<()> {
        let at = self.end % RING;
        let upto_edge = usize::try_from(RING - at).unwrap_or(usize::MAX).min(piece.len());
        self.file.write_all_at(&piece[..upto_edge], HEADER + at)?;
        self.file.write_all_at(&piece[upto_edge..], HEADER)?;
        self.end += piece.len() as u64;
        self.pending = piece.len() as u64;
        self.note()
    }

    /// Where what is kept begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.end.saturating_sub(KEPT)
    }

    /// Where the next byte will be.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// All that is kept from a place on.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, from: u64) -> io::Result<Vec<u8>> {
        let from = from.clamp(self.start(), self.end);
        let mut bytes = vec![0; usize::try_from(self.end - from).unwrap_or(0)];
        let at = from % RING;
        let upto_edge = usize::try_from(RING - at).unwrap_or(usize::MAX).min(bytes.len());
        let (first, second) = bytes.split_at_mut(upto_edge);
        self.file.read_exact_at(first, HEADER + at)?;
        self.file.read_exact_at(second, HEADER)?;
        Ok(bytes)
    }
}

/// Takes out what has been looked at.
fn consume(socket: &impl AsFd, count: usize) -> io::Result<()> {
    let mut left = count;
    let mut piece = [0; PIECE];
    while left > 0 {
        let most = left.min(piece.len());
        match sys::pipe::read(socket, &mut piece[..most])? {
            None | Some(0) => break,
            Some(read) => left -= read,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    struct Bench {
        kept: Kept,
        own: OwnedFd,
        child: File,
    }

    fn bench() -> Bench {
        let (own, child) = sys::stream::pair().unwrap();
        Bench { kept: Kept::open(Kept::create().unwrap()).unwrap(), own, child: child.into() }
    }

    impl Bench {
        /// What the next manager makes of it.
        fn next_manager(&mut self) {
            self.kept = Kept::open(self.kept.file.try_clone().unwrap().into()).unwrap();
            self.kept.settle(&self.own).unwrap();
        }

        fn take_all(&mut self) -> Vec<u8> {
            while let Taken::Bytes(_) = self.kept.take(&self.own).unwrap() {}
            self.kept.read(0).unwrap()
        }
    }

    fn numbered(range: std::ops::Range<u32>) -> Vec<u8> {
        range.flat_map(|number| format!("{number}\n").into_bytes()).collect()
    }

    #[test]
    fn the_last_bytes_are_kept_whatever_came_before() {
        let mut bench = bench();
        let all = numbered(0..60_000);
        for piece in all.chunks(1_000) {
            bench.child.write_all(piece).unwrap();
            bench.take_all();
        }
        let kept = bench.kept.read(0).unwrap();
        assert_eq!((kept.len() as u64, all.ends_with(&kept)), (KEPT, true));
        assert_eq!(bench.kept.end(), all.len() as u64);
        assert_eq!(bench.kept.read(bench.kept.end() - 6).unwrap(), b"59999\n");
        bench.next_manager();
        assert_eq!(bench.kept.read(0).unwrap(), kept);
        drop(bench.child);
        assert_eq!(bench.kept.take(&bench.own).unwrap(), Taken::End);
    }

    #[test]
    fn a_manager_that_was_killed_after_it_had_looked_has_taken_nothing() {
        let mut bench = bench();
        bench.child.write_all(b"one ").unwrap();
        bench.take_all();
        bench.child.write_all(b"two ").unwrap();
        let mut piece = [0; 3];
        sys::stream::peek(&bench.own, &mut piece).unwrap();
        bench.kept.file.write_all_at(&piece, HEADER + 4).unwrap();
        bench.next_manager();
        assert_eq!(bench.take_all(), b"one two ");
    }

    #[test]
    fn a_manager_that_was_killed_before_all_was_consumed_has_taken_it_once() {
        for consumed in 0..=8 {
            let mut bench = bench();
            bench.child.write_all(b"one two ").unwrap();
            let mut piece = [0; 64];
            let seen = sys::stream::peek(&bench.own, &mut piece).unwrap().unwrap();
            bench.kept.commit(&piece[..seen]).unwrap();
            sys::pipe::read(&bench.own, &mut piece[..consumed]).unwrap();
            bench.child.write_all(b"three").unwrap();
            bench.next_manager();
            assert_eq!(bench.take_all(), b"one two three", "{consumed}");
        }
    }

    #[test]
    fn what_is_kept_is_whole_while_more_is_written_and_not_noted() {
        let mut bench = bench();
        let all = numbered(0..20_000);
        for piece in all.chunks(1_000) {
            bench.child.write_all(piece).unwrap();
            bench.take_all();
        }
        let kept = bench.kept.read(0).unwrap();
        // All that a killed manager may have written.
        let at = bench.kept.end % RING;
        for offset in 0..PIECE as u64 {
            bench.kept.file.write_all_at(b"!", HEADER + (at + offset) % RING).unwrap();
        }
        bench.next_manager();
        assert_eq!(bench.kept.read(0).unwrap(), kept);
    }
}
