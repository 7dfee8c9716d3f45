//! The configuration as it was written, each key and value with its place.
//!
//! Files are turned into this form at once, so that includes can be merged and flags laid over it, and a
//! value still knows where it came from.

use super::diagnostic::{Diagnostics, Fault, Place, Sources};
use toml_edit::{Document, Item, TableLike, Value};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it was written.
    pub(crate) place: Place,
    /// What.
    pub(crate) data: Data,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A date or time, which no key takes.
    Date,
    /// An array, also one of tables.
    List(Vec<Node>),
    /// A table, inline or not.
    Table(Table),
}

impl Data {
    /// With its article, as it follows "found".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Date => "a date",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// A table, its keys in the order of writing.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Its header, or all of an inline one.
    pub(crate) place: Place,
    /// Its keys.
    pub(crate) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key, unquoted.
    pub(crate) key: String,
    /// Where the key was written.
    pub(crate) place: Place,
    /// Its value.
    pub(crate) node: Node,
}

impl Table {
    /// A table without keys.
    pub(crate) fn empty(place: Place) -> Self {
        Self { place, entries: Vec::new() }
    }

    /// What a key is set to.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Sets a key, in place of what it was set to.
    pub(crate) fn set(&mut self, key: &str, node: Node) {
        let place = node.place;
        self.entries.retain(|entry| entry.key != key);
        self.entries.push(Entry { key: key.to_owned(), place, node });
    }

    /// The table under `key`, made when there is none. What is not a table stays and is reported later.
    pub(crate) fn table_mut(&mut self, key: &str, place: Place) -> Option<&mut Table> {
        if self.get(key).is_none() {
            self.set(key, Node { place, data: Data::Table(Table::empty(place)) });
        }
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        match &mut entry.node.data {
            Data::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Reads a TOML document. What is wrong is reported and the answer is `None`.
pub(crate) fn parse(
    name: &str,
    text: &str,
    sources: &mut Sources,
    diagnostics: &Diagnostics,
) -> Option<Table> {
    let source = sources.add_file(name.to_owned(), text.to_owned());
    match Document::parse(text) {
        Ok(document) => Some(convert_table(document.as_table(), source, Place::new(source, 0..0))),
        Err(error) => {
            let place = Place::new(source, error.span().unwrap_or(text.len()..text.len()));
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let marked = text.get(place.start..place.end).unwrap_or_default().trim_matches(['"', '\'']);
            let fault = match first_of(text, place.start).filter(|_| message.starts_with("duplicate key")) {
                Some(first) => {
                    let first = sources.locate(Place::new(source, first..first));
                    Fault::new(format!("\"{marked}\" is set twice, first at {first}"))
                }
                None => Fault::new(format!("this is not TOML: {message}")),
            };
            diagnostics.report(place, fault);
            None
        }
    }
}

/// Where the key at `second` was set before: by reading the text before it, whose document is whole up to
/// the line of the second one.
fn first_of(text: &str, second: usize) -> Option<usize> {
    let line = text[..second.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    let header = text[line..].trim_start().starts_with('[');
    let rest = text.get(second..)?;
    let word = rest.split(|c: char| !(c.is_alphanumeric() || "_-\"'".contains(c))).next()?;
    let key = word.trim_matches(['"', '\'']);
    if let Some(at) = first_on_line(&text[line..second], word) {
        return Some(line + at);
    }
    let document = Document::parse(&text[..line]).ok()?;
    let mut tables: Vec<&dyn TableLike> = vec![document.as_table()];
    let mut last: Option<usize> = None;
    // The newest table before the line is the one a plain key belongs to; a header's key may be anywhere.
    let newest = text[..line].rmatch_indices("\n[").next().map_or(0, |(at, _)| at);
    while let Some(table) = tables.pop() {
        for (name, item) in table.iter() {
            let at = table.key(name).and_then(toml_edit::Key::span).map(|span| span.start);
            if name == key && at.is_some_and(|at| header || at >= newest) {
                last = last.max(at);
            }
            match item {
                Item::ArrayOfTables(list) => tables.extend(list.iter().map(|table| table as &dyn TableLike)),
                _ => tables.extend(item.as_table_like()),
            }
        }
    }
    last
}

/// Where an inline table sets `word` before, on the same line.
fn first_on_line(line: &str, word: &str) -> Option<usize> {
    let is_key = |at: &usize| {
        let before = line[..*at].trim_end();
        before.ends_with(['{', ',']) && line[at + word.len()..].trim_start().starts_with('=')
    };
    line.rmatch_indices(word).map(|(at, _)| at).find(is_key)
}

fn convert_table(table: &dyn TableLike, source: usize, place: Place) -> Table {
    let mut converted = Table::empty(place);
    for (name, item) in table.iter() {
        let key_place =
            table.key(name).and_then(toml_edit::Key::span).map_or(place, |span| Place::new(source, span));
        if let Some(node) = convert(item, source, key_place) {
            converted.entries.push(Entry { key: name.to_owned(), place: key_place, node });
        }
    }
    converted
}

/// `key` stands in for what has no place of its own, as a table that only its sub-tables make.
fn convert(item: &Item, source: usize, key: Place) -> Option<Node> {
    let place = item.span().map_or(key, |span| Place::new(source, span));
    let data = match item {
        Item::None => return None,
        Item::Value(value) => return Some(convert_value(value, source, key)),
        Item::Table(table) => Data::Table(convert_table(table, source, place)),
        Item::ArrayOfTables(list) => Data::List(
            list.iter()
                .map(|table| {
                    let place = table.span().map_or(place, |span| Place::new(source, span));
                    Node { place, data: Data::Table(convert_table(table, source, place)) }
                })
                .collect(),
        ),
    };
    Some(Node { place, data })
}

fn convert_value(value: &Value, source: usize, key: Place) -> Node {
    let place = value.span().map_or(key, |span| Place::new(source, span));
    let data = match value {
        Value::String(text) => Data::Text(text.value().clone()),
        Value::Integer(number) => Data::Integer(*number.value()),
        Value::Float(number) => Data::Float(*number.value()),
        Value::Boolean(boolean) => Data::Boolean(*boolean.value()),
        Value::Datetime(_) => Data::Date,
        Value::Array(list) => {
            Data::List(list.iter().map(|value| convert_value(value, source, place)).collect())
        }
        Value::InlineTable(table) => Data::Table(convert_table(table, source, place)),
    };
    Node { place, data }
}
