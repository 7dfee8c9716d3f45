//! What comes out of companions' streams: taken at once, so that no process waits for a reader, kept by slot, and
//! shown to whoever asks. Where bytes are kept is a memory file that arbiter holds before the first one is taken.

use super::inputs::Place;
use super::turn::Effect;
use super::{Shell, captures::UNTAKEN_MAX};
use crate::kept::{Kept, Taken};
use crate::table::{Asker, Key, shown};
use proto::control::{Answer, Chunk, Failure, FailureKind, Reply, Response};
use proto::link::{Channel, ToArbiter};
use proto::spec::CompanionSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

/// How many pieces are taken out of one stream before others have their turn.
const TURN: usize = 4;
/// How many at most when nothing is left of its process: more than a socket holds.
const LAST_TURN: usize = 1024;
/// With what the names of these memory files begin: those of captured output begin otherwise.
const PREFIX: &str = "stream ";

/// Somebody who is shown what comes out of a stream.
struct Reader {
    asker: Asker,
    kept: String,
    /// How far they are; `None`: at the beginning of what is kept.
    place: Option<u64>,
}

/// What is kept, and who is shown it.
#[derive(Default)]
pub(super) struct Streams {
    kept: BTreeMap<String, Kept>,
    readers: Vec<Reader>,
    /// Whether some of it may be of no use any more.
    may_be_stale: bool,
}

/// The name of what is kept of a slot's stream.
fn name_of(companion: &str, slot: u32, stream: &str) -> String {
    format!("{PREFIX}{stream} of {companion}:{slot}")
}

/// The sentence for a stream that a companion does not have.
pub(super) fn none_of_that_name(name: &str, stream: &str, spec: &CompanionSpec) -> String {
    format!("{name} has no stream called {stream}: add it to streams of companion.{}", spec.name)
}

impl Shell {
    /// Goes on with what managers before have kept, and with the streams of processes that outlived them. What is
    /// not a stream's comes back.
    pub(super) fn adopt_streams(&mut self, tails: Vec<(String, OwnedFd)>) -> Vec<(String, OwnedFd)> {
        let (streams, others): (Vec<_>, Vec<_>) =
            tails.into_iter().partition(|(name, _)| name.starts_with(PREFIX));
        for (name, file) in streams {
            match Kept::open(file) {
                Ok(kept) => drop(self.streams.kept.insert(name, kept)),
                Err(error) => tracing::error!("{name}: what was kept cannot be read: {error}"),
            }
        }
        for place in self.inputs.places(|place, _| matches!(place.1, Channel::Stream(_))) {
            match self.table.key_of(place.0) {
                Some(key) => self.begin_stream(&place, key),
                None => self.drop_input(&place, "it has ended"),
            }
        }
        self.streams.may_be_stale = true;
        others
    }

    /// Has the stream of a process read, from when arbiter holds what it is kept in.
    pub(super) fn begin_stream(&mut self, place: &Place, key: Key) {
        let Channel::Stream(stream) = &place.1 else { return };
        let Some(companion) = self.table.companion(key.companion) else { return };
        let name = name_of(&companion.spec.name, shown(key.slot), stream);
        if let Some(input) = self.inputs.get_mut(place) {
            input.kept = Some(name.clone());
        }
        if self.streams.kept.contains_key(&name) {
            return self.read_on(place, &name);
        }
        match Kept::create().and_then(|file| Ok((file.try_clone()?, file))) {
            Ok((theirs, ours)) => {
                self.outbox.hand_over(&ToArbiter::Tail { name: name.clone() }, vec![theirs]);
                self.outbox.then(Effect::KeepStream(name, ours));
            }
            Err(error) => tracing::error!("{name} is not read: {error}"),
        }
    }

    /// arbiter holds the memory file.
    pub(super) fn keep_stream(&mut self, name: String, file: OwnedFd) {
        match Kept::open(file) {
            Ok(kept) => drop(self.streams.kept.insert(name.clone(), kept)),
            Err(error) => return tracing::error!("{name} is not read: {error}"),
        }
        for place in self.inputs.places(|_, input| input.kept.as_ref() == Some(&name)) {
            self.read_on(&place, &name);
            if self.inputs.get_mut(&place).is_some_and(|input| input.is_over) {
                self.end_input(place.0);
            }
        }
    }

    fn read_on(&mut self, place: &Place, name: &str) {
        let kept = self.streams.kept.get_mut(name);
        let Some((input, kept)) = self.inputs.get_mut(place).zip(kept) else { return };
        match kept.settle(&input.end) {
            Ok(()) => input.is_read = true,
            Err(error) => tracing::error!("{name} is not read: {error}"),
        }
        self.watch_input(place);
    }

    /// Takes out what has come.
    pub(super) fn take_out(&mut self, place: &Place) {
        self.take_pieces(place, TURN);
        self.watch_input(place);
    }

    fn take_pieces(&mut self, place: &Place, most: usize) {
        let Some(input) = self.inputs.get_mut(place).filter(|input| input.is_read) else { return };
        let name = input.kept.clone().unwrap_or_default();
        let Some(kept) = self.streams.kept.get_mut(&name) else { return };
        for _ in 0..most {
            match kept.take(&input.end) {
                Ok(Taken::Bytes(_)) => {}
                Ok(Taken::Nothing) => return,
                Ok(Taken::End) => {
                    input.is_read = false;
                    return;
                }
                Err(error) => {
                    // Who leaves without having read all says so by an error.
                    if error.kind() != io::ErrorKind::ConnectionReset {
                        tracing::error!("{name} is not read any more: {error}");
                    }
                    input.is_read = false;
                    return;
                }
            }
        }
    }

    /// Nothing is left of a process: whether all of what came out of it is kept. Otherwise it will be when the file
    /// for it is there.
    pub(super) fn is_taken_out(&mut self, place: &Place) -> bool {
        self.take_pieces(place, LAST_TURN);
        let Some(input) = self.inputs.get_mut(place) else { return true };
        input.is_over = true;
        let Some(name) = &input.kept else { return true };
        self.streams.may_be_stale = true;
        self.streams.kept.contains_key(name)
    }

    /// `recv`.
    pub(super) fn receive(
        &mut self,
        asker: Asker,
        (name, stream): (&str, &str),
        follow: bool,
        after: Option<&[u8]>,
    ) {
        let kept = self.table.slot_of(name).and_then(|(key, spec)| {
            if spec.streams.iter().any(|known| known == stream) {
                Ok(name_of(&spec.name, shown(key.slot), stream))
            } else {
                Err(Failure::new(FailureKind::Refused, none_of_that_name(name, stream, spec)))
            }
        });
        let kept = match kept {
            Ok(kept) => kept,
            Err(failure) => return self.answer(asker, Reply::Failed(failure)),
        };
        for place in self.inputs.places(|_, input| input.kept.as_ref() == Some(&kept)) {
            self.take_out(&place);
        }
        let place = after.and_then(|after| Some(u64::from_le_bytes(after.try_into().ok()?)));
        let mut reader = Reader { asker, kept, place };
        if follow {
            return self.streams.readers.push(reader);
        }
        self.show_stream(&mut reader);
        self.answer(asker, Reply::Done(Answer::Done));
    }

    /// Shows a reader what it has not seen.
    fn show_stream(&mut self, reader: &mut Reader) {
        let Some(kept) = self.streams.kept.get(&reader.kept) else { return };
        let mut tell = |chunk| {
            let response = Response { id: reader.asker.id, reply: Reply::Chunk(chunk) };
            self.server.answer(reader.asker.client, &response, &self.reactor);
        };
        // A place that was never reached is one of a file that is no more.
        let place = reader.place.filter(|&place| place <= kept.end());
        if let Some(missed) = place.and_then(|place| kept.start().checked_sub(place)).filter(|&n| n > 0) {
            tell(Chunk::Lost(missed));
        }
        if place == Some(kept.end()) {
            return;
        }
        match kept.read(place.unwrap_or(0)) {
            // Whoever is cut off before anything comes has to know where it was, too.
            Ok(bytes) => tell(Chunk::Log { bytes, next: kept.end().to_le_bytes().to_vec() }),
            Err(error) => tracing::warn!("{} cannot be shown: {error}", reader.kept),
        }
        reader.place = Some(kept.end());
    }

    /// Shows those more who have taken what they were shown, and lets go what is of no use any more.
    pub(super) fn serve_streams(&mut self) {
        if std::mem::take(&mut self.streams.may_be_stale) {
            self.drop_stale_streams();
        }
        let mut readers = std::mem::take(&mut self.streams.readers);
        for reader in &mut readers {
            if self.server.owes(reader.asker.client) < UNTAKEN_MAX {
                self.show_stream(reader);
            }
        }
        self.streams.readers = readers;
    }

    /// A client has gone.
    pub(super) fn forget_stream_readers(&mut self, client: u64) {
        self.streams.readers.retain(|reader| reader.asker.client != client);
    }

    /// Companions have changed, or one is gone.
    pub(super) fn refresh_streams(&mut self) {
        self.streams.may_be_stale = true;
    }

    fn drop_stale_streams(&mut self) {
        let companions = self.table.companions().map(|(_, companion)| companion);
        let mut wanted: BTreeSet<String> = companions
            .filter(|companion| !companion.spec.streams.is_empty())
            .flat_map(|companion| {
                let slots = companion.slots.keys().filter(|&&slot| shown(slot) != 0);
                slots.flat_map(move |&slot| {
                    let streams = companion.spec.streams.iter();
                    streams.map(move |stream| name_of(&companion.spec.name, slot, stream))
                })
            })
            .collect();
        wanted.extend(self.inputs.kept().map(str::to_owned));
        let stale: Vec<String> =
            self.streams.kept.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in stale {
            self.streams.kept.remove(&name);
            self.outbox.say(&ToArbiter::DropTail { name });
        }
        let (stay, leave) = std::mem::take(&mut self.streams.readers)
            .into_iter()
            .partition(|reader: &Reader| wanted.contains(&reader.kept));
        self.streams.readers = stay;
        let leave: Vec<Reader> = leave;
        for mut reader in leave {
            self.show_stream(&mut reader);
            self.answer(reader.asker, Reply::Done(Answer::Done));
        }
    }
}
