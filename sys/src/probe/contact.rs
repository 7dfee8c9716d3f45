//! One connection, and one GET over it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getpeername, getsockname, recv, send, socket,
};

use super::target::Target;
use crate::ancillary::get_option;
use crate::errno::{fragment, retry, unless_blocking};
use crate::listener::Address;
use crate::reactor::Interest;

/// The most that is read of an answer while its first line is not complete.
const ANSWER_MAX: usize = 8 * 1024;

/// How far one has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More will be known when the socket, which may be another one now, is ready for this.
    Pending(Interest),
    /// It is known; an error is what was wrong.
    Done(Result<(), String>),
}

#[derive(Debug)]
enum Stage {
    Connecting,
    Sending { sent: usize },
    Receiving { answer: Vec<u8> },
}

/// A try over a socket.
#[derive(Debug)]
pub(super) struct Contact {
    target: Target,
    socket: OwnedFd,
    stage: Stage,
}

impl Contact {
    /// Begins to connect.
    ///
    /// # Errors
    /// No address of the target can even be tried; the text says why.
    pub(super) fn begin(mut target: Target) -> Result<Self, String> {
        let mut failure = "it has no address".to_owned();
        while let Some(address) = target.addresses.pop_front() {
            match begin_to_connect(&address) {
                Ok(socket) => return Ok(Self { target, socket, stage: Stage::Connecting }),
                Err(error) => failure = reason(&error),
            }
        }
        Err(failure)
    }

    /// Goes on, after the socket has become ready.
    pub(super) fn advance(&mut self) -> Progress {
        match self.step() {
            Ok(progress) => progress,
            Err(failure) => match (&self.stage, Self::begin(self.target.clone())) {
                // Nobody was there: the next address may do better.
                (Stage::Connecting, Ok(next)) => {
                    *self = next;
                    Progress::Pending(Interest::WRITE)
                }
                _ => Progress::Done(Err(failure)),
            },
        }
    }

    fn step(&mut self) -> Result<Progress, String> {
        loop {
            match &mut self.stage {
                Stage::Connecting => {
                    if !is_connected(self.socket.as_fd())? {
                        return Ok(Progress::Pending(Interest::WRITE));
                    }
                    if self.target.request.is_none() {
                        return Ok(Progress::Done(Ok(())));
                    }
                    self.stage = Stage::Sending { sent: 0 };
                }
                Stage::Sending { sent } => {
                    let request = self.target.request.as_deref().unwrap_or_default().as_bytes();
                    if *sent == request.len() {
                        self.stage = Stage::Receiving { answer: Vec::new() };
                        continue;
                    }
                    let flags = MsgFlags::MSG_NOSIGNAL;
                    let number = self.socket.as_raw_fd();
                    let more = retry(|| Ok(send(number, &request[*sent..], flags)?));
                    match unless_blocking(more).map_err(|error| reason(&error))? {
                        Some(more) => *sent += more,
                        None => return Ok(Progress::Pending(Interest::WRITE)),
                    }
                }
                Stage::Receiving { answer } => {
                    let mut buffer = [0u8; 1024];
                    let number = self.socket.as_raw_fd();
                    let more = retry(|| Ok(recv(number, &mut buffer, MsgFlags::empty())?));
                    match unless_blocking(more).map_err(|error| reason(&error))? {
                        None => return Ok(Progress::Pending(Interest::READ)),
                        Some(0) => return Err("it closed the connection without an answer".into()),
                        Some(length) => answer.extend_from_slice(&buffer[..length]),
                    }
                    if let Some(verdict) = judge(answer) {
                        return Ok(Progress::Done(verdict));
                    }
                }
            }
        }
    }
}

impl AsFd for Contact {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn begin_to_connect(address: &Address) -> io::Result<OwnedFd> {
    let (family, system) = address.to_system()?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &system) {
        Ok(()) | Err(nix::errno::Errno::EINPROGRESS | nix::errno::Errno::EINTR) => Ok(socket),
        // A Unix socket whose queue is full: whoever serves it does not come after.
        Err(nix::errno::Errno::EAGAIN) => Err(io::Error::other("its queue of connections is full")),
        Err(error) => Err(error.into()),
    }
}

/// Whether the connection is there; `false` while it is on its way.
fn is_connected(socket: BorrowedFd<'_>) -> Result<bool, String> {
    match get_option(socket, libc::SOL_SOCKET, libc::SO_ERROR) {
        Ok(0) => {}
        Ok(errno) => return Err(fragment(errno)),
        Err(error) => return Err(reason(&error)),
    }
    let number = socket.as_raw_fd();
    let Ok(peer) = getpeername::<SockaddrStorage>(number) else { return Ok(false) };
    // On a port of the range that clients get theirs from, a connection can meet itself (both ends open at
    // once): nobody serves there.
    let inet = peer.as_sockaddr_in().is_some() || peer.as_sockaddr_in6().is_some();
    if inet && getsockname::<SockaddrStorage>(number).is_ok_and(|own| own == peer) {
        return Err(fragment(libc::ECONNREFUSED));
    }
    Ok(true)
}

/// What the beginning of an answer says, once its first line is there: 200 to 399 is well.
fn judge(answer: &[u8]) -> Option<Result<(), String>> {
    let Some(end) = answer.iter().position(|&byte| byte == b'\n') else {
        return (answer.len() > ANSWER_MAX)
            .then(|| Err("its answer is no HTTP: the first line is too long".into()));
    };
    let line = String::from_utf8_lossy(&answer[..end]);
    let line = line.trim_end();
    let mut words = line.splitn(3, ' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let is_code = |code: &&str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let code = words.next().filter(is_code).and_then(|code| code.parse::<u16>().ok());
    Some(match code.filter(|_| is_http) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("it answered {code}")),
        None => Err("its answer is no HTTP".into()),
    })
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => fragment(errno),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_by_its_first_line_alone() {
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n"), Some(Ok(())));
        assert_eq!(judge(b"HTTP/1.0 302\r\nrest"), Some(Ok(())));
        assert_eq!(judge(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(Err("it answered 503".into())));
        assert_eq!(judge(b"HTTP/1.1 199 No\r\n"), Some(Err("it answered 199".into())));
        assert_eq!(judge(b"HTTP/1.1 20"), None);
        for bad in [&b"SSH-2.0-OpenSSH\r\n"[..], b"HTTP/1.1 2000 OK\r\n", b"\n", b"HTTP/1.1 +20 OK\n"] {
            assert_eq!(judge(bad), Some(Err("its answer is no HTTP".into())));
        }
        assert_eq!(judge(&[b'x'; ANSWER_MAX]), None);
        assert!(judge(&[b'x'; ANSWER_MAX + 1]).unwrap().is_err());
    }

    #[test]
    fn the_systems_words_stand_in_the_middle_of_a_sentence() {
        assert_eq!(reason(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), "connection refused");
    }
}
