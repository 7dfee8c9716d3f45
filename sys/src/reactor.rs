//! A level-triggered epoll set: what the loops wait on.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// What the owner of a registration recognises it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Which readiness is asked for. Hang-up and error are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest(EpollFlags);

impl Interest {
    pub const READ: Self = Self(EpollFlags::EPOLLIN);
    pub const WRITE: Self = Self(EpollFlags::EPOLLOUT);
    /// Told once for each write of the other side, also while bytes lie unread: for a reader that leaves some.
    pub const READ_ONCE: Self = Self(EpollFlags::EPOLLIN.union(EpollFlags::EPOLLET));
    pub const BOTH: Self = Self(Self::READ.0.union(Self::WRITE.0));
    /// Nothing but hang-up and error: a descriptor that is kept registered while its input is not wanted.
    pub const NONE: Self = Self(EpollFlags::empty());
}

/// One descriptor's readiness. A hang-up or an error counts as readable too, since only a read tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub token: Token,
    pub readable: bool,
    pub writable: bool,
    /// The other side has closed wholly, or the descriptor is in error. (One that has only ended its own
    /// sending is readable, and the read finds the end.)
    pub hangup: bool,
}

/// How many events one wait takes in; more wait their turn in the kernel, in fair rotation.
const BATCH: usize = 256;

/// An epoll set and the events of its last wait.
pub struct Reactor {
    epoll: Epoll,
    buffer: Vec<EpollEvent>,
    ready: usize,
}

impl Reactor {
    /// # Errors
    /// The process or the machine has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, buffer: vec![EpollEvent::empty(); BATCH], ready: 0 })
    }

    /// # Errors
    /// The descriptor is registered already or cannot be polled (a regular file).
    pub fn register(&self, fd: &impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(interest.0, token.0))?)
    }

    /// # Errors
    /// The descriptor is not registered.
    pub fn modify(&self, fd: &impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(interest.0, token.0))?)
    }

    /// To be called before the descriptor is closed: a duplicate held by a child would keep it registered.
    ///
    /// # Errors
    /// The descriptor is not registered.
    pub fn deregister(&self, fd: &impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits until something is ready or the time is over (`None`: without end). The timeout is rounded up to
    /// a millisecond, so that a deadline is never found "not yet due" in a busy circle. A signal ends the wait
    /// with no events.
    ///
    /// # Errors
    /// Only for programming errors; a caller may treat it as fatal.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.ready = 0;
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            Some(duration) => EpollTimeout::try_from(round_up(duration)).unwrap_or(EpollTimeout::MAX),
        };
        match self.epoll.wait(&mut self.buffer, timeout) {
            Ok(count) => self.ready = count,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The events of the last wait.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.buffer[..self.ready].iter().map(|event| {
            let flags = event.events();
            let hangup = flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
            Event {
                token: Token(event.data()),
                readable: hangup || flags.contains(EpollFlags::EPOLLIN),
                writable: flags.contains(EpollFlags::EPOLLOUT),
                hangup,
            }
        })
    }
}

/// Whole milliseconds, never fewer than asked; the longest wait epoll knows is 24 days.
fn round_up(duration: Duration) -> i32 {
    i32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn collect(reactor: &mut Reactor) -> Vec<Event> {
        reactor.wait(Some(Duration::ZERO)).unwrap();
        reactor.events().collect()
    }

    #[test]
    fn readiness_is_reported_until_the_bytes_are_taken() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.register(&near, Token(7), Interest::READ).unwrap();
        assert_eq!(collect(&mut reactor), []);
        far.write_all(b"x").unwrap();
        let expected = Event { token: Token(7), readable: true, writable: false, hangup: false };
        assert_eq!(collect(&mut reactor), [expected]);
        assert_eq!(collect(&mut reactor), [expected]);
        near.read_exact(&mut [0]).unwrap();
        assert_eq!(collect(&mut reactor), []);
        reactor.modify(&near, Token(8), Interest::BOTH).unwrap();
        assert!(collect(&mut reactor)[0].writable);
        reactor.deregister(&near).unwrap();
        assert_eq!(collect(&mut reactor), []);
    }

    #[test]
    fn a_hang_up_counts_as_readable() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.register(&near, Token(1), Interest::NONE).unwrap();
        drop(far);
        let event = collect(&mut reactor)[0];
        assert!(event.readable && event.hangup);
    }

    #[test]
    fn a_peer_that_only_ended_its_sending_has_not_hung_up() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.register(&near, Token(1), Interest::READ).unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let event = collect(&mut reactor)[0];
        assert!(event.readable && !event.hangup);
    }

    #[test]
    fn a_timeout_is_rounded_up_and_never_overflows() {
        assert_eq!(round_up(Duration::from_nanos(1)), 1);
        assert_eq!(round_up(Duration::from_micros(1001)), 2);
        assert_eq!(round_up(Duration::from_millis(5)), 5);
        assert_eq!(round_up(Duration::MAX), i32::MAX);
    }

    #[test]
    fn a_wait_lasts_at_least_as_long_as_asked() {
        let mut reactor = Reactor::new().unwrap();
        let before = crate::clock::monotonic();
        reactor.wait(Some(Duration::from_micros(1500))).unwrap();
        assert!(crate::clock::monotonic() - before >= Duration::from_micros(1500));
    }
}
