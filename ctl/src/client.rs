//! A request's whole life, over as many connections as it takes.
//!
//! The manager may be replaced at any moment, and with it the connection. A question is then asked again. A
//! request that changes something is never repeated once it may have been read: its token is used to ask
//! what became of it.

use crate::connection::{Connection, Deadline, Trouble};
use crate::exit_code;
use crate::locate;
use crate::problem::Problem;
use crate::verbs;
use proto::control::{Answer, Chunk, Failure, FailureKind, Progress, Reply, Request, Token, Verb};
use proto::frame::MAX_REQUEST;
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

/// Who is told what comes before the answer.
pub(crate) trait Audience {
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
#[derive(Debug)]
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
    /// Whether pieces of a stream have been passed on.
    heard: bool,
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
        let mut errand = Errand { verb, token, wait, deadline, sent: false, heard: false };
        errand.check_size()?;

        let mut connection = Connection::open(&self.socket, errand.no_later_than(HELLO));
        let mut losses = 0;
        loop {
            let end = match connection {
                Ok(connection) => errand.converse(connection, audience),
                Err(trouble) => End::Trouble(trouble),
            };
            match end {
                End::Answered(answer) => return Ok(answer),
                End::Failed(failure) => return Err(Problem::refused(&failure)),
                End::Stopped(problem) => return Err(problem),
                End::Trouble(Trouble::Lost) if !errand.heard && losses < MOST_LOSSES => losses += 1,
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
            let next = Instant::now() + PAUSE;
            if limit.is_some_and(|limit| next >= limit) {
                return Err(match (errand.deadline, trouble) {
                    (Some(deadline), _) if next >= deadline => Trouble::Late,
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
            Trouble::NothingListens(error) => Problem::new(
                exit_code::NOTHING_LISTENS,
                format!(
                    "nothing listens on {socket} ({error}); start arbiter, or name its control socket with -s PATH"
                ),
            ),
            Trouble::NotPermitted => locate::not_permitted(&self.socket),
            Trouble::Hello(error) => {
                Problem::new(exit_code::FAILED, format!("{socket}: {error}; check the socket given"))
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
                format!("cannot talk over {socket}: {error}; check the socket given"),
            ),
        }
    }
}

impl Errand {
    /// Says what is to be said on a new connection and listens until its end.
    fn converse(&mut self, mut connection: Connection, audience: &mut dyn Audience) -> End {
        let changes = verbs::changes_something(&self.verb);
        let asks_outcome = self.sent && changes;
        let verb = if asks_outcome { Verb::Outcome(self.token) } else { self.verb.clone() };
        let token = if asks_outcome { Token::default() } else { self.token };
        let request = Request { id: REQUEST_NUMBER, token, wait: self.wait, verb };
        match connection.send(&request, self.deadline) {
            Ok(()) => self.sent = true,
            // A caller who is refused is told so before anything is read from him: that may wait to be read.
            Err(Trouble::Lost) => {}
            Err(trouble) => return End::Trouble(trouble),
        }
        loop {
            match connection.next_reply(REQUEST_NUMBER, self.deadline) {
                Ok(Reply::Done(answer)) => return End::Answered(answer),
                Ok(Reply::Failed(failure)) if asks_outcome && failure.kind == FailureKind::Unknown => {
                    return End::Failed(self.no_outcome(failure));
                }
                Ok(Reply::Failed(failure)) => return End::Failed(failure),
                Ok(Reply::Progress(progress)) => audience.progress(&progress),
                Ok(Reply::Chunk(chunk)) => {
                    self.heard = true;
                    if let Err(problem) = audience.chunk(&chunk) {
                        return End::Stopped(problem);
                    }
                }
                Ok(Reply::Part { .. }) => {
                    return End::Trouble(Trouble::Malformed("a part within parts".into()));
                }
                Err(trouble) => return End::Trouble(trouble),
            }
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
