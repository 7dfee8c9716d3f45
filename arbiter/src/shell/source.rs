//! What a readiness event is about.

use supervise::RunId;
use supervise::probe::Attempt;
use sys::reactor::Token;

/// The owner of a registered descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Signals have arrived.
    Signals,
    /// The manager has said something, or can be told more.
    Link,
    /// The master before this one has ended.
    Predecessor,
    /// This run's main process has ended.
    Child(RunId),
    /// This run's process has become its program, or failed to.
    Exec(RunId),
    /// This run's process says something of itself.
    Notify(RunId),
    /// A try to ask a process how it is.
    Probe(Attempt),
}

/// Run numbers stay below this: a token's upper byte tells the kind.
const RUNS: u64 = 1 << 56;

impl From<Source> for Token {
    fn from(source: Source) -> Self {
        Self(match source {
            Source::Signals => 0,
            Source::Link => 1,
            Source::Predecessor => 2,
            Source::Child(run) => RUNS | run.0,
            Source::Exec(run) => RUNS << 1 | run.0,
            Source::Notify(run) => RUNS << 2 | run.0,
            Source::Probe(attempt) => RUNS << 3 | attempt.0,
        })
    }
}

impl From<Token> for Source {
    fn from(token: Token) -> Self {
        let run = RunId(token.0 % RUNS);
        match token.0 / RUNS {
            0 if run.0 == 0 => Self::Signals,
            0 if run.0 == 1 => Self::Link,
            0 => Self::Predecessor,
            1 => Self::Child(run),
            2 => Self::Exec(run),
            4 => Self::Notify(run),
            _ => Self::Probe(Attempt(run.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_source() {
        let runs = [RunId(1), RunId(1 << 48), RunId((1 << 56) - 1)];
        let of_runs =
            runs.iter().flat_map(|&run| [Source::Child(run), Source::Exec(run), Source::Notify(run)]);
        let alone = [Source::Signals, Source::Link, Source::Predecessor, Source::Probe(Attempt(7))];
        for source in of_runs.chain(alone) {
            assert_eq!(Source::from(Token::from(source)), source);
        }
    }
}
