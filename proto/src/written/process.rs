//! What is written of any process, and of its sockets.

use super::writer::{self, Writer, array, inline, string};
use crate::spec::{
    AddressSpec, Check, Identity, ListenerSpec, OwnerSpec, ProcessSpec, Ready, Recycle, Resource, StopSpec,
};
use std::time::Duration;

/// What is written of a socket besides its name.
#[must_use]
pub fn listener_pairs(listener: &ListenerSpec, is_listener: bool) -> Vec<(String, String)> {
    let mut pairs = vec![
        ("address".to_owned(), string(&listener.written)),
        ("backlog".to_owned(), listener.backlog.to_string()),
    ];
    if is_listener {
        pairs.push(("reuse_port".to_owned(), listener.reuse_port.to_string()));
    }
    match &listener.address {
        AddressSpec::Tcp(address) if address.is_ipv6() && is_listener => {
            pairs.push(("v6only".to_owned(), listener.v6only.to_string()));
        }
        AddressSpec::Unix(_) => {
            pairs.push(("mode".to_owned(), format!("\"{:04o}\"", listener.mode)));
            let OwnerSpec { uid, gid } = listener.owner.unwrap_or(OwnerSpec { uid: None, gid: None });
            pairs.extend(uid.map(|uid| ("user".to_owned(), uid.to_string())));
            pairs.extend(gid.map(|gid| ("group".to_owned(), gid.to_string())));
        }
        AddressSpec::Tcp(_) | AddressSpec::Abstract(_) => {}
    }
    pairs
}

/// Variables as an inline table.
#[must_use]
pub fn variables(variables: &[(String, String)]) -> String {
    inline(variables.iter().map(|(name, value)| (writer::key(name), string(value))))
}

/// How a process is run. `own_uid` is the user that arbiter runs as.
pub fn print_process(out: &mut Writer, process: &ProcessSpec, own_uid: u32) {
    out.texts("command", &process.command);
    out.text("cwd", &process.cwd);
    out.raw("env", &variables(&process.env));
    // A name that the top level sets is unset by the top level alone: here it would take that away.
    let is_here = |name: &&String| !process.top_env.iter().any(|(other, _)| other == *name);
    out.texts("unset_env", process.unset_env.iter().filter(is_here));
    let env_file = process.env_file.as_ref();
    let dash = |optional: bool| if optional { "-" } else { "" };
    let env_file = env_file.map(|file| format!("{}{}", dash(file.optional), file.path));
    out.text("env_file", &env_file.unwrap_or_default());
    if let Some(identity) = &process.identity {
        print_identity(out, identity, own_uid);
    }
    if let Some(umask) = process.umask {
        out.mode("umask", umask);
    }
    let name =
        |resource| Resource::ALL.iter().find(|(known, _)| *known == resource).map_or("", |(_, name)| *name);
    let limit = |value: u64| if value == u64::MAX { "infinity".to_owned() } else { value.to_string() };
    let limits = process.limits.iter();
    out.raw(
        "limits",
        &inline(limits.map(|one| {
            (name(one.resource).to_owned(), format!("\"{}:{}\"", limit(one.soft), limit(one.hard)))
        })),
    );
    if let Some(nice) = process.nice {
        out.plain("nice", nice);
    }
    if let Some(score) = process.oom_score_adj {
        out.plain("oom_score_adj", score);
    }
    out.plain("no_new_privileges", process.no_new_privileges);
}

/// Without a login the user is arbiter's own, and the group alone was given, or it has no account: then the
/// number says the same.
fn print_identity(out: &mut Writer, identity: &Identity, own_uid: u32) {
    match &identity.login {
        Some((name, _, _)) => out.text("user", name),
        None if identity.groups == [identity.gid] && identity.uid != own_uid => {
            out.plain("user", identity.uid);
        }
        None => {}
    }
    out.plain("group", identity.gid);
}

/// When it is ready.
pub fn print_start(out: &mut Writer, ready: &Ready, seconds: Duration, timeout: Duration) {
    match ready {
        Ready::Auto => out.text("ready", "auto"),
        Ready::Notify => out.text("ready", "notify"),
        Ready::Listening => out.text("ready", "listening"),
        Ready::Started => out.text("ready", "started"),
        Ready::Exit => out.text("ready", "exit"),
        Ready::Probe { check, interval, timeout } => {
            out.raw("ready", &inline(check_pairs(check, *interval, *timeout)));
        }
    }
    out.duration("start_seconds", seconds);
    out.duration("start_timeout", timeout);
}

/// A check as the pairs of an inline table.
#[must_use]
pub fn check_pairs(check: &Check, interval: Duration, timeout: Duration) -> Vec<(String, String)> {
    let check = match check {
        Check::Exec(words) => ("exec".to_owned(), array(words.iter().map(|word| string(word)))),
        Check::Tcp(address) => ("tcp".to_owned(), string(address)),
        Check::Http(url) => ("http".to_owned(), string(url)),
    };
    vec![
        check,
        ("interval".to_owned(), writer::duration(interval)),
        ("timeout".to_owned(), writer::duration(timeout)),
    ]
}

/// How it is stopped; `timeout` is what that key is called.
pub fn print_stop(out: &mut Writer, stop: &StopSpec, timeout: &str) {
    out.signal("stop_signal", stop.signal);
    out.duration(timeout, stop.timeout);
    out.plain("stop_group", stop.group);
}

/// When it is replaced though nothing is wrong.
pub fn print_recycle(out: &mut Writer, recycle: &Recycle) {
    out.duration("max_lifetime", recycle.max_lifetime);
    out.duration("max_lifetime_jitter", recycle.max_lifetime_jitter);
    out.raw("memory_max", &writer::size(recycle.memory_max));
}
