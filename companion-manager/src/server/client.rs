//! One client.

use proto::codec;
use proto::control::{Failure, FailureKind, Reply, Request, Response};
use proto::frame::{FrameReader, MAX_ANSWER, MAX_HELLO, MAX_REQUEST, frame};
use proto::hello::Hello;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use supervise::Monotonic;
use sys::reactor::Interest;

/// How long a client may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How long a request may take to arrive once it has begun.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// How long a client that was told to go may take to read that.
const GO_WITHIN: Duration = Duration::from_secs(2);
/// The most requests of one client under way; further ones wait in its socket.
const UNDER_WAY_MAX: usize = 64;
/// With this many bytes of answers untaken, no further request is taken in.
const UNTAKEN_MAX: usize = 2 << 20;
/// The most bytes read from one client in a turn.
const READ_MAX: usize = 64 * 1024;
/// Room for what surrounds a part's bytes.
const PART_ROOM: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its hello is awaited.
    Greeting,
    /// It asks.
    Asking,
    /// It was told to go: nothing it says counts any more.
    Going,
}

/// What a client's bytes amount to.
#[derive(Debug)]
pub(super) enum Said {
    /// A request.
    Request(Request),
    /// Nothing whole, or nothing more that is taken in now.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    stage: Stage,
    reader: FrameReader,
    /// When the first byte of the unfinished frame came.
    since: Monotonic,
    out: VecDeque<Vec<u8>>,
    out_start: usize,
    out_bytes: usize,
    /// The requests that have not had their last word.
    under_way: Vec<u64>,
    /// When it was first seen to want nothing.
    idle_since: Option<Monotonic>,
    /// What the loop was last asked to tell of it.
    interest: Interest,
}

impl Client {
    /// A client that has just connected, and is to be registered for reading; our hello is on its way.
    pub(super) fn new(stream: UnixStream, now: Monotonic) -> Self {
        let mut client = Self {
            stream,
            stage: Stage::Greeting,
            reader: FrameReader::default(),
            since: now,
            out: VecDeque::new(),
            out_start: 0,
            out_bytes: 0,
            under_way: Vec::new(),
            idle_since: None,
            interest: Interest::READ,
        };
        client.push(frame(&Hello::ours().encode()));
        client
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Takes in what has arrived. `false`: the client has gone.
    pub(super) fn read(&mut self, now: Monotonic, buffer: &mut [u8]) -> bool {
        let limit = buffer.len().min(READ_MAX);
        match (&self.stream).read(&mut buffer[..limit]) {
            Ok(0) => false,
            Ok(length) => {
                if self.stage != Stage::Going {
                    if self.stage == Stage::Asking && self.reader.pending() == 0 {
                        self.since = now;
                    }
                    self.reader.push(&buffer[..length]);
                }
                true
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// The next request, if one is whole and may be begun.
    pub(super) fn next_request(&mut self, now: Monotonic) -> Said {
        loop {
            if self.stage == Stage::Going || self.is_busy() {
                return Said::Nothing;
            }
            let limit = if self.stage == Stage::Greeting { MAX_HELLO } else { MAX_REQUEST };
            let payload = match self.reader.next_frame(limit) {
                Ok(Some(payload)) => payload,
                Ok(None) => return Said::Nothing,
                Err(too_long) => {
                    self.dismiss(Failure::new(FailureKind::BadRequest, too_long.to_string()), now);
                    return Said::Nothing;
                }
            };
            self.since = now;
            if self.stage == Stage::Greeting {
                match Hello::decode(&payload).and_then(|hello| hello.agree()) {
                    Ok(_) => self.stage = Stage::Asking,
                    Err(error) => {
                        self.dismiss(Failure::new(FailureKind::BadRequest, error.to_string()), now);
                    }
                }
                continue;
            }
            match codec::decode::<Request>(&payload) {
                Ok(Request { id, .. }) if id == 0 || self.under_way.contains(&id) => {
                    let text =
                        format!("a request has the id {id}, which is 0 or that of another one under way");
                    self.dismiss(Failure::new(FailureKind::BadRequest, text), now);
                }
                Ok(request) => {
                    self.under_way.push(request.id);
                    self.idle_since = None;
                    return Said::Request(request);
                }
                Err(error) => {
                    let text = format!("{error}: is arbiterctl newer than the manager?");
                    self.dismiss(Failure::new(FailureKind::BadRequest, text), now);
                }
            }
        }
    }

    /// Whether the client has to take or wait for answers before it may ask more.
    fn is_busy(&self) -> bool {
        self.under_way.len() >= UNDER_WAY_MAX || self.out_bytes > UNTAKEN_MAX
    }

    /// Whether its bytes are wanted: unread ones wait in its socket.
    pub(super) fn is_heard(&self) -> bool {
        self.stage == Stage::Going || !self.is_busy()
    }

    /// What the loop is to tell of it from now on, where that is something else than before.
    pub(super) fn change_of_interest(&mut self) -> Option<Interest> {
        let interest = match (self.is_heard(), self.out_bytes > 0) {
            (true, true) => Interest::BOTH,
            (true, false) => Interest::READ,
            (false, true) => Interest::WRITE,
            (false, false) => Interest::NONE,
        };
        let before = std::mem::replace(&mut self.interest, interest);
        (before != interest).then_some(interest)
    }

    /// Queues an answer.
    pub(super) fn answer(&mut self, response: &Response) {
        if matches!(response.reply, Reply::Done(_) | Reply::Failed(_)) {
            self.under_way.retain(|id| *id != response.id);
            self.idle_since = None;
        }
        let bytes = codec::encode(response);
        if bytes.len() <= MAX_ANSWER {
            self.push(frame(&bytes));
            return;
        }
        let pieces = bytes.chunks(MAX_ANSWER - PART_ROOM);
        let last = pieces.len() - 1;
        for (number, piece) in pieces.enumerate() {
            let part = Reply::Part {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                last: number == last,
                bytes: piece.to_vec(),
            };
            self.push(frame(&codec::encode(&Response { id: response.id, reply: part })));
        }
    }

    /// Tells the client why it has to go.
    pub(super) fn dismiss(&mut self, failure: Failure, now: Monotonic) {
        self.answer(&Response { id: 0, reply: Reply::Failed(failure) });
        self.stage = Stage::Going;
        self.reader = FrameReader::default();
        self.since = now;
    }

    fn push(&mut self, bytes: Vec<u8>) {
        self.out_bytes += bytes.len();
        self.out.push_back(bytes);
    }

    /// Writes what the client takes now. `false`: it has gone.
    pub(super) fn write(&mut self) -> bool {
        while let Some(front) = self.out.front() {
            match (&self.stream).write(&front[self.out_start..]) {
                Ok(0) => return false,
                Ok(length) => {
                    self.out_bytes -= length;
                    self.out_start += length;
                    if self.out_start == front.len() {
                        self.out_start = 0;
                        self.out.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        if self.stage == Stage::Going {
            // The client reads to the end and closes; should it not, its deadline comes.
            return self.stream.shutdown(std::net::Shutdown::Write).is_ok();
        }
        true
    }

    pub(super) fn input(&self) -> usize {
        self.reader.pending()
    }

    pub(super) fn output(&self) -> usize {
        self.out_bytes
    }

    /// For how long it has been seen to want nothing; `None`: it wants something.
    pub(super) fn idle_for(&mut self, now: Monotonic) -> Option<Duration> {
        let is_idle = self.under_way.is_empty() && self.out_bytes == 0 && self.reader.pending() == 0;
        if !is_idle || self.stage == Stage::Going {
            self.idle_since = None;
            return None;
        }
        Some(now.since(*self.idle_since.get_or_insert(now)))
    }

    /// When the client has used up its patience, if that is at stake.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self.stage {
            Stage::Greeting => Some(self.since + HELLO_WITHIN),
            Stage::Asking => {
                (self.reader.pending() > 0 && !self.is_busy()).then(|| self.since + REQUEST_WITHIN)
            }
            Stage::Going => Some(self.since + GO_WITHIN),
        }
    }
}
