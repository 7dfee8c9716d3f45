//! The loop's side: what the thread is told, and what it has said. The thread is there from the first pipe on.

use super::mover::Mover;
use super::orders::{Order, Origin, Report, SinkSpec, Want};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use sys::reactor::{Interest, Reactor, Token};

/// A pipe that the thread empties.
#[derive(Debug)]
struct Held {
    companion: String,
    slot: u32,
    sink: SinkSpec,
}

/// The way to the thread and back.
#[derive(Debug)]
struct Thread {
    orders: Sender<Order>,
    /// Written to when something is ordered.
    bell: File,
    reports: Receiver<Report>,
    /// Can be read when something is reported.
    reported: OwnedFd,
}

/// What the loop knows of captured output.
#[derive(Debug)]
pub(crate) struct Hand {
    /// What the loop's set calls it.
    token: Token,
    thread: Option<Thread>,
    pipes: BTreeMap<Origin, Held>,
    /// Sinks with a memory file.
    tails: BTreeMap<String, SinkSpec>,
    /// All sinks that the thread was told of since they were needed.
    sinks: BTreeMap<String, SinkSpec>,
    flush: Flush,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    NotAsked,
    Asked,
    Done,
}

impl Hand {
    pub(crate) fn new(token: Token) -> Self {
        Self {
            token,
            thread: None,
            pipes: BTreeMap::new(),
            tails: BTreeMap::new(),
            sinks: BTreeMap::new(),
            flush: Flush::NotAsked,
        }
    }

    fn start(&self, reactor: &Reactor) -> io::Result<Thread> {
        let (orders, taken) = channel();
        let (told, reports) = channel();
        let (ordered, bell) = sys::pipe::nonblocking_pair()?;
        let (reported, their_bell) = sys::pipe::nonblocking_pair()?;
        let mover = Mover::new(taken, ordered, told, their_bell)?;
        // Signals are the loop's: the thread inherits that they are blocked.
        let blocked = sys::signals::block_all()?;
        let started = std::thread::Builder::new().name("captured output".into()).spawn(move || mover.run());
        drop(blocked);
        started?;
        reactor.register(&reported, self.token, Interest::READ)?;
        Ok(Thread { orders, bell: File::from(bell), reports, reported })
    }

    fn order(&mut self, reactor: &Reactor, order: Order) {
        if self.thread.is_none() {
            match self.start(reactor) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => return tracing::error!("captured output cannot be moved: {error}"),
            }
        }
        let Some(thread) = &self.thread else { return };
        if thread.orders.send(order).is_err() {
            // Nothing is lost with this manager; the next one has another thread.
            tracing::error!("what moves captured output has failed: making room for another manager");
            std::process::exit(1);
        }
        // A full bell has been rung.
        let _ = (&thread.bell).write(&[1]);
    }

    /// A pipe of a process that is about to be, or that outlived the manager before.
    pub(crate) fn take(
        &mut self,
        reactor: &Reactor,
        origin: Origin,
        (companion, slot): (&str, u32),
        end: OwnedFd,
        sink: SinkSpec,
    ) {
        self.sinks.insert(sink.name.clone(), sink.clone());
        let held = Held { companion: companion.to_owned(), slot, sink: sink.clone() };
        self.pipes.insert(origin, held);
        self.order(reactor, Order::Take { origin, end, sink });
    }

    /// Settings may have changed: `wanted` says where the output of a companion's slot goes now; `None`: the
    /// companion is no more.
    pub(crate) fn refresh(&mut self, reactor: &Reactor, wanted: impl Fn(&str, u32) -> Option<SinkSpec>) {
        let mut orders = Vec::new();
        for (&origin, held) in &mut self.pipes {
            match wanted(&held.companion, held.slot) {
                Some(sink) if sink != held.sink => {
                    held.sink = sink.clone();
                    self.sinks.insert(sink.name.clone(), sink.clone());
                    orders.push(Order::Redirect { origin, sink });
                }
                Some(_) => {}
                None => orders.push(Order::Release { origin }),
            }
        }
        for order in orders {
            self.order(reactor, order);
        }
    }

    /// Names of memory files that belong to no sink which `is_wanted`; they are forgotten.
    pub(crate) fn drop_tails(
        &mut self,
        reactor: &Reactor,
        is_wanted: impl Fn(&SinkSpec) -> bool,
    ) -> Vec<String> {
        let dropped = self.tails.values().filter(|sink| !is_wanted(sink)).map(|sink| sink.name.clone());
        let dropped: Vec<String> = dropped.collect();
        for name in &dropped {
            self.tails.remove(name);
            self.order(reactor, Order::DropTail { name: name.clone() });
        }
        dropped
    }

    /// The sink of that name, where a memory file may be made for it.
    pub(crate) fn sink(&self, name: &str) -> Option<&SinkSpec> {
        self.sinks.get(name)
    }

    /// arbiter holds the memory file.
    pub(crate) fn keep_tail(&mut self, reactor: &Reactor, sink: SinkSpec, file: OwnedFd) {
        self.sinks.insert(sink.name.clone(), sink.clone());
        self.tails.insert(sink.name.clone(), sink.clone());
        self.order(reactor, Order::Tail { sink, file });
    }

    /// The thread has no more use for a memory file.
    pub(crate) fn forget_tail(&mut self, name: &str) {
        self.tails.remove(name);
    }

    /// A pipe has been taken to its end.
    pub(crate) fn ended(&mut self, origin: Origin) {
        self.pipes.remove(&origin);
        let (pipes, tails) = (&self.pipes, &self.tails);
        self.sinks
            .retain(|name, _| tails.contains_key(name) || pipes.values().any(|held| held.sink.name == *name));
    }

    /// Files are opened anew.
    pub(crate) fn reopen(&mut self, reactor: &Reactor) {
        if self.thread.is_some() {
            self.order(reactor, Order::Reopen);
        }
    }

    /// Somebody wants to be shown something.
    pub(crate) fn read(&mut self, reactor: &Reactor, reader: u64, want: Want) {
        self.order(reactor, Order::Read { reader, want });
    }

    /// A reader has room for a piece.
    pub(crate) fn more(&mut self, reactor: &Reactor, reader: u64) {
        self.order(reactor, Order::More { reader });
    }

    /// A reader has gone.
    pub(crate) fn leave(&mut self, reactor: &Reactor, reader: u64) {
        self.order(reactor, Order::Leave { reader });
    }

    /// Whether all that was written has been moved; asked once.
    pub(crate) fn is_flushed(&mut self, reactor: &Reactor) -> bool {
        if self.thread.is_none() {
            return true;
        }
        if self.flush == Flush::NotAsked {
            self.flush = Flush::Asked;
            self.order(reactor, Order::Flush);
        }
        self.flush == Flush::Done
    }

    /// What the thread has said.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        let Some(thread) = &self.thread else { return Vec::new() };
        let mut bytes = [0; 256];
        if let Ok(Some(0)) | Err(_) = sys::pipe::read(&thread.reported, &mut bytes) {
            tracing::error!("what moves captured output has failed: making room for another manager");
            std::process::exit(1);
        }
        let reports: Vec<Report> = thread.reports.try_iter().collect();
        if reports.iter().any(|report| matches!(report, Report::Flushed)) {
            self.flush = Flush::Done;
        }
        reports
    }
}
