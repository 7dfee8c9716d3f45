//! What the loop can be woken by.

use supervise::RunId;
use supervise::probe::Attempt;
use sys::reactor::Token;

/// One source of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// arbiter has said something, or can be told more.
    Link,
    /// arbiter has ended.
    Arbiter,
    /// Signals were caught.
    Signals,
    /// Somebody connects to the control socket.
    Listener,
    /// The main process of a run has ended.
    Process(RunId),
    /// A new process has come further on its way to exec.
    Progress(RunId),
    /// A try to ask a process how it is.
    Probe(Attempt),
    /// The child that measures memory has ended.
    Measurer,
    /// Something has become of captured output.
    Captures,
    /// The child that reads what processes use has ended.
    Usage,
    /// A standard input or a stream takes more, or something has come out of it.
    Input(u64),
    /// A client says something or takes more.
    Client(u64),
}

/// Above the numbers, which count up from 1 and never come near.
const KIND_SHIFT: u32 = 56;
const NUMBERS: u64 = (1 << KIND_SHIFT) - 1;

impl Source {
    /// Whether it tells of a process's own life, of which there are as many as companions. One that is not
    /// heard now is told again.
    #[must_use]
    pub fn is_a_process(self) -> bool {
        matches!(self, Self::Process(_) | Self::Progress(_))
    }

    /// Its name in the reactor.
    #[must_use]
    pub fn token(self) -> Token {
        let (kind, number) = match self {
            Self::Link => (0, 0),
            Self::Signals => (1, 0),
            Self::Listener => (2, 0),
            Self::Process(run) => (3, run.0),
            Self::Progress(run) => (4, run.0),
            Self::Client(client) => (5, client),
            Self::Probe(attempt) => (6, attempt.0),
            Self::Measurer => (7, 0),
            Self::Captures => (8, 0),
            Self::Usage => (9, 0),
            Self::Input(number) => (10, number),
            Self::Arbiter => (11, 0),
        };
        Token(kind << KIND_SHIFT | number & NUMBERS)
    }

    /// The source of this name.
    #[must_use]
    pub fn of(token: Token) -> Option<Self> {
        let number = token.0 & NUMBERS;
        match token.0 >> KIND_SHIFT {
            0 => Some(Self::Link),
            1 => Some(Self::Signals),
            2 => Some(Self::Listener),
            3 => Some(Self::Process(RunId(number))),
            4 => Some(Self::Progress(RunId(number))),
            5 => Some(Self::Client(number)),
            6 => Some(Self::Probe(Attempt(number))),
            7 => Some(Self::Measurer),
            8 => Some(Self::Captures),
            9 => Some(Self::Usage),
            10 => Some(Self::Input(number)),
            11 => Some(Self::Arbiter),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_found_by_its_token() {
        for source in [
            Source::Link,
            Source::Signals,
            Source::Listener,
            Source::Process(RunId(7)),
            Source::Progress(RunId(1 << 40)),
            Source::Client(9),
            Source::Input(8),
            Source::Probe(Attempt(3)),
            Source::Measurer,
            Source::Captures,
            Source::Usage,
            Source::Arbiter,
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
        assert_eq!(Source::of(Token(u64::MAX)), None);
    }
}
