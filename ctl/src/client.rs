//! A request's whole life, over as many connections as it takes.
//!
//! The manager may be replaced at any moment, and with it the connection. A question is then asked again. A
//! request that changes something is never repeated once it may have been read: its token is used to ask
//! what became of it.

use crate::connection::{Connection, Deadline, Trouble};
use crate::exit_code;
use crate::locate;
use crate::problem::{Problem, words};
use crate::verbs;
use proto::control::{
    Answer, Chunk, Event, Failure, FailureKind, LogRequest, Progress, Reply, Request, Token, Verb,
};
use proto::frame::MAX_REQUEST;
use proto::hello::{HIGHEST, HelloError, LOWEST};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a lost connection is tried again: a new manager is there within milliseconds, and within five
/// seconds where it keeps failing.
const RECONNECT: Duration = Duration::from_secs(10);
/// How long a hello may take: both sides send it at once, but a manager may be on its way.
const HELLO: Duration = Duration::from_secs(30);
/// Between two attempts while nothing listens.
const PAUSE: Duration = Duration::from_millis(50);
/// How many lost connections are replaced: a request that outlives so many managers is what kills them.
const MOST_LOSSES: u32 = 4;
/// The one request of a connection.
const REQUEST_NUMBER: u64 = 1;
/// What is asked beside it: who is there.
const ASIDE: u64 = 2;

/// Who is told what comes before the answer.
pub(crate) trait Audience {
    /// The request is on its way: what it asks for is done from now on, whoever waits.
    fn sent(&mut self) {}

    /// How far the request has come.
    fn progress(&mut self, progress: &Progress);

    /// The next piece of a stream.
    ///
    /// # Errors
    ///
    /// When it cannot be passed on: the request is given up.
    fn chunk(&mut self, chunk: &Chunk) -> Result<(), Problem>;
}

/// Asks over the control socket.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Where to connect.
    pub(crate) socket: PathBuf,
    /// `--timeout`.
    pub(crate) timeout: Option<Duration>,
}

/// How one connection ended.
enum End {
    Answered(Answer),
    Failed(Failure),
    /// The audience wants no more.
    Stopped(Problem),
    Trouble(Trouble),
}

/// What is known of a request that is under way.
struct Errand {
    verb: Verb,
    token: Token,
    wait: bool,
    deadline: Deadline,
    /// Whether the manager may have read it.
    sent: bool,
    /// The arbiter that is asked to end, as far as it is known.
    arbiter: Option<i32>,
    /// Whether pieces of a stream have been passed on that cannot be asked for again.
    heard: bool,
    /// How many connections were lost since anything came.
    losses: u32,
}

impl Client {
    /// Asks `verb`; the answer comes when the thing is done if `wait`, else when it is begun.
    ///
    /// # Errors
    ///
    /// When it cannot be asked, is refused, or its outcome cannot be learnt.
    pub(crate) fn ask(&self, verb: Verb, wait: bool, audience: &mut dyn Audience) -> Result<Answer, Problem> {
        let changes = verbs::changes_something(&verb);
        let token = if changes { random_token()? } else { Token::default() };
        let timeout = self.timeout.or_else(|| verbs::default_timeout(&verb));
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut errand =
            Errand { verb, token, wait, deadline, sent: false, arbiter: None, heard: false, losses: 0 };
        errand.check_size()?;

        let mut connection = Connection::open(&self.socket, errand.no_later_than(HELLO));
        loop {
            let end = match connection {
                Ok(connection) => errand.converse(connection, audience),
                Err(trouble) => End::Trouble(trouble),
            };
            match end {
                End::Answered(answer) => return Ok(answer),
                End::Failed(failure) => return Err(Problem::refused(&failure)),
                End::Stopped(problem) => return Err(problem),
                End::Trouble(Trouble::Lost) if errand.may_go_on() && errand.losses < MOST_LOSSES => {
                    errand.losses += 1;
                }
                End::Trouble(trouble) => return Err(self.problem(trouble, &errand)),
            }
            connection = match self.reconnect(&errand) {
                Err(Trouble::NothingListens(_)) if errand.ends_arbiter() => return Ok(Answer::Done),
                Err(trouble) => return Err(self.problem(trouble, &errand)),
                Ok(connection) => Ok(connection),
            };
        }
    }

    /// A connection to whoever serves the socket next. Says [`Trouble::Late`] only for the request's own
    /// deadline.
    fn reconnect(&self, errand: &Errand) -> Result<Connection, Trouble> {
        // While arbiter ends, nobody may answer until it has gone, however long that takes.
        let limit = if errand.ends_arbiter() { errand.deadline } else { errand.no_later_than(RECONNECT) };
        loop {
            let trouble = match Connection::open(&self.socket, limit) {
                Err(Trouble::NothingListens(error)) if errand.ends_arbiter() => {
                    return Err(Trouble::NothingListens(error));
                }
                Err(trouble @ (Trouble::NothingListens(_) | Trouble::Lost | Trouble::Late)) => trouble,
                other => return other,
            };
            // A try that is cut short would say nothing of what is there: the next one has to have its time.
            let tried = Instant::now() + 2 * PAUSE;
            if limit.is_some_and(|limit| tried >= limit) {
                return Err(match (errand.deadline, trouble) {
                    (Some(deadline), _) if tried >= deadline => Trouble::Late,
                    (_, Trouble::Late) => Trouble::Lost,
                    (_, trouble) => trouble,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// What the person is told.
    fn problem(&self, trouble: Trouble, errand: &Errand) -> Problem {
        let socket = self.socket.display();
        let name = errand.verb.name();
        if errand.unknown_after(&trouble) {
            let message = format!(
                "the answer to `{name}` was lost, and what became of it is unknown; look with `arbiterctl status`"
            );
            return Problem::new(exit_code::OUTCOME_UNKNOWN, message);
        }
        match trouble {
            Trouble::NothingListens(_) => locate::nothing_listens(&self.socket),
            Trouble::NotPermitted => locate::not_permitted(&self.socket),
            Trouble::Hello(HelloError::NotArbiter) => {
                let message = format!(
                    "who listens on {socket} does not speak arbiter's control protocol; name the control socket \
                     of an arbiter with -s PATH"
                );
                Problem::new(exit_code::FAILED, message)
            }
            Trouble::Hello(HelloError::NoCommonVersion { program, lowest, highest }) => {
                let message = format!(
                    "{socket} speaks another protocol version: arbiter {program} speaks {}, this arbiterctl {}; \
                     use the arbiterctl of version {program}, or let arbiter change its program: `arbiterctl \
                     upgrade` with that one",
                    versions(lowest, highest),
                    versions(LOWEST, HIGHEST),
                );
                Problem::new(exit_code::FAILED, message)
            }
            Trouble::Malformed(what) => Problem::new(
                exit_code::FAILED,
                format!("{socket}: {what}; use the arbiterctl that was installed with the running arbiter"),
            ),
            Trouble::Lost => Problem::new(
                exit_code::FAILED,
                format!("the connection to {socket} was lost during `{name}`; try again"),
            ),
            Trouble::Late => Problem::new(exit_code::TIMED_OUT, errand.late()),
            Trouble::System(error) => Problem::new(
                exit_code::FAILED,
                format!("cannot talk over {socket}: {}; name another socket with -s PATH", words(&error)),
            ),
        }
    }
}

/// `version 1`, `versions 2 to 3`.
fn versions(lowest: u32, highest: u32) -> String {
    if lowest == highest { format!("version {lowest}") } else { format!("versions {lowest} to {highest}") }
}

impl Errand {
    /// Says what is to be said on a new connection and listens until its end.
    fn converse(&mut self, mut connection: Connection, audience: &mut dyn Audience) -> End {
        let changes = verbs::changes_something(&self.verb);
        let asks_outcome = self.sent && changes;
        if !self.sent && matches!(self.verb, Verb::Shutdown { .. }) {
            match self.who_is_there(&mut connection) {
                Ok(arbiter) => self.arbiter = arbiter,
                Err(trouble) => return End::Trouble(trouble),
            }
        }
        let verb = if asks_outcome { Verb::Outcome(self.token) } else { self.verb.clone() };
        let token = if asks_outcome { Token::default() } else { self.token };
        let request = Request { id: REQUEST_NUMBER, token, wait: self.wait, verb };
        match connection.send(&request, self.deadline) {
            Ok(()) => {
                self.sent = true;
                audience.sent();
            }
            // A caller who is refused is told so before anything is read from him: that may wait to be read.
            Err(Trouble::Lost) => {}
            Err(trouble) => return End::Trouble(trouble),
        }
        loop {
            match connection.next_reply(REQUEST_NUMBER, self.deadline) {
                Ok(Reply::Done(answer)) => return End::Answered(answer),
                Ok(Reply::Failed(failure)) if asks_outcome && failure.kind == FailureKind::Unknown => {
                    return if self.has_ended(&mut connection) {
                        End::Answered(Answer::Done)
                    } else {
                        End::Failed(self.no_outcome(failure))
                    };
                }
                Ok(Reply::Failed(failure)) => return End::Failed(failure),
                Ok(Reply::Progress(progress)) => audience.progress(&progress),
                Ok(Reply::Chunk(chunk)) => {
                    self.heard(&chunk);
                    self.losses = 0;
                    if let Err(problem) = audience.chunk(&chunk) {
                        return End::Stopped(problem);
                    }
                    if let (Some(after), Chunk::Log { next, .. }) = (self.after(), chunk) {
                        *after = Some(next);
                    }
                }
                Ok(Reply::Part { .. }) => {
                    return End::Trouble(Trouble::Malformed("a part within parts".into()));
                }
                Err(trouble) => return End::Trouble(trouble),
            }
        }
    }

    /// The arbiter behind a connection; `None` where it does not say.
    fn who_is_there(&self, connection: &mut Connection) -> Result<Option<i32>, Trouble> {
        let verb = Verb::Pids(Vec::new());
        connection.send(&Request { id: ASIDE, token: Token::default(), wait: true, verb }, self.deadline)?;
        Ok(match connection.next_reply(ASIDE, self.deadline)? {
            Reply::Done(Answer::Pids(pids)) => pids.first().map(|arbiter| arbiter.pid),
            _ => None,
        })
    }

    /// Whether the arbiter that was asked to end has done so, and another one has taken charge since.
    fn has_ended(&self, connection: &mut Connection) -> bool {
        self.arbiter.is_some_and(|asked| {
            let there = self.who_is_there(connection).ok().flatten();
            there.is_some_and(|there| there != asked)
        })
    }

    /// Whether another connection can take up where one was lost: a stream has to have named its place.
    fn may_go_on(&mut self) -> bool {
        !self.heard || self.after().is_some_and(|after| after.is_some())
    }

    /// The place behind which a stream of bytes is gone on with.
    fn after(&mut self) -> Option<&mut Option<Vec<u8>>> {
        match &mut self.verb {
            Verb::Logs(LogRequest { after, .. }) | Verb::Receive { after, .. } => Some(after),
            _ => None,
        }
    }

    /// A piece of a stream has come. That of events is gone on with where it was cut off, however often.
    fn heard(&mut self, chunk: &Chunk) {
        match (&mut self.verb, chunk) {
            (Verb::Events { after, .. }, Chunk::At(seq) | Chunk::Event(Event { seq, .. })) => {
                *after = Some(*seq);
                self.losses = 0;
            }
            _ => self.heard = true,
        }
    }

    /// The outcome stays unknown.
    fn no_outcome(&self, failure: Failure) -> Failure {
        let message = format!(
            "the answer to `{}` was lost, and what became of it is unknown ({}); look with `arbiterctl status`",
            self.verb.name(),
            failure.message
        );
        Failure::new(FailureKind::Unknown, message)
    }

    /// The deadline, or sooner when `limit` from now is sooner.
    fn no_later_than(&self, limit: Duration) -> Deadline {
        let limit = Instant::now() + limit;
        Some(self.deadline.map_or(limit, |deadline| deadline.min(limit)))
    }

    /// Whether the end of arbiter is what was asked for, and may have begun.
    fn ends_arbiter(&self) -> bool {
        self.sent && matches!(self.verb, Verb::Shutdown { .. })
    }

    /// Whether `trouble` leaves a change of unknown outcome. One that is only late goes on and is known to.
    fn unknown_after(&self, trouble: &Trouble) -> bool {
        let changes = self.sent && verbs::changes_something(&self.verb);
        changes && !matches!(trouble, Trouble::Late)
    }

    fn late(&self) -> String {
        let name = self.verb.name();
        if !self.sent {
            return format!("arbiter's manager did not answer in time, `{name}` was not asked; try again");
        }
        if verbs::changes_something(&self.verb) {
            format!("`{name}` was not done in time; the work goes on: look with `arbiterctl status`")
        } else {
            format!("`{name}` was not answered in time; try again, or give it longer with --timeout")
        }
    }

    fn check_size(&self) -> Result<(), Problem> {
        let request =
            Request { id: REQUEST_NUMBER, token: self.token, wait: self.wait, verb: self.verb.clone() };
        let length = proto::codec::encode(&request).len();
        if length <= MAX_REQUEST {
            return Ok(());
        }
        let message = format!(
            "`{}` would be a request of {length} bytes, {MAX_REQUEST} are allowed; split it into several",
            self.verb.name()
        );
        Err(Problem::new(exit_code::FAILED, message))
    }
}

/// 16 bytes that no other request has: two equal tokens would be one request to arbiter.
fn random_token() -> Result<Token, Problem> {
    let mut token = Token::default();
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut token)).map_err(
        |error| {
            let message = format!("cannot read /dev/urandom: {error}; make it available to arbiterctl");
            Problem::new(exit_code::FAILED, message)
        },
    )?;
    Ok(token)
}
