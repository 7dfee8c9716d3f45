//! A memory file of which the last lines are kept.
//!
//! It only grows, and memory behind its beginning is given back to the kernel. The first page says what the next
//! manager has to know. It serves in two places: as the whole log of a companion without a file, and as the place
//! for lines that a file refuses.

use super::lines;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// Where lines begin; before it stand three numbers.
const HEADER: u64 = 4096;
/// How much more than needed is dropped at a time.
const STEP: u64 = 64 << 10;
/// How far the next line end is looked for: a longer line is cut.
const LOOK: usize = 64 << 10;

/// The lines.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    /// Where what is kept begins.
    start: u64,
    /// How many bytes were dropped since somebody was told.
    lost: u64,
    /// While lines are copied to the refused file: how long that was before, plus one.
    copying: u64,
    /// Memory up to here has been given back.
    punched: u64,
}

impl Tail {
    /// An empty file for one, to be given to arbiter first.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn create() -> io::Result<OwnedFd> {
        let file = File::from(sys::memfd::writable(c"captured output")?);
        file.set_len(HEADER)?;
        Ok(file.into())
    }

    /// Goes on where the manager before was cut off.
    ///
    /// # Errors
    /// It is no such file.
    pub(super) fn open(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let mut header = [0; 24];
        file.read_exact_at(&mut header, 0)?;
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        let start = number(0).max(HEADER);
        Ok(Self { file, start, lost: number(8), copying: number(16), punched: HEADER })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn end(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// More is missing than was dropped here.
    pub(super) fn lose(&mut self, bytes: u64) -> io::Result<()> {
        self.lost += bytes;
        self.write_header()
    }

    /// Whoever reads it has been told what is missing.
    pub(super) fn told_lost(&mut self) -> io::Result<()> {
        self.lost = 0;
        self.write_header()
    }

    fn write_header(&self) -> io::Result<()> {
        let mut header = [0; 24];
        for (at, number) in [self.start, self.lost, self.copying].into_iter().enumerate() {
            header[at * 8..at * 8 + 8].copy_from_slice(&number.to_le_bytes());
        }
        self.file.write_all_at(&header, 0)
    }

    /// Keeps at most `limit` bytes: the newest, from the beginning of a line. Returns how many bytes that cost; they
    /// count as lost where `counts`.
    pub(super) fn keep_last(&mut self, limit: u64, counts: bool) -> io::Result<u64> {
        let end = self.end()?;
        if end - self.start <= limit {
            return Ok(0);
        }
        let at = end - limit.saturating_sub(STEP);
        let mut piece = [0; LOOK];
        let read = self.file.read_at(&mut piece, at - 1)?;
        let start = (at - 1 + lines::first(&piece[..read]) as u64).min(end);
        let dropped = start - self.start;
        self.start = start;
        if counts {
            self.lost += dropped;
        }
        self.write_header()?;
        self.give_back()?;
        Ok(dropped)
    }

    fn give_back(&mut self) -> io::Result<()> {
        let upto = self.start / HEADER * HEADER;
        if upto > self.punched {
            sys::splice::punch(&self.file, self.punched, upto)?;
            self.punched = upto;
        }
        Ok(())
    }

    /// Takes into account how far a manager came that was killed while it poured into a file which has `length` bytes
    /// now.
    pub(super) fn settle(&mut self, length: u64) -> io::Result<()> {
        let Some(before) = self.copying.checked_sub(1) else { return Ok(()) };
        self.start = (self.start + length.saturating_sub(before)).min(self.end()?);
        self.copying = 0;
        self.write_header()
    }

    /// Copies everything to the end of `file`. A manager that is killed meanwhile is followed by one that knows from
    /// the file's length how far it came.
    ///
    /// # Errors
    /// The file refuses what is left.
    pub(super) fn pour_into(&mut self, file: &File) -> io::Result<()> {
        let poured = self.pour(file);
        self.copying = 0;
        self.write_header()?;
        poured
    }

    fn pour(&mut self, file: &File) -> io::Result<()> {
        let mut length = file.metadata()?.len();
        let mut piece = vec![0; LOOK];
        loop {
            self.copying = length + 1;
            self.write_header()?;
            let read = self.file.read_at(&mut piece, self.start)?;
            if read == 0 {
                return self.give_back();
            }
            let written = file.write_at(&piece[..read], length)? as u64;
            self.start += written;
            length += written;
        }
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.end().is_ok_and(|end| end == self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(content: &[u8]) -> Tail {
        let tail = Tail::open(Tail::create().unwrap()).unwrap();
        tail.file.write_all_at(content, HEADER).unwrap();
        tail
    }

    fn again(tail: &Tail) -> Tail {
        Tail::open(tail.file.try_clone().unwrap().into()).unwrap()
    }

    fn content(tail: &Tail) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(tail.end().unwrap() - tail.start).unwrap()];
        tail.file.read_exact_at(&mut bytes, tail.start).unwrap();
        bytes
    }

    fn file() -> File {
        File::from(sys::memfd::writable(c"test").unwrap())
    }

    fn bytes_of(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn the_newest_whole_lines_are_kept_and_the_rest_is_counted() {
        let lines: Vec<u8> = (0..40_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let mut tail = tail(&lines);
        let dropped = tail.keep_last(128 << 10, true).unwrap();
        let kept = content(&tail);
        assert_eq!(dropped + kept.len() as u64, lines.len() as u64);
        assert!(kept.len() <= 128 << 10 && kept.len() > 60 << 10, "{}", kept.len());
        assert!(kept.starts_with(b"line ") && lines.ends_with(&kept));
        assert_eq!((again(&tail).lost(), again(&tail).start), (dropped, tail.start));
        assert_eq!(tail.keep_last(128 << 10, true).unwrap(), 0);
    }

    #[test]
    fn what_was_refused_is_poured_once_though_the_first_was_killed_half_way() {
        let target = file();
        target.write_all_at(b"before\n", 0).unwrap();
        let mut first = tail(b"one\ntwo\nthree\n");
        first.copying = 7 + 1;
        first.write_header().unwrap();
        target.write_all_at(b"one\nt", 7).unwrap();
        let mut second = again(&first);
        second.settle(target.metadata().unwrap().len()).unwrap();
        second.pour_into(&target).unwrap();
        assert_eq!(bytes_of(&target), b"before\none\ntwo\nthree\n");
        assert!(second.is_empty() && again(&second).is_empty());
    }
}
