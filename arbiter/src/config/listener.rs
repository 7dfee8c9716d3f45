//! `[[listener]]`, and `listen` of a companion.

use super::accounts;
use super::address;
use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::keys;
use super::section::Section;
use super::tree::{Data, Node, Table};
use super::value;
use proto::spec::{AddressSpec, ListenerSpec, OwnerSpec};

/// Length of the accept queue where none is given; the kernel cuts it to net.core.somaxconn.
const BACKLOG: u32 = 2048;

/// Placeholders that have a meaning of their own.
pub(crate) const TAKEN: [&str; 4] = ["listen", "slot", "name", "generation"];

/// A socket and where its address was written.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// The socket.
    pub(crate) spec: ListenerSpec,
    /// Its address.
    pub(crate) place: Place,
}

/// All `[[listener]]` tables, in order.
pub(crate) fn read_all(node: Option<&Node>, context: &Context<'_>) -> Vec<Placed> {
    let Some(node) = node else { return Vec::new() };
    let diagnostics = context.diagnostics;
    let Data::List(list) = &node.data else {
        let fault = value::wrong_type("tables", node).help("write [[listener]]");
        diagnostics.report(node.place, fault);
        return Vec::new();
    };
    let mut read: Vec<(Option<Place>, Placed)> = Vec::new();
    for item in list {
        match &item.data {
            Data::Table(table) => read.extend(read_one(table, context)),
            _ => diagnostics.report(item.place, value::wrong_type("a table", item)),
        }
    }
    name_all(&mut read, context);
    read.into_iter().map(|(_, placed)| placed).collect()
}

/// A listener, and where its name was written if it was.
fn read_one(table: &Table, context: &Context<'_>) -> Option<(Option<Place>, Placed)> {
    let section = Section::open(table, keys::LISTENER, "[[listener]]", context.diagnostics);
    let name = section.read("name", |node| {
        let name = value::word(node)?;
        if TAKEN.contains(&name.as_str()) {
            return Err(Fault::new(format!("\"{name}\" is taken: {{{name}}} already means something else"))
                .help("choose another name"));
        }
        if value::is_name(&name) { Ok(name) } else { Err(value::not_a_name("a listener", &name)) }
    });
    let placed = read_socket(&section, context)?;
    let (name, place) = name.map_or((String::new(), None), |found| (found.value, Some(found.place)));
    Some((place, Placed { spec: ListenerSpec { name, ..placed.spec }, ..placed }))
}

/// The keys that listeners and a companion's `listen` share.
fn read_socket(section: &Section<'_>, context: &Context<'_>) -> Option<Placed> {
    let backlog = section.value_or("backlog", BACKLOG, |node| value::integer(node, 1..=i64::from(i32::MAX)));
    let mode = section.read("mode", value::mode);
    let user = section.read("user", |node| accounts::user(node, context.accounts));
    let group = section.read("group", |node| accounts::group(node, context.accounts));
    let flag = |key: &str| section.knows(key) && section.value_or(key, false, value::boolean);
    let (reuse_port, v6only) = (flag("reuse_port"), flag("v6only"));
    if !section.has("address") {
        let fault = Fault::new("this listener has no address").help("add address = \"127.0.0.1:8000\"");
        section.contradiction(&[], fault);
    }
    let address = section.read("address", |node| address::parse(&value::word(node)?, context))?;
    let (spec, written) = address.value;
    if !matches!(spec, AddressSpec::Unix(_)) {
        for key in ["mode", "user", "group"].into_iter().filter(|key| section.has(key)) {
            let fault = Fault::new(format!("\"{key}\" is for socket files, and \"{written}\" is none"))
                .help(format!("remove {key}"));
            section.contradiction(&[key], fault);
        }
    }
    if v6only && !matches!(&spec, AddressSpec::Tcp(address) if address.is_ipv6()) {
        let fault = Fault::new(format!("v6only is for IPv6 addresses, and \"{written}\" is none"))
            .help("remove v6only");
        section.contradiction(&["v6only"], fault);
    }
    if reuse_port && !matches!(spec, AddressSpec::Tcp(_)) {
        let fault = Fault::new("reuse_port is for TCP: a Unix socket cannot be bound once per slot")
            .help("remove reuse_port");
        section.contradiction(&["reuse_port"], fault);
    }
    let owner = (user.is_some() || group.is_some())
        .then(|| OwnerSpec { uid: user.map(|found| found.value.uid), gid: group.map(|found| found.value) });
    let mode = mode.map_or(0o666, |found| found.value);
    let spec = ListenerSpec {
        name: String::new(),
        address: spec,
        written,
        backlog,
        reuse_port,
        v6only,
        mode,
        owner,
    };
    Some(Placed { spec, place: address.place })
}

/// The n-th listener without a name is `http`, `http2`, …, as long as that is free.
fn name_all(read: &mut [(Option<Place>, Placed)], context: &Context<'_>) {
    let mut places: Vec<(String, Place)> = Vec::new();
    for (place, placed) in read.iter() {
        let Some(place) = place else { continue };
        let name = &placed.spec.name;
        match places.iter().find(|(other, _)| other == name) {
            Some((_, first)) => {
                let first = context.sources.locate(*first);
                let message = format!("a listener named \"{name}\" is there already, at {first}");
                context.diagnostics.report(*place, Fault::new(message).help("choose another name"));
            }
            None => places.push((name.clone(), *place)),
        }
    }
    let mut names: Vec<String> = places.into_iter().map(|(name, _)| name).collect();
    for (_, placed) in read.iter_mut().filter(|(place, _)| place.is_none()) {
        let name = std::iter::once("http".to_owned())
            .chain((2u32..).map(|number| format!("http{number}")))
            .find(|name| !names.contains(name))
            .expect("there are more numbers than listeners");
        names.push(name.clone());
        placed.spec.name = name;
    }
}

/// A companion's `listen`: an address, or a table; `""` is none.
pub(crate) fn read_listen(section: &Section<'_>, full_name: &str, context: &Context<'_>) -> Option<Placed> {
    let node = &section.entry("listen")?.node;
    let placed = match &node.data {
        Data::Text(text) if text.is_empty() => return None,
        Data::Text(_) => {
            let mut table = Table::empty(node.place);
            table.set("address", node.clone());
            read_socket(&Section::open(&table, keys::LISTEN, "listen", context.diagnostics), context)?
        }
        Data::Table(table) => {
            read_socket(&Section::open(table, keys::LISTEN, "listen", context.diagnostics), context)?
        }
        _ => {
            context.diagnostics.report(node.place, value::wrong_type("an address or a table", node));
            return None;
        }
    };
    Some(Placed { spec: ListenerSpec { name: full_name.to_owned(), ..placed.spec }, ..placed })
}

/// Reports sockets that cannot be bound beside one another.
pub(crate) fn check_overlaps<'a>(all: impl Iterator<Item = &'a Placed>, context: &Context<'_>) {
    let mut earlier: Vec<&Placed> = Vec::new();
    for placed in all {
        let spec = &placed.spec;
        let clash = earlier.iter().find(|other| {
            address::overlap((&spec.address, spec.v6only), (&other.spec.address, other.spec.v6only))
        });
        if let Some(other) = clash {
            let at = context.sources.locate(other.place);
            let taken = &other.spec.written;
            let message = if *taken == spec.written {
                format!("\"{taken}\" is listened on already, at {at}")
            } else {
                format!("\"{}\" is taken by \"{taken}\", at {at}", spec.written)
            };
            context.diagnostics.report(placed.place, Fault::new(message).help("choose another address"));
        }
        earlier.push(placed);
    }
}
