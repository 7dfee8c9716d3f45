//! `[control]` and `[log]`.

use super::accounts;
use super::address;
use super::context::Context;
use super::diagnostic::Fault;
use super::section::Section;
use super::tree::{Data, Node};
use super::value::{self, Reading};
use proto::spec::{ControlSpec, Log, LogFormat, LogLevel, LogTarget};

/// Only the owner: root and arbiter's own user pass anyway.
const MODE: u32 = 0o600;

/// Reads `[control]`.
pub(crate) fn read_control(section: &Section<'_>, context: &Context<'_>) -> ControlSpec {
    let given = section.read("socket", |node| {
        let text = value::text(node)?;
        if text.is_empty() { Ok(None) } else { address::socket_path(&context.absolute(&text)).map(Some) }
    });
    let (socket, explicit) = match given {
        Some(found) => (found.value, true),
        None => (Some(default_socket(context)), false),
    };
    let mode = section.value_or("mode", MODE, value::mode);
    let spec = ControlSpec {
        explicit: explicit && socket.is_some(),
        socket,
        mode,
        group: section.value("group", |node| accounts::group_or_none(node, context.accounts)).flatten(),
        allow_users: section.value_or("allow_users", Vec::new(), |node| {
            each(node, |item| accounts::user(item, context.accounts).map(|person| person.uid))
        }),
        allow_groups: section.value_or("allow_groups", Vec::new(), |node| {
            each(node, |item| accounts::group(item, context.accounts))
        }),
    };
    let lets_in = !spec.allow_users.is_empty() || !spec.allow_groups.is_empty();
    if lets_in && mode & 0o022 == 0 {
        let fault =
            Fault::new(format!("mode \"{mode:04o}\" keeps out whom allow_users and allow_groups let in"))
                .help("set mode = \"0660\" with a group, or \"0666\"");
        section.contradiction(&["mode", "allow_users", "allow_groups"], fault);
    }
    spec
}

fn each<T>(node: &Node, reading: impl Fn(&Node) -> Reading<T>) -> Reading<Vec<T>> {
    let Data::List(list) = &node.data else { return Err(value::wrong_type("an array of names", node)) };
    value::each(list, reading)
}

/// `$RUNTIME_DIRECTORY` (systemd; the first of several), else /run/arbiter for root, else below
/// `$XDG_RUNTIME_DIR`, else below /tmp.
fn default_socket(context: &Context<'_>) -> String {
    let absolute = |name: &str| context.variable(name).filter(|path| path.starts_with('/'));
    let directory = match absolute("RUNTIME_DIRECTORY") {
        Some(directories) => directories.split(':').next().unwrap_or_default().to_owned(),
        None if context.own_uid == 0 => "/run/arbiter".to_owned(),
        None => match absolute("XDG_RUNTIME_DIR") {
            Some(directory) => format!("{}/arbiter", directory.trim_end_matches('/')),
            None => format!("/tmp/arbiter-{}", context.own_uid),
        },
    };
    format!("{}/control.sock", directory.trim_end_matches('/'))
}

/// Reads `[log]`.
pub(crate) fn read_log(section: &Section<'_>, context: &Context<'_>) -> Log {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    Log {
        level: section.value_or("level", LogLevel::Info, |node| value::choice(node, &levels)),
        format: section.value_or("format", LogFormat::Text, |node| value::choice(node, &formats)),
        target: section.value_or("file", LogTarget::Stderr, |node| {
            let text = value::word(node)?;
            if text == "stderr" {
                return Ok(LogTarget::Stderr);
            }
            let path = context.absolute(&text);
            if path.contains('{') && path.starts_with("{env.") {
                return Err(Fault::new("placeholders are not filled in here").help("write the path itself"));
            }
            address::new_file(&path)?;
            Ok(LogTarget::File(path))
        }),
    }
}
