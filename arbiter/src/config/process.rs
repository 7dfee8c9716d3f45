//! How a process is run: the keys that workers and companions share.

use super::accounts::{self, Person};
use super::context::{self, Context};
use super::diagnostic::{Fault, Place};
use super::quantity;
use super::section::Section;
use super::surroundings;
use super::tree::{Data, Node};
use super::value::{self, Reading};
use proto::codec;
use proto::spec::{EnvFile, Identity, Limit, ProcessSpec, Ready, Recycle, Resource, StopSpec};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;
use sys::launch::is_passed_on;

/// What the top level says about every process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    /// `env`.
    pub(crate) env: Vec<(String, String)>,
    /// `unset_env`.
    pub(crate) unset_env: Vec<String>,
    /// `umask`.
    pub(crate) umask: Option<u32>,
    /// `user`.
    pub(crate) user: Option<Person>,
    /// `group`.
    pub(crate) group: Option<u32>,
}

/// Reads the keys of the top level that [`read`] falls back to.
pub(crate) fn read_defaults(section: &Section<'_>, context: &Context<'_>) -> Defaults {
    Defaults {
        env: section.value_or("env", Vec::new(), value::variables),
        unset_env: section.value_or("unset_env", Vec::new(), variable_names),
        umask: section.value("umask", value::mode),
        user: section.value("user", |node| accounts::user(node, context.accounts)),
        group: section.value("group", |node| accounts::group(node, context.accounts)),
    }
}

/// The process of a table. Without a usable command its command is empty, and that was reported.
pub(crate) fn read(
    section: &Section<'_>,
    title: &str,
    defaults: &Defaults,
    context: &Context<'_>,
) -> ProcessSpec {
    if !section.has("command") {
        let fault =
            Fault::new(format!("{title} has no command")).help("add command = [\"program\", \"argument\"]");
        section.contradiction(&[], fault);
    }
    let unset = section.value_or("unset_env", Vec::new(), variable_names);
    let own = section.value_or("env", Vec::new(), value::variables);
    let is_seen = |name: &String| !unset.contains(name) && !own.iter().any(|(other, _)| other == name);
    let top_env = defaults.env.iter().filter(|(name, _)| is_seen(name)).cloned().collect::<Vec<_>>();
    let env_file = section.value("env_file", |node| env_file(node, context)).flatten();
    // Only a file can come between them.
    let (mut top_env, mut env) = match env_file {
        Some(_) => (top_env, own),
        None => (Vec::new(), [top_env, own].concat()),
    };
    let mut unset_env = [defaults.unset_env.clone(), unset].concat();
    // No name comes twice, so order means nothing: written in another one it is the same specification.
    top_env.sort();
    env.sort();
    unset_env.sort();
    unset_env.dedup();
    ProcessSpec {
        command: section.value_or("command", Vec::new(), value::command),
        cwd: context.absolute(&section.value_or("cwd", String::new(), value::text)),
        unset_env,
        top_env,
        env_file,
        env,
        identity: read_identity(section, defaults, context),
        umask: section.value("umask", value::mode).or(defaults.umask),
        limits: read_limits(section),
        nice: section.value("nice", |node| value::integer(node, -20..=19)),
        oom_score_adj: section.value("oom_score_adj", |node| value::integer(node, -1000..=1000)),
        no_new_privileges: section.value_or("no_new_privileges", false, value::boolean),
    }
}

/// Stands for the environment that a process gets: what the configuration says counts where it makes a difference to
/// what the process has without it, which is of arbiter's own environment, and of its user.
pub(crate) fn env_digest(spec: &ProcessSpec, context: &Context<'_>) -> u64 {
    let login: BTreeMap<&str, &str> = spec.identity.iter().flat_map(Identity::variables).collect();
    let inherited = |name: &str| context.env.get(Some(OsStr::new(name)).filter(|it| is_passed_on(it))?);
    let without = |name: &str| login.get(name).map(OsStr::new).or_else(|| Some(inherited(name)?.as_os_str()));
    let file = spec.env_file.as_ref().and_then(|file| surroundings::variables(&file.path).ok().flatten());
    let file = file.unwrap_or_default().set;
    // A user's variables come after what is unset.
    let unset = spec.unset_env.iter().map(String::as_str).filter(|name| !login.contains_key(name));
    let mut changes: BTreeMap<&str, Option<&str>> = unset.map(|name| (name, None)).collect();
    let set = spec.top_env.iter().chain(&file).chain(&spec.env);
    changes.extend(set.map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    changes.retain(|name, value| value.map(OsStr::new) != without(name));
    codec::fingerprint(&codec::encode(&changes))
}

/// A table's own user brings its own primary group: the top level's group belongs to the top level's user.
fn read_identity(section: &Section<'_>, defaults: &Defaults, context: &Context<'_>) -> Option<Identity> {
    let own_user = section.value("user", |node| accounts::user(node, context.accounts));
    let own_group = section.value("group", |node| accounts::group(node, context.accounts));
    let group = own_group.or(if own_user.is_some() { None } else { defaults.group });
    let user = own_user.as_ref().or(defaults.user.as_ref());
    match accounts::identity(user, group, context.own_uid, context.accounts) {
        Ok(identity) => identity,
        Err(fault) => {
            section.contradiction(&["user", "group"], fault);
            None
        }
    }
}

fn variable_names(node: &Node) -> Reading<Vec<String>> {
    value::each(value::strings(node)?, |item| {
        let name = value::text(item)?;
        value::variable_name(&name).map(|()| name)
    })
}

fn env_file(node: &Node, context: &Context<'_>) -> Reading<Option<EnvFile>> {
    let text = value::text(node)?;
    let (path, optional) = text.strip_prefix('-').map_or((text.as_str(), false), |path| (path, true));
    if path.is_empty() {
        return Ok(None);
    }
    let path = context::absolute(context.base, path);
    Ok(Some(EnvFile { path, optional }))
}

fn read_limits(section: &Section<'_>) -> Vec<Limit> {
    let Some(entry) = section.entry("limits") else { return Vec::new() };
    let Data::Table(table) = &entry.node.data else {
        section.diagnostics().report(entry.node.place, value::wrong_type("a table of limits", &entry.node));
        return Vec::new();
    };
    let mut limits = Vec::new();
    for entry in &table.entries {
        let Some((resource, _)) = Resource::ALL.iter().find(|(_, name)| *name == entry.key) else {
            let fault = Fault::new(format!("there is no limit \"{}\"", entry.key.escape_debug()));
            let names = Resource::ALL.iter().map(|(_, name)| *name);
            section.diagnostics().report(entry.place, fault.suggest(&entry.key, names));
            continue;
        };
        match limit(&entry.node) {
            Ok((soft, hard)) => limits.push(Limit { resource: *resource, soft, hard }),
            Err(fault) => section.diagnostics().report(entry.node.place, fault),
        }
    }
    limits.sort_by_key(|limit| limit.resource);
    limits
}

/// A number, a size, `"infinity"`, or two of them as `"soft:hard"`.
fn limit(node: &Node) -> Reading<(u64, u64)> {
    let Data::Text(text) = &node.data else {
        return match &node.data {
            Data::Integer(_) => quantity::size(node).map(|value| (value, value)),
            _ => Err(value::wrong_type("a number, a size, \"infinity\" or \"soft:hard\"", node)),
        };
    };
    let one = |text: &str| {
        if text.trim() == "infinity" {
            return Ok(u64::MAX);
        }
        quantity::text_size(text).map_err(|_| {
            Fault::new(format!("\"{text}\" is not a limit"))
                .help("write a number, a size as \"64MiB\", \"infinity\", or \"soft:hard\"")
        })
    };
    let (soft, hard) = match text.split_once(':') {
        Some((soft, hard)) => value::both(one(soft), one(hard))?,
        None => one(text).map(|value| (value, value))?,
    };
    if soft > hard {
        return Err(Fault::new(format!("\"{text}\": the soft limit is above the hard one")));
    }
    Ok((soft, hard))
}

/// How a process is asked to leave; `timeout` is the key of the time it may take.
pub(crate) fn read_stop(section: &Section<'_>, timeout: &str, default: u64) -> StopSpec {
    const TERM: i32 = 15;
    StopSpec {
        signal: section.value_or("stop_signal", TERM, value::signal),
        timeout: section.value_or(timeout, Duration::from_secs(default), quantity::duration),
        group: section.value_or("stop_group", false, value::boolean),
    }
}

/// When a process is replaced though nothing is wrong.
pub(crate) fn read_recycle(section: &Section<'_>) -> Recycle {
    let recycle = Recycle {
        max_lifetime: section.value_or("max_lifetime", Duration::ZERO, quantity::duration),
        max_lifetime_jitter: section.value_or("max_lifetime_jitter", Duration::ZERO, quantity::duration),
        memory_max: section.value_or("memory_max", 0, quantity::size),
    };
    if !recycle.max_lifetime_jitter.is_zero() && recycle.max_lifetime.is_zero() {
        let fault = Fault::new("max_lifetime_jitter has no effect while max_lifetime is 0")
            .help("set max_lifetime, or remove max_lifetime_jitter");
        section.contradiction(&["max_lifetime_jitter"], fault);
    }
    recycle
}

/// When a process is ready, from when on it is, and how long that may take.
pub(crate) struct Start {
    /// `ready`, and where it was written.
    pub(crate) ready: Ready,
    /// `start_seconds`.
    pub(crate) seconds: Duration,
    /// `start_timeout`.
    pub(crate) timeout: Duration,
}

/// Reads `ready`, `start_seconds` and `start_timeout`. Only a process that may end can be ready by ending.
pub(crate) fn read_start(section: &Section<'_>, has_listeners: bool, may_end: bool) -> Start {
    let ready = section.read("ready", |node| super::probe::ready(node, section.diagnostics(), may_end));
    let ready = ready.map_or(Ready::Auto, |found| found.value);
    let seconds = section.value_or("start_seconds", Duration::from_secs(1), quantity::duration);
    let timeout =
        section.value_or("start_timeout", Duration::from_secs(60).max(seconds), quantity::some_time);
    if ready == Ready::Listening && !has_listeners {
        let fault = Fault::new("\"listening\" needs a listener, and there is none")
            .help("add a listener, or use \"notify\" or \"started\"");
        section.contradiction(&["ready"], fault);
    }
    let by_time = ready == Ready::Started || (ready == Ready::Auto && !has_listeners);
    if by_time && seconds > timeout {
        let fault = Fault::new("start_seconds is longer than start_timeout: this can never become ready")
            .help("raise start_timeout, or lower start_seconds");
        section.contradiction(&["start_seconds", "start_timeout"], fault);
    }
    Start { ready, seconds, timeout }
}

/// Where to point at for a file or directory of a process.
pub(crate) fn place(section: &Section<'_>, key: &str, otherwise: Place) -> Place {
    section.place_of(key).unwrap_or(otherwise)
}
