//! What is on its way into one standard input or stream: a bounded queue, as a pure machine.
//!
//! Requests are written whole and in order, and each is answered when the pipe has all of it. A process that does
//! not read makes them wait for [`PATIENCE`]; then all of them fail, and what was begun stays cut off.

use std::collections::VecDeque;
use std::time::Duration;
use supervise::Monotonic;

/// How long nothing may be read of what waits.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes that wait for one process.
pub const MOST: usize = 1 << 20;

/// One request; `T` is who is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending<T> {
    /// Who asked.
    pub to: T,
    /// What is to be written.
    pub data: Vec<u8>,
    /// Whether nothing is to come after it.
    pub eof: bool,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a, T> {
    /// Nothing.
    Rest,
    /// Write some of these bytes; answer with [`Backlog::wrote`].
    Write(&'a [u8]),
    /// All of this was written.
    Done(Sending<T>),
}

/// The queue.
#[derive(Debug)]
pub struct Backlog<T> {
    queue: VecDeque<Sending<T>>,
    /// How much of the first is written.
    written: usize,
    /// How many bytes wait.
    bytes: usize,
    /// When something was read last, while anything waits.
    moved: Monotonic,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), written: 0, bytes: 0, moved: Monotonic::from_boot(Duration::ZERO) }
    }
}

impl<T> Backlog<T> {
    /// Takes a request in.
    ///
    /// # Errors
    /// There is no room: the request comes back.
    pub fn push(&mut self, sending: Sending<T>, now: Monotonic) -> Result<(), Sending<T>> {
        if self.bytes > 0 && self.bytes + sending.data.len() > MOST {
            return Err(sending);
        }
        if self.queue.is_empty() {
            self.moved = now;
        }
        self.bytes += sending.data.len();
        self.queue.push_back(sending);
        Ok(())
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Next<'_, T> {
        match self.queue.front() {
            None => Next::Rest,
            Some(first) if self.written < first.data.len() => {
                Next::Write(&self.queue[0].data[self.written..])
            }
            Some(_) => {
                self.written = 0;
                self.queue.pop_front().map_or(Next::Rest, Next::Done)
            }
        }
    }

    /// So many bytes of those of [`Next::Write`] are in the pipe.
    pub fn wrote(&mut self, count: usize, now: Monotonic) {
        self.written += count;
        self.bytes -= count;
        self.moved = now;
    }

    /// When the patience ends.
    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        (!self.queue.is_empty()).then(|| self.moved + PATIENCE)
    }

    /// Gives everything up that waits, each with how many of its bytes were written.
    pub fn give_up(&mut self) -> Vec<(Sending<T>, usize)> {
        let written = std::iter::once(std::mem::take(&mut self.written)).chain(std::iter::repeat(0));
        self.bytes = 0;
        std::mem::take(&mut self.queue).into_iter().zip(written).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    fn text(to: u32, data: &str) -> Sending<u32> {
        Sending { to, data: data.into(), eof: false }
    }

    #[test]
    fn requests_are_written_whole_and_in_order_and_each_is_answered_when_it_is_written() {
        let mut backlog = Backlog::default();
        backlog.push(text(1, "abc"), at(1)).unwrap();
        backlog.push(text(2, "d"), at(1)).unwrap();
        assert_eq!(backlog.poll(), Next::Write(b"abc"));
        backlog.wrote(2, at(2));
        assert_eq!(backlog.poll(), Next::Write(b"c"));
        backlog.wrote(1, at(3));
        assert_eq!(backlog.poll(), Next::Done(text(1, "abc")));
        assert_eq!(backlog.poll(), Next::Write(b"d"));
        backlog.wrote(1, at(3));
        assert_eq!(backlog.poll(), Next::Done(text(2, "d")));
        assert_eq!(backlog.poll(), Next::Rest);
        assert_eq!(backlog.deadline(), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut backlog = Backlog::default();
        let long = "x".repeat(MOST);
        backlog.push(text(1, &long), at(1)).unwrap();
        assert_eq!(backlog.push(text(2, "y"), at(1)).unwrap_err().to, 2);
        assert!(backlog.push(Sending { to: 3, data: Vec::new(), eof: true }, at(1)).is_ok());
        backlog.wrote(1, at(2));
        assert!(backlog.push(text(4, "y"), at(2)).is_ok());
    }

    #[test]
    fn patience_counts_from_the_last_byte_that_was_read() {
        let mut backlog = Backlog::default();
        backlog.push(text(1, "abc"), at(100)).unwrap();
        backlog.push(text(2, "d"), at(105)).unwrap();
        assert_eq!(backlog.deadline(), Some(at(100) + PATIENCE));
        backlog.wrote(1, at(107));
        assert_eq!(backlog.deadline(), Some(at(107) + PATIENCE));
        let given_up: Vec<_> = backlog.give_up().into_iter().map(|(it, written)| (it.to, written)).collect();
        assert_eq!(given_up, [(1, 1), (2, 0)]);
        backlog.push(text(3, "e"), at(200)).unwrap();
        assert_eq!(backlog.poll(), Next::Write(b"e"));
    }
}
