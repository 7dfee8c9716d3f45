//! `ready` and `health`: questions put to a process.

use super::diagnostic::{Diagnostics, Fault, Place};
use super::keys::{self, Keys};
use super::placeholders;
use super::quantity;
use super::section::Section;
use super::tree::{Data, Node};
use super::value::{self, Reading};
use proto::spec::{Check, Health, Ready};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const WORDS: [(&str, &str); 5] = [
    ("auto", "auto"),
    ("notify", "notify"),
    ("listening", "listening"),
    ("started", "started"),
    ("exit", "exit"),
];

/// `ready`: a word, or a table with a check.
pub(crate) fn ready(node: &Node, diagnostics: &Diagnostics, may_end: bool) -> Reading<Ready> {
    if let Data::Table(table) = &node.data {
        let section = Section::open(table, keys::READY, "ready", diagnostics);
        let interval = section.value_or("interval", Duration::from_secs(1), quantity::some_time);
        let timeout = section.value_or("timeout", Duration::from_secs(5), quantity::some_time);
        // What is wrong with the check itself was reported; its place is better than the whole table's.
        return Ok(check(&section, keys::READY).map_or(Ready::Auto, |check| Ready::Probe {
            check,
            interval,
            timeout,
        }));
    }
    if !matches!(node.data, Data::Text(_)) {
        return Err(value::wrong_type("a word as \"auto\", or a table with exec, tcp or http", node));
    }
    let words = if may_end { &WORDS[..] } else { &WORDS[..4] };
    match value::choice(node, words)? {
        "notify" => Ok(Ready::Notify),
        "listening" => Ok(Ready::Listening),
        "started" => Ok(Ready::Started),
        "exit" => Ok(Ready::Exit),
        _ => Ok(Ready::Auto),
    }
}

/// `health`: a table with a check.
pub(crate) fn health(section: &Section<'_>) -> Option<Health> {
    let entry = section.entry("health")?;
    let Data::Table(table) = &entry.node.data else {
        let fault = value::wrong_type("a table with exec, tcp or http", &entry.node);
        section.diagnostics().report(entry.node.place, fault);
        return None;
    };
    let section = Section::open(table, keys::HEALTH, "health", section.diagnostics());
    Some(Health {
        interval: section.value_or("interval", Duration::from_secs(10), quantity::some_time),
        timeout: section.value_or("timeout", Duration::from_secs(5), quantity::some_time),
        failures: section.value_or("failures", 3, |node| value::integer(node, 1..=i64::from(u32::MAX))),
        check: check(&section, keys::HEALTH)?,
    })
}

/// Where the command of the check `key` stands; `None` when it has none.
pub(crate) fn exec_place(section: &Section<'_>, key: &str) -> Option<Place> {
    match &section.entry(key)?.node.data {
        Data::Table(table) => table.get("exec").map(|entry| entry.node.place),
        _ => None,
    }
}

/// The one check of a table; none or several are reported.
fn check(section: &Section<'_>, keys: Keys) -> Option<Check> {
    let kinds: Vec<&str> = ["exec", "tcp", "http"].into_iter().filter(|kind| section.has(kind)).collect();
    debug_assert!(["exec", "tcp", "http"].iter().all(|kind| keys.iter().any(|key| key == *kind)));
    let [kind] = kinds[..] else {
        let fault = match kinds.last() {
            Some(last) => Fault::new(format!("{} and {last}: only one check is possible", kinds[0])),
            None => Fault::new("this has no check")
                .help("add exec = [...], tcp = \"IP:PORT\" or http = \"http://...\""),
        };
        section.contradiction(kinds.get(1..).unwrap_or(&[]), fault);
        return None;
    };
    match kind {
        "exec" => section.value("exec", value::command).map(Check::Exec),
        "tcp" => section.value("tcp", tcp).map(Check::Tcp),
        _ => section.value("http", http).map(Check::Http),
    }
}

fn tcp(node: &Node) -> Reading<String> {
    let text = value::word(node)?;
    let shape = placeholders::sample(&text);
    let is_path =
        shape.strip_prefix("unix:").is_some_and(|path| path.starts_with(['/', '@']) && path.len() > 1);
    if is_path || is_reachable(&shape) {
        return Ok(text);
    }
    Err(Fault::new(format!("\"{text}\" cannot be connected to"))
        .help("write \"127.0.0.1:6379\", \"[::1]:6379\" or \"unix:/run/app.sock\""))
}

fn is_reachable(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0)
}

/// No names but localhost: a check must not wait for a name service. No TLS: it is the program that is asked.
fn http(node: &Node) -> Reading<String> {
    let text = value::word(node)?;
    let shape = placeholders::sample(&text);
    let Some(rest) = shape.strip_prefix("http://") else {
        let fault = Fault::new(format!("\"{text}\" is not an http:// address"));
        return Err(match shape.strip_prefix("https://") {
            Some(rest) => {
                fault.help(format!("TLS is not spoken here: ask the program itself, as http://{rest}"))
            }
            None => fault.help("write \"http://127.0.0.1:8000/health\""),
        });
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(bare) => bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()),
    };
    if is_port && is_host && !text.contains(char::is_whitespace) {
        return Ok(text);
    }
    Err(Fault::new(format!("\"{text}\" cannot be asked: the host has to be an IP address or localhost"))
        .help("write \"http://127.0.0.1:8000/health\""))
}
