//! Somebody who is shown what was written.
//!
//! A place in a log is a file, known by its inode number, and an offset in it: that finds the way on through any
//! number of rotations, for this manager and for the next.

use super::lines;
use super::orders::Want;
use super::rotation;
use super::sink::Sink;
use super::tail::Tail;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The most in a piece.
const PIECE: usize = 64 << 10;
/// How far back the beginning of the last lines is looked for.
const BACK_MAX: u64 = 256 << 20;

/// A place in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Place {
    inode: u64,
    offset: u64,
}

/// One of the sinks that are shown.
#[derive(Debug)]
struct Part {
    sink: String,
    place: Option<Place>,
    file: Option<File>,
}

/// The reader.
#[derive(Debug)]
pub(super) struct Reader {
    parts: Vec<Part>,
    lines: Option<u64>,
    follow: bool,
    /// Whether it has room for a piece.
    pub(super) has_room: bool,
    /// Whether there was nothing more for it.
    pub(super) is_at_end: bool,
    begun: bool,
}

/// What it is shown next.
pub(super) enum Next {
    /// These bytes; the words name the place behind them.
    Piece(Vec<u8>, Vec<u8>),
    /// Nothing until something is written.
    Nothing,
    /// Nothing any more.
    End,
}

impl Reader {
    pub(super) fn new(want: &Want) -> Self {
        let after = want.after.as_deref().and_then(|bytes| proto::codec::decode::<Vec<Place>>(bytes).ok());
        let mut after = after.unwrap_or_default().into_iter();
        let parts =
            want.sinks.iter().map(|sink| Part { sink: sink.name.clone(), place: after.next(), file: None });
        Self {
            parts: parts.collect(),
            lines: want.lines,
            follow: want.follow,
            has_room: true,
            is_at_end: false,
            begun: false,
        }
    }

    /// Whether what is written to that sink is for it.
    pub(super) fn shows(&self, sink: &str) -> bool {
        self.parts.iter().any(|part| part.sink == sink)
    }

    /// What comes next.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn next(&mut self, sinks: &BTreeMap<String, Sink>) -> io::Result<Next> {
        for index in 0..self.parts.len() {
            let part = &mut self.parts[index];
            let Some(sink) = sinks.get(&part.sink) else { continue };
            if part.place.is_none() {
                part.place = Some(beginning(sink, self.lines)?);
            }
            let bytes = part.read(sink)?;
            if !bytes.is_empty() {
                self.begun = true;
                return Ok(Next::Piece(bytes, self.place()));
            }
        }
        if !self.follow {
            return Ok(Next::End);
        }
        // Whoever is cut off before anything is written has to know where it was.
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(Next::Piece(Vec::new(), self.place()));
        }
        Ok(Next::Nothing)
    }

    fn place(&self) -> Vec<u8> {
        let places: Vec<Place> = self.parts.iter().map(|part| part.place.unwrap_or_default()).collect();
        proto::codec::encode(&places)
    }
}

impl Part {
    fn read(&mut self, sink: &Sink) -> io::Result<Vec<u8>> {
        let place = self.place.get_or_insert_default();
        match sink.path() {
            None => {
                let Some(tail) = sink.tail() else { return Ok(Vec::new()) };
                place.offset = place.offset.max(tail.start());
                let bytes = piece(tail.file(), place.offset)?;
                place.offset += bytes.len() as u64;
                Ok(bytes)
            }
            Some((path, keep)) => self.read_file(sink, path, keep),
        }
    }

    fn read_file(&mut self, sink: &Sink, path: &Path, keep: u32) -> io::Result<Vec<u8>> {
        let place = self.place.get_or_insert_default();
        loop {
            if self.file.is_none() {
                let found = match find(path, keep, place.inode) {
                    Some(age) => open(path, age)?,
                    // It has been moved away by somebody else, or fell off the end.
                    None => open(path, 0)?,
                };
                let Some(file) = found else { return Ok(Vec::new()) };
                let inode = file.metadata()?.ino();
                if inode != place.inode {
                    *place = Place { inode, offset: 0 };
                }
                self.file = Some(file);
            }
            let Some(file) = &self.file else { return Ok(Vec::new()) };
            let length = file.metadata()?.len();
            if length < place.offset {
                // Somebody has emptied it.
                place.offset = 0;
            }
            let bytes = piece(file, place.offset)?;
            if !bytes.is_empty() {
                place.offset += bytes.len() as u64;
                return Ok(bytes);
            }
            let current = sink.identity().or_else(|| inode_of(path, 0));
            if current.is_none_or(|current| current == place.inode) {
                return Ok(Vec::new());
            }
            let age = find(path, keep, place.inode).map_or(0, |age| age.saturating_sub(1));
            let Some(inode) = inode_of(path, age).filter(|&inode| inode != place.inode) else {
                return Ok(Vec::new());
            };
            *place = Place { inode, offset: 0 };
            self.file = None;
        }
    }
}

fn inode_of(path: &Path, age: u32) -> Option<u64> {
    std::fs::metadata(rotation::name(path, age)).ok().map(|metadata| metadata.ino())
}

/// How old the file with that inode number is.
fn find(path: &Path, keep: u32, inode: u64) -> Option<u32> {
    (0..=rotation::oldest(path, keep)).find(|&age| inode_of(path, age) == Some(inode))
}

fn open(path: &Path, age: u32) -> io::Result<Option<File>> {
    match sys::fd::read_regular(&rotation::name(path, age)) {
        Ok(file) => Ok(Some(file)),
        // What is no file has not been written to.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn piece(file: &File, at: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PIECE];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Where the last lines begin.
fn beginning(sink: &Sink, lines: Option<u64>) -> io::Result<Place> {
    let mut left = lines;
    match sink.path() {
        None => {
            let Some(tail) = sink.tail() else { return Ok(Place::default()) };
            Ok(Place { inode: 0, offset: beginning_in_tail(tail, &mut left)? })
        }
        Some((path, keep)) => {
            let oldest = rotation::oldest(path, keep);
            let mut place = Place::default();
            let mut looked = 0;
            for age in 0..=oldest {
                let Some(file) = open(path, age)? else { continue };
                let metadata = file.metadata()?;
                looked += metadata.len();
                let offset = back(&file, 0, metadata.len(), &mut left)?;
                place = Place { inode: metadata.ino(), offset };
                if left == Some(0) || looked > BACK_MAX {
                    break;
                }
            }
            Ok(place)
        }
    }
}

fn beginning_in_tail(tail: &Tail, left: &mut Option<u64>) -> io::Result<u64> {
    back(tail.file(), tail.start(), tail.end()?, left)
}

/// Where the last `left` lines between two places of a file begin; those found are taken off. `None`: all.
fn back(file: &File, start: u64, end: u64, left: &mut Option<u64>) -> io::Result<u64> {
    let Some(wanted) = left else { return Ok(start) };
    let mut at = end;
    if *wanted == 0 {
        return Ok(end);
    }
    let mut bytes = vec![0; PIECE];
    // What ends the last line does not begin another.
    let mut is_last = true;
    while at > start && end - at < BACK_MAX {
        let length = usize::try_from(at - start).unwrap_or(PIECE).min(PIECE);
        at -= length as u64;
        file.read_exact_at(&mut bytes[..length], at)?;
        let mut rest = &bytes[..length];
        if std::mem::take(&mut is_last) && rest.last() == Some(&b'\n') {
            rest = &rest[..length - 1];
        }
        loop {
            let whole = lines::whole(rest);
            if whole == 0 {
                break;
            }
            *wanted -= 1;
            if *wanted == 0 {
                return Ok(at + whole as u64);
            }
            rest = &rest[..whole - 1];
        }
    }
    if end > start {
        *wanted -= 1;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = File::from(sys::memfd::writable(c"test").unwrap());
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn the_last_lines_are_found_from_behind() {
        let text = b"one\ntwo\nthree\n";
        for (wanted, offset, left) in [(0, 14, 0), (1, 8, 0), (2, 4, 0), (3, 0, 0), (4, 0, 1)] {
            let mut count = Some(wanted);
            assert_eq!(back(&file(text), 0, 14, &mut count).unwrap(), offset, "{wanted}");
            assert_eq!(count, Some(left), "{wanted}");
        }
        assert_eq!(back(&file(b"one\ntw"), 0, 6, &mut Some(1)).unwrap(), 4, "a line that has no end yet");
        assert_eq!(back(&file(text), 4, 14, &mut None).unwrap(), 4);
        let long = [b"x".repeat(PIECE + 3), b"\nlast\n".to_vec()].concat();
        assert_eq!(back(&file(&long), 0, long.len() as u64, &mut Some(1)).unwrap(), PIECE as u64 + 4);
    }
}
