//! Where lines go.

use super::lines::{self, Fit};
use super::orders::{Origin, Place, SinkSpec};
use super::rotation;
use super::tail::Tail;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;
use supervise::Monotonic;

/// How much a file may refuse before anything is dropped.
pub(super) const KEPT: u64 = 1 << 20;
/// Between two tries of a file that refuses.
const RETRY: Duration = Duration::from_secs(1);
/// How long others wait for the end of a line.
const LINE_WITHIN: Duration = Duration::from_secs(1);
/// How far back the beginning of a file's last line is looked for.
const LINE_LOOKED_FOR: u64 = 64 << 10;
/// Log files are for their owner to write and for all to read, less the umask.
const MODE: u32 = 0o644;
/// How long the time is that stands in front of a line, where one does.
const STAMP: usize = "2026-01-01T00:00:00.000Z ".len();

/// What stands first in a pipe.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) origin: Origin,
    pub(super) pipe: &'a OwnedFd,
    /// The beginning of them.
    pub(super) seen: &'a [u8],
    /// All of them: longer than what was seen where that is the beginning of one line.
    pub(super) length: usize,
    /// Whether the pipe cannot take much more.
    pub(super) is_full: bool,
}

/// A file that takes nothing.
#[derive(Debug)]
struct Refusal {
    retry_at: Monotonic,
    /// Whether it was said that lines are dropped.
    told_dropping: bool,
}

/// What can be written to, and how.
enum Target<'a> {
    File(&'a File),
    Tail(&'a mut Tail),
}

/// One place for lines.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) spec: SinkSpec,
    file: Option<File>,
    tail: Option<Tail>,
    /// Whether a memory file was asked for.
    pub(super) asked: bool,
    refusal: Option<Refusal>,
    told_rotation: bool,
    /// Whether what was written last does not end where a line does.
    in_line: bool,
    /// Which pipe wrote last, and when. It is marked, so that the next manager knows it too.
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    origin: Origin,
    end: Option<OwnedFd>,
    at: Monotonic,
}

impl Sink {
    pub(super) fn new(spec: SinkSpec) -> Self {
        Self {
            spec,
            file: None,
            tail: None,
            asked: false,
            refusal: None,
            told_rotation: false,
            in_line: false,
            last: None,
        }
    }

    /// The memory file is with arbiter, or came from there. `now`: a file that refused is tried again.
    pub(super) fn set_tail(&mut self, fd: OwnedFd, now: Monotonic) {
        match Tail::open(fd) {
            Ok(tail) => {
                if self.spec.place != Place::Memory && self.refusal.is_none() && !tail.is_empty() {
                    self.refusal = Some(Refusal { retry_at: now, told_dropping: tail.lost() > 0 });
                }
                if !tail.is_empty() {
                    self.in_line = ends_in_line(tail.file()).unwrap_or(false);
                }
                self.tail = Some(tail);
            }
            Err(error) => tracing::error!("the memory file of {} is unusable: {error}", self.spec.companion),
        }
    }

    pub(super) fn drop_tail(&mut self) {
        self.tail = None;
        self.asked = false;
    }

    pub(super) fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    /// The file, where that is the place.
    pub(super) fn path(&self) -> Option<(&Path, u32)> {
        match &self.spec.place {
            Place::File { path, keep, .. } => Some((path, *keep)),
            Place::Memory => None,
        }
    }

    /// The pipe that wrote last before the manager was replaced: it goes on within its line.
    pub(super) fn set_last(&mut self, origin: Origin, end: &OwnedFd, now: Monotonic) {
        self.last = Some(Last { origin, end: end.try_clone().ok(), at: now });
    }

    /// A pipe has ended, or goes elsewhere: if it ends within a line, that is the line's end.
    pub(super) fn forget(&mut self, origin: Origin) {
        if let Some(last) = self.last.take_if(|last| last.origin == origin) {
            last.set_mark(false);
        }
    }

    /// Before anything of these lines is written.
    fn claim(&mut self, lines: &Lines<'_>, now: Monotonic) {
        match &mut self.last {
            Some(last) if last.origin == lines.origin => last.at = now,
            last => {
                if let Some(last) = last {
                    last.set_mark(false);
                }
                self.set_last(lines.origin, lines.pipe, now);
                if let Some(last) = &self.last {
                    last.set_mark(true);
                }
            }
        }
    }

    /// Whether what was written last is the beginning of a line of somebody else.
    fn is_within_other(&self, origin: Origin) -> bool {
        self.in_line && self.last.as_ref().is_none_or(|last| last.origin != origin)
    }

    /// The file is opened anew at the next line: somebody has moved it, or wants it to be where it was.
    pub(super) fn reopen(&mut self, now: Monotonic) {
        self.file = None;
        if let Some(refusal) = &mut self.refusal {
            refusal.retry_at = now;
        }
    }

    /// Whether lines of `lines.origin` may follow what was written last; they wait for the end of another's line,
    /// though not for long.
    fn may_follow(&self, lines: &Lines<'_>, now: Monotonic) -> bool {
        let other = self.last.as_ref().filter(|last| self.in_line && last.origin != lines.origin);
        other.is_none_or(|last| lines.is_full || now.since(last.at) >= LINE_WITHIN)
    }

    /// Takes lines out of a pipe; how many bytes. `None`: not now.
    pub(super) fn take(&mut self, lines: &Lines<'_>, limit: u64, now: Monotonic) -> Option<usize> {
        if self.spec.place == Place::Memory || self.refusal.is_some() {
            self.take_into_tail(lines, limit, now)
        } else {
            match self.take_into_file(lines, now) {
                Ok(moved) => moved,
                Err(error) => {
                    self.refuse(&error, now);
                    self.take_into_tail(lines, limit, now)
                }
            }
        }
    }

    fn take_into_tail(&mut self, lines: &Lines<'_>, limit: u64, now: Monotonic) -> Option<usize> {
        if self.tail.is_none() || !self.may_follow(lines, now) {
            return None;
        }
        let counts = self.spec.place != Place::Memory;
        let ends_other = self.is_within_other(lines.origin);
        self.claim(lines, now);
        let tail = self.tail.as_mut()?;
        let done = tail.end().and_then(|end| {
            put(
                &Target::Tail(tail),
                end,
                lines,
                lines.length,
                (ends_other, self.in_line),
                self.spec.timestamps,
            )
        });
        match done.and_then(|(moved, in_line)| Ok((moved, in_line, tail.keep_last(limit, counts)?))) {
            Ok((moved, in_line, dropped)) => {
                self.in_line = in_line;
                if let Some(refusal) =
                    self.refusal.as_mut().filter(|refusal| dropped > 0 && !refusal.told_dropping)
                {
                    refusal.told_dropping = true;
                    let name = &self.spec.companion;
                    tracing::error!("{name}: its log file refuses too much: output is dropped from now on");
                }
                Some(moved)
            }
            Err(error) => {
                tracing::error!("{}: its output cannot be kept in memory: {error}", self.spec.companion);
                self.tail = None;
                None
            }
        }
    }

    fn take_into_file(&mut self, lines: &Lines<'_>, now: Monotonic) -> io::Result<Option<usize>> {
        let Place::File { max_size, keep, .. } = self.spec.place else { return Ok(None) };
        for _ in 0..2 {
            self.open()?;
            if !self.may_follow(lines, now) {
                return Ok(None);
            }
            let ends_other = self.is_within_other(lines.origin);
            self.claim(lines, now);
            let size =
                self.file.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
            let length = match self.fit(lines, ends_other, size + u64::from(ends_other), max_size) {
                Fit::Write(length) => length,
                Fit::Rotate if self.rotate(keep) => continue,
                Fit::Rotate => lines.length,
            };
            let Some(file) = &self.file else { return Ok(None) };
            let ends = (ends_other, self.in_line);
            let (moved, in_line) = put(&Target::File(file), size, lines, length, ends, self.spec.timestamps)?;
            self.in_line = in_line;
            return Ok(Some(moved));
        }
        Ok(None)
    }

    fn fit(&self, lines: &Lines<'_>, ends_other: bool, size: u64, max_size: u64) -> Fit {
        let in_line = self.in_line && !ends_other;
        let stamp = if self.spec.timestamps { STAMP } else { 0 };
        if lines.length <= lines.seen.len() && lines.seen.last() == Some(&b'\n') {
            return lines::fit(lines.seen, in_line, size, max_size, stamp);
        }
        // One line, or the beginning of one.
        let is_over = max_size > 0 && size + (stamp + lines.length) as u64 > max_size;
        if is_over && size > 0 && !in_line { Fit::Rotate } else { Fit::Write(lines.length) }
    }

    fn open(&mut self) -> io::Result<()> {
        let Place::File { path, .. } = &self.spec.place else { return Ok(()) };
        if self.file.is_none() {
            let file = sys::fd::open_regular(path, MODE)?;
            self.in_line = ends_in_line(&file)?;
            self.file = Some(file);
        }
        Ok(())
    }

    /// Whether there is another file now. Where that fails the one there is grows on.
    fn rotate(&mut self, keep: u32) -> bool {
        let Place::File { path, .. } = &self.spec.place else { return false };
        match rotation::rotate(path, keep) {
            Ok(()) => {
                sys::fail_point::reach("capture-renamed");
                self.file = None;
                self.in_line = false;
                self.told_rotation = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told_rotation, true) {
                    tracing::error!("{}: {} cannot be rotated: {error}", self.spec.companion, path.display());
                }
                false
            }
        }
    }

    fn refuse(&mut self, error: &io::Error, now: Monotonic) {
        let Place::File { path, .. } = &self.spec.place else { return };
        let (name, path) = (&self.spec.companion, path.display());
        tracing::error!(
            "{name}: cannot write its output to {path}: {error}; it is kept in memory until that works"
        );
        self.refusal = Some(Refusal { retry_at: now + RETRY, told_dropping: false });
    }

    /// When a file that refused is tried again.
    pub(super) fn next_try(&self) -> Option<Monotonic> {
        self.refusal.as_ref().filter(|_| self.tail.is_some()).map(|refusal| refusal.retry_at)
    }

    /// Whether it waits for a memory file.
    pub(super) fn wants_tail(&self) -> bool {
        self.tail.is_none() && !self.asked && (self.refusal.is_some() || self.spec.place == Place::Memory)
    }

    /// Tries a file again that refused. Whether it takes lines, and has those that were kept.
    pub(super) fn retry(&mut self, now: Monotonic) -> bool {
        match self.try_again() {
            Ok(()) => {
                self.refusal = None;
                tracing::info!("{}: its log file can be written to again", self.spec.companion);
                true
            }
            Err(_) => {
                if let Some(refusal) = &mut self.refusal {
                    refusal.retry_at = now + RETRY;
                }
                false
            }
        }
    }

    fn try_again(&mut self) -> io::Result<()> {
        let Place::File { path, .. } = &self.spec.place else { return Ok(()) };
        let file = match self.file.take() {
            Some(file) => file,
            None => sys::fd::open_regular(path, MODE)?,
        };
        if let Some(tail) = &mut self.tail {
            let mut length = file.metadata()?.len();
            tail.settle(length)?;
            if tail.lost() > 0 {
                // The rest of a line that the file took half of is among what was dropped.
                let whole = whole_lines(&file, length)?;
                tail.lose(length - whole)?;
                file.set_len(whole)?;
                length = whole;
                let begun = if ends_in_line(&file)? { "\n" } else { "" };
                let lost = tail.lost();
                let mark = format!(
                    "{begun}[arbiter: {lost} bytes of output were dropped here: the file could not be written to]\n"
                );
                write_whole(&file, length, mark.as_bytes())?;
                tail.told_lost()?;
            }
            let poured = tail.pour_into(&file);
            self.file = Some(file);
            return poured;
        }
        self.file = Some(file);
        Ok(())
    }

    /// The file as it is to be read: opened by now or not.
    pub(super) fn identity(&self) -> Option<u64> {
        self.file.as_ref().and_then(|file| sys::fd::identity(file).ok()).map(|id| id.inode)
    }
}

impl Last {
    fn set_mark(&self, marked: bool) {
        let Some(end) = &self.end else { return };
        if let Err(error) = sys::splice::set_mark(end, marked) {
            tracing::debug!("a pipe cannot be marked: {error}");
        }
    }
}

/// Writes all of it or nothing.
fn write_whole(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, at).inspect_err(|_| {
        // A torn line would be worse than a missing one.
        let _ = file.set_len(at);
    })
}

/// Puts `length` bytes of lines behind what is there (`end` bytes): how many were moved, and whether they end within
/// a line. `ends_other`: what is there ends within another's line, which is ended first.
fn put(
    target: &Target<'_>,
    end: u64,
    lines: &Lines<'_>,
    length: usize,
    (ends_other, in_line): (bool, bool),
    stamps: bool,
) -> io::Result<(usize, bool)> {
    let file = match target {
        Target::File(file) => *file,
        Target::Tail(tail) => tail.file(),
    };
    let mut end = end;
    if ends_other {
        write_whole(file, end, b"\n")?;
        end += 1;
    }
    if stamps {
        return put_stamped(file, end, lines, length, in_line && !ends_other);
    }
    sys::fail_point::reach("capture-before-splice");
    let moved = sys::splice::to_file(lines.pipe, file, end, length)?;
    sys::fail_point::reach("capture-after-splice");
    let last = match lines.seen.get(moved.wrapping_sub(1)) {
        Some(&byte) => byte != b'\n',
        None => ends_in_line(file)?,
    };
    Ok((moved, last))
}

/// One line at a time: it is written first and taken out of the pipe then. A manager that is killed between the two is
/// followed by one that writes it again.
fn put_stamped(
    file: &File,
    end: u64,
    lines: &Lines<'_>,
    length: usize,
    mut in_line: bool,
) -> io::Result<(usize, bool)> {
    let null = sys::fd::null()?;
    let time = sys::clock::rfc3339(sys::clock::wall());
    let (mut end, mut moved, mut text) = (end, 0, Vec::new());
    let seen = &lines.seen[..length.min(lines.seen.len())];
    while moved < seen.len() {
        let line = &seen[moved..moved + lines::first(&seen[moved..])];
        text.clear();
        if !in_line {
            text.extend_from_slice(time.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(line);
        match write_whole(file, end, &text) {
            Ok(()) => {}
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
        end += text.len() as u64;
        let mut left = line.len();
        while left > 0 {
            left -= sys::splice::discard(lines.pipe, &null, left)?;
        }
        moved += line.len();
        in_line = line.last() != Some(&b'\n');
    }
    Ok((moved, in_line))
}

/// How much of a file's `length` bytes is whole lines; all of it where the last one is too long to look for its
/// beginning.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    let from = length.saturating_sub(LINE_LOOKED_FOR);
    let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut end, from)?;
    match lines::whole(&end) {
        0 if from > 0 => Ok(length),
        whole => Ok(from + whole as u64),
    }
}

/// Whether the last byte is none that ends a line.
fn ends_in_line(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last[0] != b'\n')
}
