//! What is said to arbiter and what is done, in one order.
//!
//! An effect stands behind the message that announces it, and is given out only when everything before it
//! has gone into the link. When the link is full, the effects wait with it while the loop goes on.

use proto::codec;
use proto::link::{MAX_DATAGRAM, MAX_DESCRIPTORS, SpawnIntent, ToArbiter, Transaction};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use sys::seqpacket::Link;

/// Room for a transaction's values in a datagram; the rest is for what surrounds them.
const ROOM: usize = MAX_DATAGRAM - 4096;

#[derive(Debug)]
enum Item<E> {
    Datagram { bytes: Vec<u8>, fds: Vec<OwnedFd> },
    Effect(E),
}

/// The queue; `E` is what an effect is.
#[derive(Debug)]
pub struct Outbox<E> {
    queue: VecDeque<Item<E>>,
    /// Whether there is nobody left to be told.
    severed: bool,
    blocked: bool,
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), severed: false, blocked: false }
    }
}

impl<E> Outbox<E> {
    /// Says something else than a transaction.
    pub fn say(&mut self, message: &ToArbiter) {
        self.enqueue(message, Vec::new());
    }

    /// Says something that tells of nothing else, before all that waits.
    pub fn say_first(&mut self, message: &ToArbiter) {
        self.say(message);
        self.queue.rotate_right(usize::from(!self.queue.is_empty()));
    }

    /// Says something else than a transaction, and hands descriptors over with it.
    pub fn hand_over(&mut self, message: &ToArbiter, fds: Vec<OwnedFd>) {
        self.enqueue(message, fds);
    }

    /// Says a transaction, in as many datagrams as it takes. `sockets` are the notify sockets of its
    /// spawns, in order.
    pub fn tell(&mut self, transaction: Transaction, sockets: Vec<OwnedFd>) {
        for (part, fds) in split(transaction, sockets) {
            self.enqueue(&ToArbiter::Transaction(part), fds);
        }
    }

    fn enqueue(&mut self, message: &ToArbiter, fds: Vec<OwnedFd>) {
        match sys::bulk::pack(message, fds) {
            Ok((bytes, fds)) => self.queue.push_back(Item::Datagram { bytes, fds }),
            Err(error) => tracing::error!("a long message to arbiter cannot be sent: {error}"),
        }
    }

    /// Has something done once everything before it has been said.
    pub fn then(&mut self, effect: E) {
        self.queue.push_back(Item::Effect(effect));
    }

    /// The next effect whose time has come, after sending what stands before it. `None`: there is none, or
    /// the link is full.
    ///
    /// # Errors
    ///
    /// When the other end is gone.
    pub fn next(&mut self, link: &Link) -> io::Result<Option<E>> {
        self.blocked = false;
        while let Some(item) = self.queue.pop_front() {
            match item {
                Item::Effect(effect) => return Ok(Some(effect)),
                Item::Datagram { .. } if self.severed => {}
                Item::Datagram { bytes, fds } => {
                    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                    let sent = link.send(&bytes, &borrowed);
                    drop(borrowed);
                    match sent {
                        Ok(false) => {}
                        Ok(true) => {
                            self.queue.push_front(Item::Datagram { bytes, fds });
                            self.blocked = true;
                            return Ok(None);
                        }
                        // It will never fit: going on without it is the lesser evil, and it is said aloud.
                        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                            tracing::error!("a message to arbiter was not sent: {error}");
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(None)
    }

    /// There is nobody left to be told: only effects count from now on.
    pub fn sever(&mut self) {
        self.severed = true;
    }

    /// Whether the link has to become writable first.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether everything was said and done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Cuts a transaction into parts that fit, keeping the order in which arbiter takes in its values: records,
/// exits, what is gone, outcomes, and at last spawns, which the others announce.
fn split(transaction: Transaction, sockets: Vec<OwnedFd>) -> Vec<(Transaction, Vec<OwnedFd>)> {
    let mut parts = Parts { done: Vec::new(), open: Transaction::default(), fds: Vec::new(), used: 0 };
    for record in transaction.records {
        parts.room_for(codec::encode(&record).len());
        parts.open.records.push(record);
    }
    for exit in transaction.exits {
        parts.room_for(codec::encode(&exit).len());
        parts.open.exits.push(exit);
    }
    for run in transaction.gone {
        parts.room_for(codec::encode(&run).len());
        parts.open.gone.push(run);
    }
    for outcome in transaction.outcomes {
        parts.room_for(codec::encode(&outcome).len());
        parts.open.outcomes.push(outcome);
    }
    parts.open.events = transaction.events;
    for (intent, socket) in transaction.spawns.into_iter().zip(sockets) {
        parts.spawn(intent, socket);
    }
    parts.close();
    parts.done
}

struct Parts {
    done: Vec<(Transaction, Vec<OwnedFd>)>,
    open: Transaction,
    fds: Vec<OwnedFd>,
    used: usize,
}

impl Parts {
    fn room_for(&mut self, size: usize) {
        if self.used + size > ROOM {
            self.close();
        }
        self.used += size;
    }

    fn spawn(&mut self, intent: SpawnIntent, socket: OwnedFd) {
        self.room_for(codec::encode(&intent).len());
        if self.fds.len() == MAX_DESCRIPTORS {
            self.close();
        }
        self.open.spawns.push(intent);
        self.fds.push(socket);
    }

    fn close(&mut self) {
        self.used = 0;
        let part = std::mem::take(&mut self.open);
        if !part.is_empty() {
            self.done.push((part, std::mem::take(&mut self.fds)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::link::Record;
    use supervise::RunId;
    use sys::seqpacket::{Received, pair};

    fn receive(link: &Link) -> Option<(Transaction, usize)> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        match link.recv(&mut buffer).unwrap() {
            Received::Datagram(datagram) => match sys::bulk::unpack(datagram.bytes, datagram.fds).unwrap() {
                (ToArbiter::Transaction(transaction), fds) => Some((transaction, fds.len())),
                (other, _) => panic!("expected a transaction, found {other:?}"),
            },
            Received::Empty => None,
            Received::Closed => panic!("the link is closed"),
        }
    }

    fn record(number: usize, size: usize) -> Record {
        Record { name: format!("r{number}"), content: Some(vec![7; size]) }
    }

    #[test]
    fn a_long_transaction_comes_in_parts_and_loses_nothing() {
        let (near, far) = pair().unwrap();
        let mut outbox: Outbox<()> = Outbox::default();
        let intent = |run| SpawnIntent { run: RunId(run), companion: "c".into(), slot: 1, replaces: None };
        let transaction = Transaction {
            records: (0..10).map(|number| record(number, 20_000)).collect(),
            spawns: (0..450).map(intent).collect(),
            ..Transaction::default()
        };
        let sockets = (0..450).map(|_| sys::fd::null().unwrap()).collect();
        outbox.tell(transaction, sockets);
        let (mut records, mut spawns) = (0, 0);
        while !outbox.is_empty() {
            outbox.next(&near).unwrap();
            while let Some((part, fds)) = receive(&far) {
                assert_eq!(part.spawns.len(), fds);
                assert!(part.records.is_empty() || spawns == 0, "records come before spawns");
                records += part.records.len();
                spawns += fds;
            }
        }
        assert_eq!((records, spawns), (10, 450));
    }

    #[test]
    fn effects_wait_behind_a_full_link_in_their_order() {
        let (near, far) = pair().unwrap();
        let mut outbox = Outbox::default();
        for number in 0..40 {
            let records = vec![record(number, 50_000)];
            outbox.tell(Transaction { records, ..Transaction::default() }, Vec::new());
            outbox.then(number);
        }
        let mut done = Vec::new();
        let mut told = 0;
        let mut rounds = 0;
        while done.len() < 40 {
            while let Some(effect) = outbox.next(&near).unwrap() {
                done.push(effect);
            }
            assert!(outbox.is_blocked() || done.len() == 40);
            while receive(&far).is_some() {
                told += 1;
            }
            assert!(told >= done.len(), "an effect overtook its announcement");
            rounds += 1;
        }
        assert!(rounds > 1, "the link never was full");
        assert_eq!(done, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn with_nobody_left_to_tell_only_effects_come() {
        let (near, far) = pair().unwrap();
        drop(far);
        let mut outbox = Outbox::default();
        outbox.tell(Transaction { records: vec![record(1, 10)], ..Transaction::default() }, Vec::new());
        outbox.then(1);
        assert!(outbox.next(&near).is_err());
        outbox.sever();
        outbox.tell(Transaction { records: vec![record(1, 10)], ..Transaction::default() }, Vec::new());
        outbox.then(2);
        assert_eq!(outbox.next(&near).unwrap(), Some(1));
        assert_eq!(outbox.next(&near).unwrap(), Some(2));
        assert_eq!(outbox.next(&near).unwrap(), None);
    }
}
