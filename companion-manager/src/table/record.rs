//! What outlives a manager: one record for each companion, and one for each of its slots.
//!
//! A record begins with the number of its form, so that another version of this program can tell whether it
//! understands it. The records of a companion are kept apart because one datagram has to hold each.

use super::oneoff::is_oneoff;
use super::{Companion, OneOff, Slot, Table, Will, fingerprint, history};
use proto::codec;
use proto::control::Token;
use proto::link::Record;
use proto::spec::StopSpec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use supervise::Unit;

/// The form of the records. Raised whenever a field of them changes.
pub(super) const FORM: u32 = 1;

/// A companion as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Stands for the version of the program that wrote it: the numbers that stand for settings can only be
    /// compared within one.
    pub(super) program: u64,
    pub(super) will: Will,
    pub(super) target: u32,
    /// The configuration's count at that time: a target outlives everything but another count.
    pub(super) configured: u32,
    pub(super) removed: bool,
    /// How a process of it is stopped when the specification does not have it any more.
    pub(super) stop: StopSpec,
    /// What it comes after, for the same case.
    pub(super) after: Vec<String>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) unit: Unit,
    pub(super) leaving: bool,
    pub(super) settings: u64,
    pub(super) status_text: Option<Box<str>>,
    /// Whether its run has given a sign of life: its silence counts from then on.
    pub(super) beats: bool,
    pub(super) oneoff: Option<OneOff>,
}

/// What a record's name and content say.
#[derive(Clone, Debug)]
pub(super) enum Parsed {
    Head { name: String, head: Head },
    Place { name: String, slot: u32, place: Box<Place> },
}

/// Stands for the version of this program.
pub(super) fn program() -> u64 {
    fingerprint::of_bytes(env!("CARGO_PKG_VERSION").as_bytes())
}

/// What the records of requests under way are called, before their token; no companion's name begins so.
pub(crate) const REQUEST: &str = "@request/";

/// The longest record of a request: each has to fit into a datagram with others.
const REQUEST_MAX: usize = 16 * 1024;

/// The name of the record of the request with this token.
fn request_name(token: &Token) -> String {
    token.iter().fold(REQUEST.to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// The token of the request that a record of this name is of.
pub(crate) fn token_of(name: &str) -> Option<Token> {
    let digits = name.strip_prefix(REQUEST)?;
    let mut token = [0; 16];
    for (index, byte) in token.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(token)
}

/// The record of a request under way; `None` when it would be too long.
pub(super) fn request<T: Serialize>(token: &Token, value: &T) -> Option<Record> {
    let content = codec::encode(&(FORM, value));
    (content.len() <= REQUEST_MAX).then(|| Record { name: request_name(token), content: Some(content) })
}

/// The record that removes a request's.
pub(super) fn no_request(token: &Token) -> Record {
    none(&request_name(token))
}

/// Reads the record of a request.
pub(super) fn parse_request<T: DeserializeOwned>(record: &Record) -> Option<(Token, T)> {
    let token = token_of(&record.name)?;
    let (form, rest) = record.content.as_deref()?.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*form) != FORM {
        return None;
    }
    Some((token, codec::decode(rest).ok()?))
}

/// The record that removes a companion's.
pub(super) fn none(name: &str) -> Record {
    Record { name: name.to_owned(), content: None }
}

/// The record that removes a slot's.
pub(super) fn no_slot(name: &str, slot: u32) -> Record {
    none(&slot_name(name, slot))
}

fn slot_name(name: &str, slot: u32) -> String {
    format!("{name}:{slot}")
}

/// Reads a record; `None` when it is of another form, contradicts itself or removes something.
pub(super) fn parse(record: &Record) -> Option<Parsed> {
    let (form, rest) = record.content.as_deref()?.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*form) != FORM || record.name.starts_with('@') {
        return None;
    }
    match record.name.rsplit_once(':') {
        Some((name, slot)) => {
            let (slot, place) = (slot.parse().ok()?, codec::decode::<Box<Place>>(rest).ok()?);
            let fits = is_oneoff(slot) == place.oneoff.is_some();
            fits.then(|| Parsed::Place { name: name.to_owned(), slot, place })
        }
        None => Some(Parsed::Head { name: record.name.clone(), head: codec::decode(rest).ok()? }),
    }
}

/// What stands for a record's content.
pub(super) fn told(record: &Record) -> u64 {
    record.content.as_deref().map_or(0, fingerprint::of_bytes)
}

fn head(companion: &Companion) -> Head {
    Head {
        program: program(),
        will: companion.will,
        target: companion.target,
        configured: companion.spec.count,
        removed: companion.removed,
        stop: companion.spec.stop,
        after: companion.spec.after.clone(),
    }
}

fn place(slot: &Slot) -> Place {
    Place {
        unit: slot.unit.clone(),
        leaving: slot.leaving,
        settings: slot.settings,
        status_text: slot.status_text.clone(),
        beats: slot.watch.beats(),
        oneoff: slot.oneoff.as_ref().map(OneOff::recorded),
    }
}

fn write<T: Serialize>(name: String, value: &T, told: &mut u64, records: &mut Vec<Record>) {
    let content = codec::encode(&(FORM, value));
    let stands = fingerprint::of_bytes(&content);
    if *told != stands {
        *told = stands;
        records.push(Record { name, content: Some(content) });
    }
}

impl Table {
    /// Adds the records of a companion that are not as arbiter has them.
    pub(super) fn write_records(&mut self, id: u32, records: &mut Vec<Record>) {
        let Some(companion) = self.companions.get_mut(&id) else { return };
        let name = companion.spec.name.clone();
        let whole = head(companion);
        write(name.clone(), &whole, &mut companion.told, records);
        for (&number, slot) in &mut companion.slots {
            let part = place(slot);
            write(slot_name(&name, number), &part, &mut slot.told, records);
        }
        if let Some(ends) = history::record(companion) {
            let stands = told(&ends);
            if std::mem::replace(&mut companion.history_told, stands) != stands {
                records.push(ends);
            }
        }
    }
}
