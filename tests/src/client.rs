//! A client of the control protocol that does as it likes with the bytes.

use proto::codec;
use proto::control::{Reply, Request, Response, Verb};
use proto::frame::{FrameReader, MAX_ANSWER, frame};
use proto::hello::Hello;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A connection to a control socket.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    frames: FrameReader,
    buffer: Vec<u8>,
}

impl Peer {
    /// Connects and says nothing.
    ///
    /// # Panics
    /// Nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn silent(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("somebody listens on the control socket");
        stream.set_read_timeout(Some(ANSWER)).expect("a timeout can be set");
        stream.set_write_timeout(Some(ANSWER)).expect("a timeout can be set");
        Self { stream, frames: FrameReader::default(), buffer: vec![0; 65536] }
    }

    /// Connects and exchanges hellos.
    ///
    /// # Panics
    /// Nobody listens there, or it is no manager.
    #[must_use]
    #[track_caller]
    pub fn connect(socket: &Path) -> Self {
        let mut peer = Self::silent(socket);
        peer.send(&frame(&Hello::ours().encode()));
        let hello = peer.next_frame().expect("a hello comes");
        Hello::decode(&hello).expect("it is one");
        peer
    }

    /// Sends bytes as they are. That the other side has hung up is no error.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a request without waiting for its answer.
    pub fn request(&mut self, id: u64, verb: Verb) {
        let request = Request { id, token: [0; 16], wait: true, verb };
        self.send(&frame(&codec::encode(&request)));
    }

    /// Asks and returns the answer; how far it is meanwhile is passed over.
    ///
    /// # Panics
    /// None comes.
    #[track_caller]
    pub fn ask(&mut self, verb: Verb) -> Reply {
        self.request(1, verb);
        loop {
            let payload = self.next_frame().expect("an answer comes");
            let reply = codec::decode::<Response>(&payload).expect("it is an answer").reply;
            if !matches!(reply, Reply::Progress(_)) {
                return reply;
            }
        }
    }

    /// The next frame's payload.
    ///
    /// # Errors
    /// The connection was closed (end of file), or nothing came in time.
    pub fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let frame =
                self.frames.next_frame(MAX_ANSWER).map_err(|error| io::Error::other(error.to_string()))?;
            if let Some(payload) = frame {
                return Ok(payload);
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.frames.push(&self.buffer[..length]),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the other side closes the connection; what it said until then.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn until_closed(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            match self.next_frame() {
                Ok(payload) => frames.push(payload),
                Err(error) => {
                    let closed = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
                    assert!(closed.contains(&error.kind()), "the connection is not closed: {error}");
                    return frames;
                }
            }
        }
    }
}
