//! Events: numbered here, for whoever watches.
//!
//! Each event gets its number when it happens, whether anybody watches or not; how far the numbers go is told to
//! arbiter before any of these events is told to anybody, so that the next manager goes on behind them. Nothing is kept
//! but what is not told yet, save right after a manager has died while somebody watched: then events are kept for
//! a while for those who come back and say up to where they have seen.

use crate::table::Asker;
use proto::control::{Chunk, Event, EventKind, Reply};
use proto::link::{EventCount, Happening};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use supervise::Monotonic;

/// The most bytes that one client may leave untaken before its events are dropped and counted.
pub const UNTAKEN_MAX: usize = 256 * 1024;
/// For how long those who watched a manager that died are expected back.
const RETURN_WITHIN: Duration = Duration::from_secs(15);
/// The most events kept for them.
const KEPT: usize = 4096;
/// To whom a mark of lost events is.
const LOSER: &str = "manager";

/// One reader.
#[derive(Clone, Debug)]
struct Subscriber {
    patterns: Vec<String>,
    /// Whether arbiter tells what happens to its own already: before, nothing is told.
    begun: bool,
    /// How many events were dropped since the last one that was told.
    lost: u64,
    /// Up to which number it knows that it has been told everything.
    at: u64,
}

/// Those who watch, and what they are told.
#[derive(Debug, Default)]
pub struct Feed {
    count: EventCount,
    /// Numbered and not told yet.
    fresh: Vec<Event>,
    subscribers: BTreeMap<Asker, Subscriber>,
    /// Whether arbiter was asked to tell what happens to its own, and whether it does.
    asked: bool,
    hears: bool,
    /// What is kept for those who come back, and until when.
    kept: Option<(Monotonic, VecDeque<Event>)>,
}

impl Feed {
    /// Goes on behind what the managers before have counted.
    #[must_use]
    pub fn resume(count: EventCount, is_watched: bool, now: Monotonic) -> Self {
        let kept = is_watched.then(|| (now + RETURN_WITHIN, VecDeque::new()));
        Self { count, asked: is_watched, hears: is_watched, kept, ..Self::default() }
    }

    /// Something has happened.
    pub fn add(&mut self, time: Duration, subject: String, kind: EventKind) {
        self.count.last += 1;
        if self.is_wanted() {
            self.fresh.push(Event { seq: self.count.last, time, subject, kind });
        }
    }

    /// What has happened to arbiter's own, up to its number `last`.
    pub fn take_in(&mut self, last: u64, happenings: Vec<Happening>, time: Duration) {
        let first = last.saturating_sub(happenings.len() as u64);
        let missing = first.saturating_sub(self.count.taken);
        if missing > 0 {
            // Those that happened before anybody watched have their numbers too, and nobody misses them.
            self.count.last += missing;
            if self.hears {
                let kind = EventKind::Lost { count: missing };
                self.fresh.push(Event { seq: self.count.last, time, subject: LOSER.into(), kind });
            }
        }
        self.hears = self.asked;
        let known = usize::try_from(self.count.taken.saturating_sub(first)).unwrap_or(usize::MAX);
        for Happening { time, subject, kind } in happenings.into_iter().skip(known) {
            self.add(time, subject, kind);
        }
        self.count.taken = self.count.taken.max(last);
    }

    fn is_wanted(&self) -> bool {
        self.kept.is_some() || !self.subscribers.is_empty()
    }

    /// Up to which number all have been told.
    fn told(&self) -> u64 {
        self.fresh.first().map_or(self.count.last, |event| match event.kind {
            EventKind::Lost { count } => event.seq - count,
            _ => event.seq - 1,
        })
    }

    /// How far events have been counted.
    #[must_use]
    pub fn count(&self) -> EventCount {
        self.count
    }

    /// What is to be told now that arbiter knows of its numbers.
    pub fn take_fresh(&mut self) -> Vec<Event> {
        let fresh = std::mem::take(&mut self.fresh);
        if let Some((_, kept)) = &mut self.kept {
            kept.extend(fresh.iter().cloned());
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
        fresh
    }

    /// Somebody wants events; what it is told at once.
    pub fn subscribe(&mut self, asker: Asker, patterns: Vec<String>, after: Option<u64>) -> Vec<Reply> {
        let mut subscriber = Subscriber { patterns, begun: false, lost: 0, at: 0 };
        let mut replies = Vec::new();
        if self.hears {
            let told = self.told();
            // A number that has not been reached is another arbiter's.
            let after = after.filter(|after| *after <= told).unwrap_or(told);
            subscriber.begin(after, &mut replies);
            let kept = self.kept.iter().flat_map(|(_, kept)| kept).filter(|event| event.seq > after);
            let missed = kept.clone().next().map_or(told, |event| event.seq - 1) - after;
            if missed > 0 {
                replies.push(lost(after + missed, missed, sys::clock::wall()));
            }
            replies.extend(kept.filter(|event| subscriber.wants(event)).cloned().map(chunk));
            subscriber.at = told;
        }
        self.subscribers.insert(asker, subscriber);
        replies
    }

    /// Those who waited for arbiter to tell of its own, now that it does.
    pub fn begin(&mut self) -> Vec<(Asker, Reply)> {
        if !self.hears {
            return Vec::new();
        }
        let last = self.told();
        let mut replies = Vec::new();
        for (asker, subscriber) in self.subscribers.iter_mut().filter(|(_, subscriber)| !subscriber.begun) {
            let mut own = Vec::new();
            subscriber.begin(last, &mut own);
            replies.extend(own.into_iter().map(|reply| (*asker, reply)));
        }
        replies
    }

    /// A client has gone.
    pub fn forget_client(&mut self, client: u64) {
        self.subscribers.retain(|asker, _| asker.client != client);
    }

    /// What each reader is told of `event`. `untaken` says how many bytes a client has not taken yet.
    pub fn tell(&mut self, event: &Event, untaken: impl Fn(u64) -> usize) -> Vec<(Asker, Reply)> {
        let mut replies = Vec::new();
        for (asker, subscriber) in &mut self.subscribers {
            // Who has just begun may know of what was on its way then.
            if !subscriber.begun || event.seq <= subscriber.at || !subscriber.wants(event) {
                continue;
            }
            if untaken(asker.client) > UNTAKEN_MAX {
                subscriber.lost += 1;
                continue;
            }
            if subscriber.lost > 0 {
                let count = std::mem::take(&mut subscriber.lost);
                replies.push((*asker, lost(event.seq - 1, count, event.time)));
            }
            subscriber.at = event.seq;
            replies.push((*asker, chunk(event.clone())));
        }
        replies
    }

    /// After events up to `last`: those whom none of them concerned are told so, where they have taken all else.
    /// Should the manager die, they know that they have missed nothing until then.
    pub fn tell_position(&mut self, last: u64, untaken: impl Fn(u64) -> usize) -> Vec<(Asker, Reply)> {
        let behind = self.subscribers.iter_mut().filter(|(asker, subscriber)| {
            subscriber.begun && subscriber.lost == 0 && subscriber.at < last && untaken(asker.client) == 0
        });
        behind
            .map(|(asker, subscriber)| {
                subscriber.at = last;
                (*asker, Reply::Chunk(Chunk::At(last)))
            })
            .collect()
    }

    /// Whether any reader has missed something that it was not told yet.
    #[must_use]
    pub fn owes_marks(&self) -> bool {
        self.subscribers.values().any(|subscriber| subscriber.lost > 0)
    }

    /// The marks for readers that have taken what they were too slow for, while nothing more happens.
    pub fn tell_lost(&mut self, time: Duration, untaken: impl Fn(u64) -> usize) -> Vec<(Asker, Reply)> {
        let last = self.told();
        let owed = self.subscribers.iter_mut().filter(|(_, subscriber)| subscriber.lost > 0);
        let served = owed.filter(|(asker, _)| untaken(asker.client) == 0);
        served
            .map(|(asker, subscriber)| (*asker, lost(last, std::mem::take(&mut subscriber.lost), time)))
            .collect()
    }

    /// Whether arbiter has to be asked to tell of its own, or not to; each answer is given once.
    pub fn next_watch(&mut self) -> Option<bool> {
        let wanted = self.is_wanted();
        if wanted == self.asked {
            return None;
        }
        self.asked = wanted;
        // What it says next says from where on.
        self.hears = false;
        Some(wanted)
    }

    /// When [`Feed::handle_deadline`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.kept.as_ref().map(|(until, _)| *until)
    }

    /// Nobody is expected back any more.
    pub fn handle_deadline(&mut self, now: Monotonic) {
        self.kept.take_if(|(until, _)| *until <= now);
    }
}

impl Subscriber {
    fn begin(&mut self, after: u64, replies: &mut Vec<Reply>) {
        (self.begun, self.at) = (true, after);
        replies.push(Reply::Chunk(Chunk::At(after)));
    }

    fn wants(&self, event: &Event) -> bool {
        let is_mark = matches!(event.kind, EventKind::Lost { .. });
        is_mark || self.patterns.is_empty() || self.patterns.iter().any(|it| matches(it, &event.subject))
    }
}

fn chunk(event: Event) -> Reply {
    Reply::Chunk(Chunk::Event(event))
}

fn lost(seq: u64, count: u64, time: Duration) -> Reply {
    chunk(Event { seq, time, subject: LOSER.into(), kind: EventKind::Lost { count } })
}

/// Whether `pattern` is the beginning of `subject`, in whole dotted parts; `*` is any one part.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut parts = subject.split('.');
    pattern.split('.').all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
