//! The thread that moves captured output.

use super::orders::{Order, Origin, Place, Report, SinkSpec};
use super::pipe::{Pipe, Pumped};
use super::reader::{Next, Reader};
use super::sink::{KEPT, Sink};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use supervise::Monotonic;
use sys::reactor::{Interest, Reactor, Token};
use sys::splice::Glass;

/// The most that all memory files keep together.
const KEPT_TOGETHER: u64 = 64 << 20;
/// A pipe is looked at so much at a time.
const LOOK: usize = 64 << 10;
/// How long a pipe's next bytes are let gather: waking for each line costs more than moving it.
const GATHER: Duration = Duration::from_micros(200);
/// How soon what a sink could not take is offered again.
const AGAIN: Duration = Duration::from_millis(100);
/// The token of the loop's orders; pipes count from 1.
const ORDERS: Token = Token(0);

/// The thread's state.
pub(super) struct Mover {
    reactor: Reactor,
    orders: Receiver<Order>,
    reports: Sender<Report>,
    /// Written to when something is reported.
    bell: File,
    /// Can be read when something is ordered.
    ordered: OwnedFd,
    pipes: BTreeMap<u64, Pipe>,
    numbers: BTreeMap<Origin, u64>,
    next_number: u64,
    sinks: BTreeMap<String, Sink>,
    readers: BTreeMap<u64, Reader>,
    /// Pipes that have something.
    ready: BTreeSet<u64>,
    /// Pipes whose sink takes nothing now.
    waiting: BTreeSet<u64>,
    /// Sinks that were written to in this turn.
    written: BTreeSet<String>,
    glass: Glass,
    buffer: Vec<u8>,
}

fn now() -> Monotonic {
    Monotonic::from_boot(sys::clock::monotonic())
}

impl Mover {
    pub(super) fn new(
        orders: Receiver<Order>,
        ordered: OwnedFd,
        reports: Sender<Report>,
        bell: OwnedFd,
    ) -> io::Result<Self> {
        let reactor = Reactor::new()?;
        reactor.register(&ordered, ORDERS, Interest::READ)?;
        Ok(Self {
            reactor,
            orders,
            reports,
            bell: File::from(bell),
            ordered,
            pipes: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: 1,
            sinks: BTreeMap::new(),
            readers: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            written: BTreeSet::new(),
            glass: Glass::new()?,
            buffer: vec![0; LOOK],
        })
    }

    /// Until the loop has gone.
    pub(super) fn run(mut self) {
        while self.turn() {}
    }

    fn turn(&mut self) -> bool {
        let timeout = self.next_deadline().map(|deadline| deadline.since(now()));
        if let Err(error) = self.reactor.wait(timeout) {
            tracing::error!("captured output cannot be waited for: {error}");
            return false;
        }
        let tokens: Vec<Token> = self.reactor.events().map(|event| event.token).collect();
        let is_ordered = tokens.contains(&ORDERS);
        self.ready.extend(tokens.into_iter().map(|token| token.0).filter(|&number| number != 0));
        if is_ordered && !self.obey() {
            return false;
        }
        let now = now();
        self.ready.append(&mut self.waiting);
        let moved = self.pump_ready(now);
        self.retry(now);
        self.ask_for_tails();
        self.serve_readers();
        if moved > 0 && moved < LOOK / 4 && self.ready.is_empty() {
            std::thread::sleep(GATHER);
        }
        true
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        if !self.ready.is_empty() {
            return Some(now());
        }
        let again = (!self.waiting.is_empty()).then(|| now() + AGAIN);
        self.sinks.values().filter_map(Sink::next_try).chain(again).min()
    }

    fn obey(&mut self) -> bool {
        let mut bytes = [0; 256];
        match sys::pipe::read(&self.ordered, &mut bytes) {
            Ok(Some(0)) | Err(_) => return false,
            Ok(_) => {}
        }
        while let Ok(order) = self.orders.try_recv() {
            self.handle(order);
        }
        true
    }

    fn handle(&mut self, order: Order) {
        match order {
            Order::Take { origin, end, sink } => self.take(origin, end, sink),
            Order::Redirect { origin, sink } => self.redirect(origin, sink),
            Order::Release { origin } => self.release(origin),
            Order::Tail { sink, file } => {
                let name = sink.name.clone();
                self.settle_sink(sink);
                if let Some(sink) = self.sinks.get_mut(&name) {
                    sink.set_tail(file, now());
                }
            }
            Order::DropTail { name } => {
                if let Some(sink) = self.sinks.get_mut(&name) {
                    sink.drop_tail();
                }
            }
            Order::Reopen => self.sinks.values_mut().for_each(|sink| sink.reopen(now())),
            Order::Read { reader, want } => {
                for sink in &want.sinks {
                    self.settle_sink(sink.clone());
                }
                self.readers.insert(reader, Reader::new(&want));
            }
            Order::More { reader } => {
                if let Some(reader) = self.readers.get_mut(&reader) {
                    reader.has_room = true;
                }
            }
            Order::Leave { reader } => drop(self.readers.remove(&reader)),
            Order::Flush => self.flush(),
        }
    }

    /// The sink of that name, as it is to be from now on.
    fn settle_sink(&mut self, spec: SinkSpec) {
        let name = spec.name.clone();
        match self.sinks.get_mut(&name) {
            Some(sink) => sink.spec = spec,
            None => drop(self.sinks.insert(name, Sink::new(spec))),
        }
    }

    fn take(&mut self, origin: Origin, end: OwnedFd, spec: SinkSpec) {
        let name = spec.name.clone();
        self.settle_sink(spec);
        let number = self.next_number;
        self.next_number += 1;
        if let Err(error) = self.reactor.register(&end, Token(number), Interest::READ_ONCE) {
            tracing::error!("captured output of run {} cannot be waited for: {error}", origin.0);
        }
        if let Some(sink) = self.sinks.get_mut(&name).filter(|_| sys::splice::is_marked(&end)) {
            sink.set_last(origin, &end, now());
        }
        self.pipes.insert(number, Pipe::new(origin, end, name));
        self.numbers.insert(origin, number);
        self.ready.insert(number);
    }

    fn redirect(&mut self, origin: Origin, spec: SinkSpec) {
        let name = spec.name.clone();
        self.settle_sink(spec);
        let pipe = self.numbers.get(&origin).and_then(|number| self.pipes.get_mut(number));
        if let Some(pipe) = pipe.filter(|pipe| pipe.sink != name) {
            let before = std::mem::replace(&mut pipe.sink, name);
            if let Some(sink) = self.sinks.get_mut(&before) {
                sink.forget(origin);
            }
            self.forget_idle_sinks();
        }
    }

    fn release(&mut self, origin: Origin) {
        if let Some(&number) = self.numbers.get(&origin) {
            self.call_last(number);
            self.pump_ready(now());
            self.end(number);
        }
    }

    /// All that lies in pipes now is moved: a turn's worth of each is as much as a pipe can hold, and one that is
    /// written to without end has no other end.
    fn flush(&mut self) {
        for number in self.pipes.keys().copied().collect::<Vec<_>>() {
            self.call_last(number);
        }
        self.pump_ready(now());
        self.report(Report::Flushed);
    }

    /// What a pipe holds is moved next, also the beginning of a line: somebody may hold its other end for ever.
    fn call_last(&mut self, number: u64) {
        if let Some(pipe) = self.pipes.get_mut(&number) {
            pipe.is_last_call = true;
            self.ready.insert(number);
        }
    }

    /// Moves what there is, for each pipe a turn's worth; how many bytes.
    fn pump_ready(&mut self, now: Monotonic) -> usize {
        let tails = self.sinks.values().filter(|sink| sink.tail().is_some()).count() as u64;
        let limit = KEPT.min(KEPT_TOGETHER / tails.max(1));
        let mut all = 0;
        for number in std::mem::take(&mut self.ready) {
            let Some(pipe) = self.pipes.get_mut(&number) else { continue };
            let Some(sink) = self.sinks.get_mut(&pipe.sink) else { continue };
            let pumped = pipe.pump(sink, limit, &mut self.glass, &mut self.buffer, now);
            let (pumped, moved) = pumped.unwrap_or_else(|error| {
                tracing::error!("captured output of {} cannot be read: {error}", sink.spec.companion);
                (Pumped::Ended, 0)
            });
            if moved > 0 {
                all += moved;
                self.written.insert(pipe.sink.clone());
            }
            match pumped {
                Pumped::Idle => {}
                Pumped::More => drop(self.ready.insert(number)),
                Pumped::Waits => drop(self.waiting.insert(number)),
                Pumped::Ended => self.end(number),
            }
        }
        all
    }

    fn end(&mut self, number: u64) {
        let Some(pipe) = self.pipes.remove(&number) else { return };
        if let Err(error) = self.reactor.deregister(&pipe.end) {
            tracing::debug!("a pipe could not be taken out of the set: {error}");
        }
        if let Some(sink) = self.sinks.get_mut(&pipe.sink) {
            sink.forget(pipe.origin);
        }
        self.numbers.remove(&pipe.origin);
        self.ready.remove(&number);
        self.waiting.remove(&number);
        self.report(Report::Ended(pipe.origin));
        self.forget_idle_sinks();
    }

    /// Files that nobody writes to or reads are closed. What is kept in memory stays until it is dropped.
    fn forget_idle_sinks(&mut self) {
        let (pipes, readers) = (&self.pipes, &self.readers);
        self.sinks.retain(|name, sink| {
            sink.tail().is_some()
                || sink.asked
                || pipes.values().any(|pipe| pipe.sink == *name)
                || readers.values().any(|reader| reader.shows(name))
        });
    }

    fn retry(&mut self, now: Monotonic) {
        let due: Vec<String> = self
            .sinks
            .iter()
            .filter(|(_, sink)| sink.next_try().is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(sink) = self.sinks.get_mut(&name) else { continue };
            if sink.retry(now) && sink.spec.place != Place::Memory {
                sink.drop_tail();
                self.written.insert(name.clone());
                self.report(Report::DropsTail(name));
            }
        }
    }

    fn ask_for_tails(&mut self) {
        let mut names = Vec::new();
        for (name, sink) in self.sinks.iter_mut().filter(|(_, sink)| sink.wants_tail()) {
            sink.asked = true;
            names.push(name.clone());
        }
        for name in names {
            self.report(Report::WantsTail(name));
        }
    }

    fn serve_readers(&mut self) {
        let mut reports = Vec::new();
        let written = std::mem::take(&mut self.written);
        for (&reader, state) in self.readers.iter_mut().filter(|(_, state)| state.has_room) {
            if state.is_at_end && !written.iter().any(|sink| state.shows(sink)) {
                continue;
            }
            match state.next(&self.sinks) {
                Ok(Next::Piece(bytes, next)) => {
                    state.has_room = false;
                    state.is_at_end = false;
                    reports.push(Report::Piece { reader, bytes, next });
                }
                Ok(Next::Nothing) => state.is_at_end = true,
                Ok(Next::End) => reports.push(Report::End { reader }),
                Err(error) => {
                    tracing::warn!("captured output cannot be shown: {error}");
                    reports.push(Report::End { reader });
                }
            }
        }
        for report in reports {
            if let Report::End { reader } = &report {
                self.readers.remove(reader);
            }
            self.report(report);
        }
    }

    fn report(&self, report: Report) {
        // Where the loop has gone, the thread is about to.
        if self.reports.send(report).is_ok() {
            // A full bell has been rung.
            let _ = (&self.bell).write(&[1]);
        }
    }
}
