//! One connection to the control socket: hello, requests out, replies in, each with a deadline.

use proto::codec;
use proto::control::{Reply, Request, Response};
use proto::frame::{FrameReader, MAX_ANSWER, MAX_HELLO, frame};
use proto::hello::{Hello, HelloError};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The longest answer put together from parts. A status of thousands of processes stays far below.
const MAX_ASSEMBLED: usize = 256 << 20;

/// The moment at which to give up; `None`: never.
pub(crate) type Deadline = Option<Instant>;

/// Why a connection is of no more use.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no socket, or nobody listens on it.
    NothingListens(io::Error),
    /// The caller may not open the socket.
    NotPermitted,
    /// The other side speaks something else.
    Hello(HelloError),
    /// The other side breaks the protocol.
    Malformed(String),
    /// The other side has closed the connection, or died.
    Lost,
    /// The deadline is over.
    Late,
    /// The system refused something else.
    System(io::Error),
}

/// An open connection whose hellos have been exchanged.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    frames: FrameReader,
    parts: Vec<u8>,
    next_part: u32,
}

impl Connection {
    /// Connects and exchanges hellos.
    ///
    /// # Errors
    ///
    /// When nobody listens, may be spoken to, or speaks this protocol in time.
    pub(crate) fn open(path: &Path, deadline: Deadline) -> Result<Self, Trouble> {
        let stream = connect(path, deadline)?;
        let mut connection = Self { stream, frames: FrameReader::default(), parts: Vec::new(), next_part: 0 };
        // A hello that cannot be sent does not mean that there is none to read.
        let sent = connection.write(&Hello::ours().encode(), deadline);
        let theirs = match connection.next_frame(MAX_HELLO, deadline) {
            Err(Trouble::Lost) => return Err(sent.err().unwrap_or(Trouble::Lost)),
            // What cannot be cut into frames is no hello either.
            Err(Trouble::Malformed(_)) => return Err(Trouble::Hello(HelloError::NotArbiter)),
            other => other?,
        };
        Hello::decode(&theirs).and_then(|hello| hello.agree()).map_err(Trouble::Hello)?;
        Ok(connection)
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// [`Trouble::Lost`] says that it was not sent whole, so that nothing can have come of it.
    pub(crate) fn send(&mut self, request: &Request, deadline: Deadline) -> Result<(), Trouble> {
        self.write(&codec::encode(request), deadline)
    }

    /// The next reply to the request `id` or to the connection as a whole.
    ///
    /// # Errors
    ///
    /// When there is none in time or it cannot be understood.
    pub(crate) fn next_reply(&mut self, id: u64, deadline: Deadline) -> Result<Reply, Trouble> {
        loop {
            let payload = self.next_frame(MAX_ANSWER, deadline)?;
            let mut response = decode(&payload)?;
            if response.id != id && response.id != 0 {
                continue;
            }
            if let Reply::Part { number, last, bytes } = response.reply {
                match self.assemble(number, last, &bytes)? {
                    Some(whole) => response = decode(&whole)?,
                    None => continue,
                }
                if matches!(response.reply, Reply::Part { .. }) {
                    return Err(Trouble::Malformed("a part within parts".into()));
                }
            }
            return Ok(response.reply);
        }
    }

    fn assemble(&mut self, number: u32, last: bool, bytes: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        if number != self.next_part {
            let expected = self.next_part;
            return Err(Trouble::Malformed(format!("part {number} of an answer where {expected} was due")));
        }
        if self.parts.len() + bytes.len() > MAX_ASSEMBLED {
            return Err(Trouble::Malformed(format!("an answer of more than {MAX_ASSEMBLED} bytes")));
        }
        self.parts.extend_from_slice(bytes);
        self.next_part += 1;
        if !last {
            return Ok(None);
        }
        self.next_part = 0;
        Ok(Some(std::mem::take(&mut self.parts)))
    }

    fn write(&mut self, payload: &[u8], deadline: Deadline) -> Result<(), Trouble> {
        self.stream.set_write_timeout(left(deadline)?).map_err(Trouble::System)?;
        self.stream.write_all(&frame(payload)).map_err(trouble)
    }

    fn next_frame(&mut self, limit: usize, deadline: Deadline) -> Result<Vec<u8>, Trouble> {
        let mut bytes = [0; 16 * 1024];
        loop {
            let frame =
                self.frames.next_frame(limit).map_err(|error| Trouble::Malformed(error.to_string()))?;
            if let Some(payload) = frame {
                return Ok(payload);
            }
            self.stream.set_read_timeout(left(deadline)?).map_err(Trouble::System)?;
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(Trouble::Lost),
                Ok(length) => self.frames.push(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(trouble(error)),
            }
        }
    }
}

fn decode(payload: &[u8]) -> Result<Response, Trouble> {
    codec::decode_bulk(payload).map_err(|error| Trouble::Malformed(error.to_string()))
}

/// The time left, as the socket's timeouts want it: never zero, which would mean for ever.
fn left(deadline: Deadline) -> Result<Option<Duration>, Trouble> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Trouble::Late) } else { Ok(Some(left)) }
}

fn trouble(error: io::Error) -> Trouble {
    match error.kind() {
        // What a socket's timeout is called depends on the system.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Trouble::Late,
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            Trouble::Lost
        }
        _ => Trouble::System(error),
    }
}

/// connect(2) on a Unix socket waits while the listener's queue is full, and the standard library knows no
/// timeout for it: where there is a deadline, a thread waits in our place.
fn connect(path: &Path, deadline: Deadline) -> Result<UnixStream, Trouble> {
    let result = match left(deadline)? {
        None => UnixStream::connect(path),
        Some(left) => {
            let (sender, receiver) = mpsc::channel();
            let path = path.to_owned();
            std::thread::spawn(move || {
                // Nobody receives it any more after the deadline.
                let _ = sender.send(UnixStream::connect(path));
            });
            receiver.recv_timeout(left).map_err(|_| Trouble::Late)?
        }
    };
    result.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
            Trouble::NothingListens(error)
        }
        io::ErrorKind::PermissionDenied => Trouble::NotPermitted,
        // What the standard library says of a path that does not fit into a socket's address (unix(7)).
        io::ErrorKind::InvalidInput => Trouble::System(io::Error::other(
            "paths of sockets have at most 107 bytes, go to its directory and name it by a shorter one",
        )),
        _ => Trouble::System(error),
    })
}
