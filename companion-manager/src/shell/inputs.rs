//! Writing to standard inputs that are pipes, and to streams. arbiter holds this side's ends too, so that no process
//! sees an end when a manager dies.

use super::turn::Effect;
use super::{Shell, Source, now};
use crate::backlog::{Backlog, Next, PATIENCE, Sending};
use crate::table::Asker;
use proto::control::{Answer, Failure, FailureKind, Reply, SendRequest};
use proto::link::{Channel, ToArbiter, Transaction};
use proto::spec::{CompanionSpec, Stdin};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use supervise::{Monotonic, RunId};
use sys::reactor::Interest;

/// Whose way in, and which.
pub(super) type Place = (RunId, Channel);

/// One way into a process; where it is a stream, the way out too.
pub(super) struct Input {
    pub(super) end: OwnedFd,
    /// Who is answered when it is written; `None`: they have been already.
    backlog: Backlog<Option<Asker>>,
    /// Whether there was no room.
    is_full: bool,
    /// Where what comes out of a stream is kept, while anything may.
    pub(super) kept: Option<String>,
    /// Whether that file is there.
    pub(super) is_read: bool,
    /// Whether nothing is left of the process.
    pub(super) is_over: bool,
    /// The loop's name for it.
    number: u64,
    watched: Option<Interest>,
}

/// All ways into processes.
#[derive(Default)]
pub(super) struct Inputs {
    all: BTreeMap<Place, Input>,
    numbers: BTreeMap<u64, Place>,
    next_number: u64,
}

impl Inputs {
    /// Those of processes that outlived the manager before.
    pub(super) fn new(adopted: Vec<(Place, OwnedFd)>) -> Self {
        let mut inputs = Self::default();
        adopted.into_iter().for_each(|(place, end)| inputs.insert(place, end));
        inputs
    }

    pub(super) fn insert(&mut self, place: Place, end: OwnedFd) {
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(number, place.clone());
        let input = Input {
            end,
            backlog: Backlog::default(),
            is_full: false,
            kept: None,
            is_read: false,
            is_over: false,
            number,
            watched: None,
        };
        self.all.insert(place, input);
    }

    pub(super) fn get_mut(&mut self, place: &Place) -> Option<&mut Input> {
        self.all.get_mut(place)
    }

    /// Those that `is_meant` says.
    pub(super) fn places(&self, is_meant: impl Fn(&Place, &Input) -> bool) -> Vec<Place> {
        let meant = self.all.iter().filter(|(place, input)| is_meant(place, input));
        meant.map(|(place, _)| place.clone()).collect()
    }

    /// Where what comes out of streams is kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = &str> {
        self.all.values().filter_map(|input| input.kept.as_deref())
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.all.values().filter_map(|input| input.backlog.deadline()).min()
    }
}

/// As it is called in a sentence.
fn named(channel: &Channel) -> String {
    match channel {
        Channel::Stdin => "standard input".into(),
        Channel::Stream(name) => format!("stream {name}"),
    }
}

/// The way in that a request is for.
fn channel(name: &str, stream: Option<String>, spec: &CompanionSpec) -> Result<Channel, Failure> {
    let refused = |text: String| Err(Failure::new(FailureKind::Refused, text));
    match stream {
        None if spec.stdin == Stdin::Pipe => Ok(Channel::Stdin),
        None => refused(format!(
            "{name} has no standard input to write to: set stdin = \"pipe\" of companion.{}",
            spec.name
        )),
        Some(stream) if spec.streams.contains(&stream) => Ok(Channel::Stream(stream)),
        Some(stream) => refused(super::streams::none_of_that_name(name, &stream, spec)),
    }
}

impl Shell {
    /// Somebody wants something to be written to a companion.
    pub(super) fn send_input(&mut self, asker: Asker, wait: bool, request: SendRequest) {
        let SendRequest { name, stream, data, eof } = request;
        let found = self.table.process_of(&name);
        let place = found.and_then(|(run, spec)| Ok((run, channel(&name, stream, spec)?)));
        let place = match place {
            Ok(place) => place,
            Err(failure) => return self.reply(asker, Err(failure)),
        };
        let refused = |text: String| Err(Failure::new(FailureKind::Refused, text));
        let what = named(&place.1);
        let Some(input) = self.inputs.get_mut(&place) else {
            let text = format!("the {what} of {name} was closed: restart it to open it again");
            return self.reply(asker, refused(text));
        };
        let to = wait.then_some(asker);
        if input.backlog.push(Sending { to, data, eof }, now()).is_err() {
            let text = format!("the {what} of {name} is full: it does not read it; try again later");
            return self.reply(asker, refused(text));
        }
        if !wait {
            self.reply(asker, Ok(()));
        }
        self.write_on(&place);
    }

    /// There is room in one, or something in a stream.
    pub(super) fn input_stirs(&mut self, number: u64, readable: bool) {
        let Some(place) = self.inputs.numbers.get(&number).cloned() else { return };
        if readable {
            self.take_out(&place);
        }
        self.write_on(&place);
    }

    /// Writes what there is room for.
    fn write_on(&mut self, place: &Place) {
        loop {
            let Some(input) = self.inputs.get_mut(place) else { return };
            input.is_full = false;
            match input.backlog.poll() {
                Next::Rest => return self.watch_input(place),
                Next::Done(Sending { to, eof, .. }) => {
                    if eof {
                        self.close_input(place);
                    }
                    to.into_iter().for_each(|asker| self.reply(asker, Ok(())));
                }
                Next::Write(bytes) => match sys::pipe::write(&input.end, bytes) {
                    Ok(Some(count)) => input.backlog.wrote(count, now()),
                    Ok(None) => {
                        input.is_full = true;
                        return self.watch_input(place);
                    }
                    Err(error) => {
                        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
                        let reason = match is_closed {
                            true => format!("its {} is closed", named(&place.1)),
                            false => format!("its {} cannot be written to: {error}", named(&place.1)),
                        };
                        self.fail_writing(place, &reason);
                        if place.1 == Channel::Stdin {
                            self.drop_input(place, &reason);
                        }
                        return self.watch_input(place);
                    }
                },
            }
        }
    }

    /// The process is to see the end.
    fn close_input(&mut self, place: &Place) {
        let reason = format!("its {} was closed", named(&place.1));
        let Some(input) = self.inputs.get_mut(place) else { return };
        if place.1 == Channel::Stdin {
            self.outbox.say(&ToArbiter::CloseInput { run: place.0 });
            return self.drop_input(place, &reason);
        }
        if let Err(error) = sys::stream::end_writing(&input.end) {
            tracing::debug!("run {}: its {} had been closed: {error}", place.0, named(&place.1));
        }
        self.fail_writing(place, &reason);
    }

    /// Has the loop tell of what is waited for.
    pub(super) fn watch_input(&mut self, place: &Place) {
        let Some(input) = self.inputs.all.get_mut(place) else { return };
        let wanted = match (input.is_read, input.is_full) {
            (false, false) => None,
            (true, false) => Some(Interest::READ),
            (false, true) => Some(Interest::WRITE),
            (true, true) => Some(Interest::BOTH),
        };
        let token = Source::Input(input.number).token();
        let changed = match (input.watched, wanted) {
            (before, after) if before == after => return,
            (None, Some(interest)) => self.reactor.register(&input.end, token, interest),
            (Some(_), Some(interest)) => self.reactor.modify(&input.end, token, interest),
            (_, None) => self.reactor.deregister(&input.end),
        };
        match changed {
            Ok(()) => input.watched = wanted,
            Err(error) => {
                tracing::error!("run {}: its {} cannot be watched: {error}", place.0, named(&place.1));
            }
        }
    }

    /// Gives up what waits for processes that do not read.
    pub(super) fn give_up_writing(&mut self, at: Monotonic) {
        let due = |input: &Input| input.backlog.deadline().is_some_and(|deadline| deadline <= at);
        for place in self.inputs.places(|_, input| due(input)) {
            let seconds = PATIENCE.as_secs();
            let reason = format!("its {} is full: nothing was read for {seconds} s", named(&place.1));
            self.fail_writing(&place, &reason);
            if let Some(input) = self.inputs.get_mut(&place) {
                input.is_full = false;
            }
            self.watch_input(&place);
        }
    }

    /// Nothing of a run is left.
    pub(super) fn end_input(&mut self, run: RunId) {
        for place in self.inputs.places(|place, _| place.0 == run) {
            if self.is_taken_out(&place) {
                self.drop_input(&place, "it has ended");
            }
        }
    }

    pub(super) fn drop_input(&mut self, place: &Place, reason: &str) {
        self.fail_writing(place, reason);
        let Some(input) = self.inputs.get_mut(place) else { return };
        (input.is_read, input.is_full) = (false, false);
        self.watch_input(place);
        if let Some(input) = self.inputs.all.remove(place) {
            self.inputs.numbers.remove(&input.number);
        }
    }

    fn fail_writing(&mut self, place: &Place, reason: &str) {
        let Some(input) = self.inputs.get_mut(place) else { return };
        for (Sending { to, data, .. }, written) in input.backlog.give_up() {
            let text = format!("{reason}; {written} of {} bytes were written", data.len());
            match to {
                Some(asker) => self.reply(asker, Err(Failure::new(FailureKind::Refused, text))),
                None => tracing::warn!("run {}: what was sent is lost: {text}", place.0),
            }
        }
    }

    fn reply(&mut self, asker: Asker, result: Result<(), Failure>) {
        let reply = result.map_or_else(Reply::Failed, |()| Reply::Done(Answer::Done));
        let (mut transaction, mut after): (_, Vec<Effect>) = (Transaction::default(), Vec::new());
        self.settle(asker, reply, &mut transaction, &mut after);
        self.send(transaction, Vec::new(), after, Vec::new());
    }
}
