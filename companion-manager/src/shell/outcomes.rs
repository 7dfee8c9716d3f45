//! Answers that outlive a connection, and requests that are arbiter's to answer.
//!
//! Every changing request carries a random token. Its answer is told to arbiter before the client gets it,
//! so that a client that was cut off, even by the end of the manager, can come back and ask for it, and so
//! that nothing is done twice for one token. A request that was relayed leaves a record with its token: the
//! answer may come to the next manager.

use super::Shell;
use super::turn::Effect;
use crate::table::Asker;
use proto::codec;
use proto::control::{Answer, Failure, FailureKind, Reply, Token, Verb};
use proto::link::{Record, Saved, ToArbiter, Transaction};
use std::collections::{HashMap, VecDeque};

/// How many answers are kept.
const KEPT: usize = 64;
/// The longest answer that is kept as it is: each goes into a datagram with others.
const OUTCOME_MAX: usize = 16 * 1024;
/// What the records of relayed requests are called; no companion's name begins so.
const RECORD: &str = "@relay/";

/// The token of questions.
pub(super) const NO_TOKEN: Token = [0; 16];

/// What a request with a token finds.
#[derive(Debug)]
pub(super) enum Known {
    /// It was answered with this.
    Answered(Box<Reply>),
    /// It is under way: whoever asks is answered when it is done.
    UnderWay,
    /// Nobody has asked this yet.
    New,
}

/// Tokens and relays.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    kept: VecDeque<(Token, Reply)>,
    /// Who else waits for the end of a request: who asked for the same again, or for its outcome.
    under_way: HashMap<Token, Vec<Asker>>,
    relays: HashMap<u64, Asker>,
    next_relay: u64,
}

impl Outcomes {
    /// What the managers before left. Numbers of relays do not come twice while arbiter lives.
    pub(super) fn restore(saved: &Saved, restarts: u32) -> Self {
        let mut outcomes = Self { next_relay: (u64::from(restarts) + 1) << 32, ..Self::default() };
        for (token, bytes) in &saved.outcomes {
            if let Ok(reply) = codec::decode(bytes) {
                outcomes.keep(*token, reply);
            }
        }
        for token in saved.records.iter().filter_map(|record| crate::table::token_of(&record.name)) {
            outcomes.under_way.insert(token, Vec::new());
        }
        for record in &saved.records {
            let relay = record.name.strip_prefix(RECORD).and_then(|number| number.parse().ok());
            let token = record.content.as_deref().and_then(|content| content.first_chunk::<16>());
            if let (Some(relay), Some(&token)) = (relay, token) {
                outcomes.under_way.insert(token, Vec::new());
                outcomes.relays.insert(relay, Asker { client: 0, id: 0, token });
            }
        }
        outcomes
    }

    fn keep(&mut self, token: Token, reply: Reply) {
        self.kept.push_back((token, reply));
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// A request comes in. A new one with a token counts as under way from here on.
    pub(super) fn admit(&mut self, asker: Asker) -> Known {
        if asker.token == NO_TOKEN {
            return Known::New;
        }
        let known = self.ask(asker, asker.token);
        if matches!(known, Known::New) {
            self.under_way.insert(asker.token, Vec::new());
        }
        known
    }

    /// Somebody asks what became of the request with `token`.
    pub(super) fn ask(&mut self, asker: Asker, token: Token) -> Known {
        if let Some((_, reply)) = self.kept.iter().find(|(known, _)| *known == token) {
            return Known::Answered(Box::new(reply.clone()));
        }
        match self.under_way.get_mut(&token) {
            Some(waiting) => {
                waiting.push(asker);
                Known::UnderWay
            }
            None => Known::New,
        }
    }

    /// Whether a request with this token has been begun and not been answered.
    pub(super) fn is_under_way(&self, token: &Token) -> bool {
        self.under_way.contains_key(token)
    }

    /// A request has been answered. The transaction keeps it; who else waits for it is returned.
    pub(super) fn settle(
        &mut self,
        to: Asker,
        reply: &Reply,
        transaction: &mut Transaction,
    ) -> Vec<(Asker, Reply)> {
        if to.token == NO_TOKEN || !matches!(reply, Reply::Done(_) | Reply::Failed(_)) {
            return Vec::new();
        }
        let Some(waiting) = self.under_way.remove(&to.token) else { return Vec::new() };
        let kept = shorten(reply);
        transaction.outcomes.push((to.token, codec::encode(&kept)));
        self.keep(to.token, kept);
        waiting.into_iter().map(|asker| (asker, reply.clone())).collect()
    }
}

/// The answer as it is kept: of a very long one only whether it was a success.
fn shorten(reply: &Reply) -> Reply {
    if codec::encode(reply).len() <= OUTCOME_MAX {
        return reply.clone();
    }
    let failed = match reply {
        Reply::Done(Answer::Results(results)) => results.iter().find(|result| result.failed),
        _ => None,
    };
    match failed {
        Some(result) => {
            let text = format!("{}: {}", result.name, result.message);
            Reply::Failed(Failure::new(FailureKind::Refused, text))
        }
        None => Reply::Done(Answer::Done),
    }
}

impl Shell {
    /// Hands a request on to arbiter.
    pub(super) fn relay(&mut self, asker: Asker, wait: bool, verb: Verb) {
        let relay = self.outcomes.next_relay;
        self.outcomes.next_relay += 1;
        self.outcomes.relays.insert(relay, asker);
        if asker.token != NO_TOKEN {
            let record = Record { name: format!("{RECORD}{relay}"), content: Some(asker.token.to_vec()) };
            self.outbox.tell(Transaction { records: vec![record], ..Transaction::default() }, Vec::new());
        }
        self.outbox.say(&ToArbiter::Relay { relay, wait, verb });
    }

    /// arbiter has answered a request.
    pub(super) fn relayed(&mut self, relay: u64, reply: Reply) {
        let Some(&asker) = self.outcomes.relays.get(&relay) else { return };
        let mut transaction = Transaction::default();
        if matches!(reply, Reply::Done(_) | Reply::Failed(_)) {
            self.outcomes.relays.remove(&relay);
            if asker.token != NO_TOKEN {
                transaction.records.push(Record { name: format!("{RECORD}{relay}"), content: None });
            }
        }
        let mut after: Vec<Effect> = Vec::new();
        self.settle(asker, reply, &mut transaction, &mut after);
        self.send(transaction, Vec::new(), after, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(client: u64, token: u8) -> Asker {
        Asker { client, id: 7, token: [token; 16] }
    }

    const DONE: Reply = Reply::Done(Answer::Done);

    #[test]
    fn nothing_is_done_twice_for_one_token() {
        let mut outcomes = Outcomes::default();
        assert!(matches!(outcomes.admit(asker(1, 9)), Known::New));
        assert!(matches!(outcomes.admit(asker(2, 9)), Known::UnderWay));
        assert!(matches!(outcomes.ask(asker(3, 0), [9; 16]), Known::UnderWay));
        let mut transaction = Transaction::default();
        let others = outcomes.settle(asker(1, 9), &DONE, &mut transaction);
        assert_eq!(others, [(asker(2, 9), DONE), (asker(3, 0), DONE)]);
        assert_eq!(transaction.outcomes.len(), 1);
        assert!(matches!(outcomes.admit(asker(4, 9)), Known::Answered(reply) if *reply == DONE));
        assert!(matches!(outcomes.ask(asker(4, 0), [8; 16]), Known::New));
    }

    #[test]
    fn questions_have_no_token_and_leave_no_trace() {
        let mut outcomes = Outcomes::default();
        for _ in 0..2 {
            assert!(matches!(outcomes.admit(asker(1, 0)), Known::New));
        }
        let mut transaction = Transaction::default();
        assert!(outcomes.settle(asker(1, 0), &DONE, &mut transaction).is_empty());
        assert!(transaction.is_empty());
    }

    #[test]
    fn progress_is_no_outcome() {
        let mut outcomes = Outcomes::default();
        assert!(matches!(outcomes.admit(asker(1, 9)), Known::New));
        let progress = proto::control::Progress {
            message: "x".into(),
            since: std::time::Duration::ZERO,
            escalates_in: None,
            escalation: String::new(),
        };
        let mut transaction = Transaction::default();
        outcomes.settle(asker(1, 9), &Reply::Progress(progress), &mut transaction);
        assert!(transaction.is_empty());
        assert!(matches!(outcomes.admit(asker(2, 9)), Known::UnderWay));
    }

    #[test]
    fn the_next_manager_knows_answers_and_what_arbiter_still_owes() {
        let saved = Saved {
            records: vec![Record { name: "@relay/4294967296".into(), content: Some(vec![5; 16]) }],
            outcomes: vec![([9; 16], codec::encode(&DONE))],
            ..Saved::default()
        };
        let mut outcomes = Outcomes::restore(&saved, 1);
        assert!(matches!(outcomes.admit(asker(1, 9)), Known::Answered(_)));
        assert!(matches!(outcomes.admit(asker(1, 5)), Known::UnderWay));
        assert!(outcomes.next_relay > 4_294_967_296);
    }
}
