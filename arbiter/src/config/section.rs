//! One table of the configuration while it is read: typed access to its keys, unknown ones reported.

use super::diagnostic::{Diagnostics, Fault, Place};
use super::keys::Keys;
use super::tree::{Data, Entry, Node, Table};
use super::value::{self, Reading};

/// A value that was given, and where.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it was written.
    pub(crate) place: Place,
}

/// A table being read.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    table: Option<&'a Table>,
    keys: Keys,
    diagnostics: &'a Diagnostics,
}

impl<'a> Section<'a> {
    /// A table with the keys it may have; `title` names it in messages, as `[workers]`. Unknown keys are
    /// reported here.
    pub(crate) fn open(table: &'a Table, keys: Keys, title: &str, diagnostics: &'a Diagnostics) -> Self {
        for entry in &table.entries {
            if !keys.iter().any(|key| key == entry.key) {
                diagnostics.report(entry.place, unknown_key(entry, keys, title));
            }
        }
        Self { table: Some(table), keys, diagnostics }
    }

    /// A table that was not written: all keys have their defaults.
    pub(crate) fn absent(keys: Keys, diagnostics: &'a Diagnostics) -> Self {
        Self { table: None, keys, diagnostics }
    }

    /// The table under `key` of another one; absent when there is none or it is not one, which is reported.
    pub(crate) fn sub(&self, key: &str, keys: Keys, title: &str) -> Self {
        match self.entry(key).map(|entry| &entry.node) {
            Some(Node { data: Data::Table(table), .. }) => Self::open(table, keys, title, self.diagnostics),
            Some(node) => {
                self.diagnostics.report(node.place, value::wrong_type("a table", node));
                Self::absent(keys, self.diagnostics)
            }
            None => Self::absent(keys, self.diagnostics),
        }
    }

    /// A key as it was written.
    pub(crate) fn entry(&self, key: &str) -> Option<&'a Entry> {
        debug_assert!(self.knows(key), "{key} is missing in the list of keys");
        self.table?.get(key)
    }

    /// Whether a key was given, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// What a key is set to. What is wrong with it is reported, and it counts as not given.
    pub(crate) fn read<T>(&self, key: &str, reading: impl Fn(&Node) -> Reading<T>) -> Option<Found<T>> {
        let node = &self.entry(key)?.node;
        match reading(node) {
            Ok(value) => Some(Found { value, place: node.place }),
            Err(fault) => {
                self.diagnostics.report(node.place, fault);
                None
            }
        }
    }

    /// As [`Self::read`], without the place.
    pub(crate) fn value<T>(&self, key: &str, reading: impl Fn(&Node) -> Reading<T>) -> Option<T> {
        self.read(key, reading).map(|found| found.value)
    }

    /// As [`Self::value`], or what holds when it is not given.
    pub(crate) fn value_or<T>(&self, key: &str, default: T, reading: impl Fn(&Node) -> Reading<T>) -> T {
        self.value(key, reading).unwrap_or(default)
    }

    /// The strings of an array, each with its place. What is wrong with one is reported, and the others count.
    pub(crate) fn words(&self, key: &str) -> Vec<(String, Place)> {
        let list = self.value_or(key, Vec::new(), |node| value::strings(node).map(<[Node]>::to_vec));
        let word = |item: &Node| match value::text(item) {
            Ok(text) => Some((text, item.place)),
            Err(fault) => {
                self.diagnostics.report(item.place, fault);
                None
            }
        };
        list.iter().filter_map(word).collect()
    }

    /// Where to point at when `key` is wrong together with others: its value, or the table.
    pub(crate) fn place_of(&self, key: &str) -> Option<Place> {
        self.entry(key).map(|entry| entry.node.place).or(self.table.map(|table| table.place))
    }

    /// Reports a contradiction at the first of `keys` that was given, else at the table.
    pub(crate) fn contradiction(&self, keys: &[&str], fault: Fault) {
        let place = keys.iter().find_map(|key| self.entry(key)).map(|entry| entry.node.place);
        match place.or(self.table.map(|table| table.place)) {
            Some(place) => self.diagnostics.report(place, fault),
            None => self.diagnostics.error_anywhere(fault),
        }
    }

    /// Whether the table may have a key.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    /// Where all reports go.
    pub(crate) fn diagnostics(&self) -> &'a Diagnostics {
        self.diagnostics
    }
}

fn unknown_key(entry: &Entry, keys: Keys, title: &str) -> Fault {
    let fault = Fault::new(format!("unknown key \"{}\" in {title}", entry.key.escape_debug()));
    // `[companion.batch.redis]` is a key "redis" within companion "batch": what was meant needs quotes.
    let session = title.strip_prefix("[companion.").and_then(|rest| rest.strip_suffix(']'));
    if let (Some(session), Data::Table(_)) = (session, &entry.node.data) {
        return fault
            .help(format!("a session is written in quotes: [companion.\"{session}.{}\"]", entry.key));
    }
    fault.suggest(&entry.key, keys.iter())
}
