//! Telling those who watch.

use super::Shell;
use super::turn::Effect;
use crate::table::Asker;
use proto::control::{Event, EventKind, Reply, Response};
use proto::link::{Happening, ToArbiter, Transaction};

impl Shell {
    /// Numbers what has happened. What is to be told waits for arbiter to know of the numbers.
    pub(super) fn number(
        &mut self,
        happened: Vec<(String, EventKind)>,
        transaction: &mut Transaction,
        after: &mut Vec<Effect>,
    ) {
        let time = sys::clock::wall();
        for (subject, kind) in happened {
            self.feed.add(time, subject, kind);
        }
        if self.feed.count() != self.counted {
            self.counted = self.feed.count();
            transaction.events = Some(self.counted);
        }
        let fresh = self.feed.take_fresh();
        if !fresh.is_empty() {
            after.push(Effect::Publish(fresh));
        }
        if let Some(is_wanted) = self.feed.next_watch() {
            self.outbox.say(&ToArbiter::Watch(is_wanted));
        }
    }

    /// arbiter tells what happened to its own.
    pub(super) fn happened(&mut self, last: u64, happenings: Vec<Happening>) {
        self.feed.take_in(last, happenings, sys::clock::wall());
        let replies = self.feed.begin();
        self.tell(replies);
    }

    pub(super) fn subscribe(&mut self, asker: Asker, patterns: Vec<String>, after: Option<u64>) {
        for reply in self.feed.subscribe(asker, patterns, after) {
            self.tell(vec![(asker, reply)]);
        }
    }

    pub(super) fn publish(&mut self, events: &[Event]) {
        for event in events {
            let server = &self.server;
            let replies = self.feed.tell(event, |client| server.untaken(client));
            self.tell(replies);
        }
        if let Some(last) = events.last() {
            let server = &self.server;
            let replies = self.feed.tell_position(last.seq, |client| server.untaken(client));
            self.tell(replies);
        }
    }

    /// Readers that were too slow have caught up.
    pub(super) fn tell_lost(&mut self) {
        if self.feed.owes_marks() {
            let server = &self.server;
            let replies = self.feed.tell_lost(sys::clock::wall(), |client| server.untaken(client));
            self.tell(replies);
        }
    }

    fn tell(&mut self, replies: Vec<(Asker, Reply)>) {
        for (to, reply) in replies {
            self.server.answer(to.client, &Response { id: to.id, reply }, &self.reactor);
        }
    }
}
