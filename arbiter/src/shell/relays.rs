//! Requests that the manager relays, and their answers: one that a dead manager has not read is told to the next.

use proto::control::{Failure, FailureKind, Reply};
use proto::link::Record;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// How many answers are kept: as many as clients can be told of.
const KEPT: usize = 64;
/// What the manager calls its records of relayed requests; the number follows.
const RECORD: &str = "@relay/";

/// Which requests are under way, and the newest answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Relays {
    open: BTreeSet<u64>,
    answered: VecDeque<(u64, Reply)>,
}

impl Relays {
    /// A request has come.
    pub(crate) fn begin(&mut self, relay: u64) {
        self.open.insert(relay);
    }

    /// It is answered.
    pub(crate) fn end(&mut self, relay: u64, reply: Reply) {
        self.open.remove(&relay);
        if self.answered.len() == KEPT {
            self.answered.pop_front();
        }
        self.answered.push_back((relay, reply));
    }

    /// What a new manager has to be told of the requests that the one before has left records of: their answers,
    /// and that of those that never came nothing was done.
    pub(super) fn owed<'a>(&self, records: impl Iterator<Item = &'a Record>) -> Vec<(u64, Reply)> {
        let numbers = records.filter_map(|record| record.name.strip_prefix(RECORD)?.parse().ok());
        numbers
            .filter(|relay| !self.open.contains(relay))
            .map(|relay| (relay, self.reply_to(relay)))
            .collect()
    }

    fn reply_to(&self, relay: u64) -> Reply {
        let kept = self.answered.iter().find(|(number, _)| *number == relay);
        kept.map_or_else(
            || {
                let message =
                    "the companion manager died before it was passed on, nothing was done: ask again";
                Reply::Failed(Failure::new(FailureKind::Refused, message))
            },
            |(_, reply)| reply.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::Answer;

    fn record(name: &str) -> Record {
        Record { name: name.into(), content: None }
    }

    #[test]
    fn a_new_manager_is_told_answers_that_were_not_read_and_what_never_came() {
        let mut relays = Relays::default();
        for relay in [1, 2] {
            relays.begin(relay);
        }
        relays.end(1, Reply::Done(Answer::Done));
        let records = [record("redis"), record("@relay/1"), record("@relay/2"), record("@relay/3")];
        let owed = relays.owed(records.iter());
        assert_eq!(owed.len(), 2, "what is under way is answered when it is done");
        assert_eq!(owed[0], (1, Reply::Done(Answer::Done)));
        assert!(matches!(&owed[1], (3, Reply::Failed(failure)) if failure.message.ends_with("ask again")));
    }
}
