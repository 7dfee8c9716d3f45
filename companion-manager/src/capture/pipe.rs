//! One pipe, and how it is emptied.

use super::lines;
use super::orders::Origin;
use super::sink::{Lines, Sink};
use std::io;
use std::os::fd::OwnedFd;
use supervise::Monotonic;
use sys::splice::{self, Glass, Look};

/// How much of one pipe is moved before others have their turn.
const TURN: usize = 1 << 20;

/// The read end of a pipe into which processes write.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) origin: Origin,
    pub(super) end: OwnedFd,
    /// The name of the sink.
    pub(super) sink: String,
    capacity: usize,
    grown: bool,
    /// Whether nobody may be there to move the end of a line when it comes.
    pub(super) is_last_call: bool,
}

/// What emptying one came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// There is nothing now, or less than a line.
    Idle,
    /// There is more.
    More,
    /// The sink does not take it now.
    Waits,
    /// Nobody writes any more, and all is out.
    Ended,
}

impl Pipe {
    pub(super) fn new(origin: Origin, end: OwnedFd, sink: String) -> Self {
        let capacity = splice::capacity(&end).unwrap_or(0);
        Self { origin, end, sink, capacity, grown: false, is_last_call: false }
    }

    fn grow(&mut self) {
        if !std::mem::replace(&mut self.grown, true) {
            splice::grow(&self.end);
            self.capacity = splice::capacity(&self.end).unwrap_or(self.capacity);
        }
    }

    /// Moves what there is. `marked`: the pipe that wrote last to the sink.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub(super) fn pump(
        &mut self,
        sink: &mut Sink,
        limit: u64,
        glass: &mut Glass,
        buffer: &mut [u8],
        now: Monotonic,
    ) -> io::Result<(Pumped, usize)> {
        let mut total = 0;
        while total < TURN {
            let seen = match glass.look(&self.end, buffer)? {
                Look::Bytes(seen) => seen,
                Look::Empty => return Ok((Pumped::Idle, total)),
                Look::Ended => return Ok((Pumped::Ended, total)),
            };
            if seen * 2 >= self.capacity {
                self.grow();
            }
            // A pipe holds half of what it could at least, whatever the size of the writes, when it is full.
            let is_full = self.is_last_call || seen == buffer.len() || seen * 2 >= self.capacity;
            let length = match lines::whole(&buffer[..seen]) {
                0 => match self.long_line(glass, buffer, seen)? {
                    Some(length) => length,
                    None => return Ok((Pumped::Idle, total)),
                },
                length => length,
            };
            let lines = Lines {
                origin: self.origin,
                pipe: &self.end,
                seen: &buffer[..seen.min(length)],
                length,
                is_full,
            };
            match sink.take(&lines, limit, now) {
                Some(moved) => total += moved,
                None => return Ok((Pumped::Waits, total)),
            }
        }
        Ok((Pumped::More, total))
    }

    /// How much of a line is moved whose end has not been seen. `None`: its end is waited for.
    fn long_line(&mut self, glass: &mut Glass, buffer: &mut [u8], seen: usize) -> io::Result<Option<usize>> {
        if self.is_last_call || splice::is_abandoned(&self.end)? {
            return Ok(Some(seen));
        }
        let held = splice::held(&self.end)?;
        if held > seen {
            let found = glass.find(&self.end, b'\n', buffer)?;
            // The buffer holds its beginning again.
            glass.look(&self.end, &mut buffer[..seen])?;
            if let Some(at) = found {
                return Ok(Some(at + 1));
            }
        }
        if held * 2 >= self.capacity {
            self.grow();
        }
        Ok((held * 2 >= self.capacity).then_some(seen))
    }
}
