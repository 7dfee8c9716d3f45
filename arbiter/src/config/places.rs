//! The files that arbiter itself makes: each has a path of its own.

use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::listener::Placed;
use super::section::Section;
use proto::spec::{AddressSpec, ControlSpec, Log, LogTarget};

/// A path, what it is for, and where that was said.
type Used<'a> = (&'a str, &'static str, Place);

/// Reports what stands at a path that is another one's.
pub(crate) fn check<'a>(
    (control, control_section): (&'a ControlSpec, &Section<'_>),
    (log, log_section): (&'a Log, &Section<'_>),
    (pidfile, top): (Option<&'a str>, &Section<'_>),
    sockets: impl Iterator<Item = &'a Placed>,
    context: &Context<'_>,
) {
    let mut used: Vec<Used<'_>> = sockets.filter_map(socket).collect();
    let log = match &log.target {
        LogTarget::File(path) => Some(path.as_str()),
        LogTarget::Stderr => None,
    };
    let own = [
        (control.socket.as_deref(), "the control socket", control_section.entry("socket")),
        (log, "the log", log_section.entry("file")),
        (pidfile, "the pidfile", top.entry("pidfile")),
    ];
    for (path, what, entry) in own {
        // What was not written gives way by itself.
        let (Some(path), Some(entry)) = (path, entry) else { continue };
        let place = entry.node.place;
        if let Some((_, other, at)) = used.iter().find(|(other, ..)| *other == path) {
            let text = format!("{path} is {other}, too (at {})", context.sources.locate(*at));
            context.diagnostics.report(place, Fault::new(text).help("give each a path of its own"));
        }
        used.push((path, what, place));
    }
}

fn socket(placed: &Placed) -> Option<Used<'_>> {
    match &placed.spec.address {
        AddressSpec::Unix(path) => Some((path, "a listener", placed.place)),
        AddressSpec::Tcp(_) | AddressSpec::Abstract(_) => None,
    }
}
