//! `[socket:x]`.

use super::expand::{Expansion, When};
use crate::config::import::World;
use crate::config::import::ini::{Ini, Section};
use crate::config::import::names::Names;
use crate::config::import::plan::{Plan, Socket, file_address};
use crate::config::import::reading::Reading;

/// A socket, and who has it.
struct Known {
    /// How it is called, in small letters.
    name: String,
    socket: Socket,
    is_used: bool,
}

/// All sockets of a configuration.
#[derive(Default)]
pub(super) struct Sockets {
    known: Vec<Known>,
    /// Some watcher has become the workers.
    pub(super) has_workers: bool,
}

impl Sockets {
    /// Reads them.
    pub(super) fn read(ini: &Ini, world: &World<'_>, plan: &mut Plan) -> Self {
        let mut sockets = Self::default();
        let mut names = Names::default();
        for section in &ini.sections {
            let Some(name) = section.name_of("socket") else { continue };
            let name = name.to_ascii_lowercase();
            let socket = read(section, world, plan);
            if sockets.known.iter().any(|known| known.name == name) {
                continue;
            }
            if let Some(socket) = socket {
                let socket = Socket { name: names.listener(&name), ..socket };
                sockets.known.push(Known { name, socket, is_used: false });
            }
        }
        sockets
    }

    /// All names.
    pub(super) fn names(&self) -> Vec<String> {
        self.known.iter().map(|known| known.name.clone()).collect()
    }

    /// Gives one away. `None`: it is not there, or somebody else has it.
    pub(super) fn take(&mut self, name: &str) -> Option<Socket> {
        let known = self.known.iter_mut().find(|known| known.name == name && !known.is_used)?;
        known.is_used = true;
        Some(known.socket.clone())
    }

    /// Says which nobody uses.
    pub(super) fn note_unused(&self, plan: &mut Plan) {
        for known in self.known.iter().filter(|known| !known.is_used) {
            let Known { name, socket, .. } = known;
            plan.rest.push(format!("[socket:{name}] on {}: no watcher here uses it", socket.address));
        }
    }
}

/// One; `None` where it is of a kind that is not held here, which is noted.
fn read(section: &Section, world: &World<'_>, plan: &mut Plan) -> Option<Socket> {
    let mut reading = Reading::of(section);
    let expansion = Expansion { env: &[], socket: &|_| None, world };
    let mut notes = Vec::new();
    let mut text = |reading: &mut Reading<'_>, key: &str| {
        let value = reading.take(key)?;
        let value = expansion.expand(value, When::Now, &mut notes).trim().to_owned();
        Some(value).filter(|value| !value.is_empty())
    };
    let path = text(&mut reading, "path");
    let host = text(&mut reading, "host").unwrap_or_else(|| "localhost".to_owned());
    let port = text(&mut reading, "port").unwrap_or_else(|| "8080".to_owned());
    let kind = text(&mut reading, "type").unwrap_or_else(|| "SOCK_STREAM".to_owned());
    reading.pass_over(&["family", "replace", "proto"]);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let address = path.as_deref().map_or_else(|| format!("{host}:{port}"), file_address);
    let umask = reading.mode("umask").filter(|_| path.is_some());
    let umask = umask.and_then(|umask| u32::from_str_radix(&umask, 8).ok());
    let backlog = reading.number("backlog", 1..=i64::from(i32::MAX), str::to_owned);
    let socket = Socket {
        address,
        backlog: backlog.and_then(|backlog| u32::try_from(backlog).ok()),
        reuse_port: reading.boolean("so_reuseport").unwrap_or(false) && path.is_none(),
        mode: umask.map(|umask| format!("{:04o}", 0o777 & !umask)),
        ..Socket::default()
    };
    reading.without("interface", "a listener is bound to an address, not to an interface");
    reading.without("blocking", "what is handed on is not changed");
    reading.without("use_papa", "arbiter holds its sockets itself");
    let is_port = path.is_some() || port.parse::<u16>().is_ok();
    if !is_port {
        notes.push(format!("port = {port}: not a port from 0 to 65535; the socket was left out"));
    }
    let is_stream = kind.eq_ignore_ascii_case("SOCK_STREAM");
    if !is_stream {
        notes.push(format!(
            "type = {kind}: only stream sockets are held; the program has to open this one itself"
        ));
    }
    let name = &section.name;
    plan.notes.extend(notes.into_iter().chain(reading.finish()).map(|note| format!("[{name}] {note}")));
    (is_stream && is_port).then_some(socket)
}
