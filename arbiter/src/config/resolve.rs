//! From arguments, environment and files to finished specifications.

use super::accounts::{Accounts, Strangers, SystemAccounts};
use super::companions;
use super::context::{self, Context, Environment};
use super::control;
use super::diagnostic::{Diagnostics, Fault, Sources};
use super::files::{self, ConfigFile};
use super::flags::{self, Flags, Overlaid};
use super::hooks;
use super::import;
use super::judge::Judge;
use super::keys;
use super::listener;
use super::load;
use super::places;
use super::process::{self, Defaults};
use super::quantity;
use super::section::Section;
use super::starter;
use super::tree::{self, Data, Node, Table};
use super::value;
use super::workers;
use super::{Input, exit};
use proto::spec::{CompanionSpec, CompanionsSpec, HookEvent, MasterSpec, OnBootFailure, Resolution};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads, checks and resolves the configuration that `input` asks for. It may wait for files and for the name
/// service, so it is called in a process of its own.
#[must_use]
pub fn resolve(input: &Input) -> Resolution {
    resolve_with(input, &SystemAccounts, sys::process::effective_uid())
}

/// As [`resolve`], with the users of `accounts`.
pub(crate) fn resolve_with(input: &Input, accounts: &dyn Accounts, own_uid: u32) -> Resolution {
    let resolution = read_and_resolve(input, accounts, own_uid);
    if input.cwd.is_dir() { resolution } else { exit::without_directory(resolution, &input.cwd) }
}

fn read_and_resolve(input: &Input, accounts: &dyn Accounts, own_uid: u32) -> Resolution {
    let flags = match flags::parse(&input.argv) {
        Ok(flags) => flags,
        Err(error) => return exit::from_flags(&error),
    };
    if flags.init {
        return starter::write(&flags, input);
    }
    if let Some(path) = &flags.import {
        return import::import(path, input);
    }
    let file = match find_file(input, &flags) {
        Ok(file) => file,
        Err(text) => return exit::failure(text, exit::BAD_CONFIGURATION),
    };
    let env = &input.env;
    let mut sources = Sources::default();
    let diagnostics = Diagnostics::default();
    let Some((tree, web_concurrency)) = read_all(&flags, file.as_ref(), env, &mut sources, &diagnostics)
    else {
        return exit::invalid(&diagnostics, &sources);
    };
    let base = base_directory(&tree, &input.cwd, &diagnostics);
    let context =
        Context { diagnostics: &diagnostics, sources: &sources, accounts, env, base: &base, own_uid };
    answer((&tree, web_concurrency.as_ref()), (&flags, file.as_ref()), &input.loaded, &context)
}

/// What a text means by itself, as a whole configuration; with `print`, written back as TOML with every default.
/// Nothing is known of the machine but its files: no name of a user, a group or a host, nothing of the
/// environment but a `PATH`, no included file. It neither waits nor asks anybody, so any text may be given.
#[must_use]
pub fn examine(text: &str, print: bool) -> Resolution {
    let argv: &[OsString] = if print { &["--print-config".into()] } else { &[] };
    let flags = match flags::parse(argv) {
        Ok(flags) => flags,
        Err(error) => return exit::from_flags(&error),
    };
    let (mut sources, diagnostics) = (Sources::default(), Diagnostics::default());
    let Some(tree) = tree::parse("arbiter.toml", text, &mut sources, &diagnostics) else {
        return exit::invalid(&diagnostics, &sources);
    };
    let base = base_directory(&tree, Path::new("/"), &diagnostics);
    let context = Context {
        diagnostics: &diagnostics,
        sources: &sources,
        accounts: &Strangers,
        env: &Environment::from([("PATH".into(), "/bin:/usr/bin".into())]),
        base: &base,
        own_uid: 0,
    };
    answer((&tree, None), (&flags, None), &[], &context)
}

fn answer(
    (tree, web_concurrency): (&Table, Option<&Node>),
    (flags, file): (&Flags, Option<&ConfigFile>),
    loaded: &[CompanionSpec],
    context: &Context<'_>,
) -> Resolution {
    let (mut master, companions, defaults) = build(tree, web_concurrency, loaded, context);
    master.config = file.map(|file| file.path.to_string_lossy().into_owned());
    master.daemon = flags.daemon;
    exit::answer(flags, file, master, &companions, &defaults, context)
}

/// Which file is read; `None`: none is. The error is a text for the user.
fn find_file(input: &Input, flags: &Flags) -> Result<Option<ConfigFile>, String> {
    if let Some(path) = &flags.config {
        return Ok(Some(ConfigFile { path: input.cwd.join(path), name: path.display().to_string() }));
    }
    if !flags.command.is_empty() {
        return Ok(None);
    }
    files::search(&input.cwd).map(Some).ok_or_else(|| {
        "arbiter: there is nothing to run: neither ./arbiter.toml nor /etc/arbiter/arbiter.toml exists\n    \
         help: name a configuration with -c FILE, or give a program: arbiter -b 127.0.0.1:8000 -- COMMAND\n"
            .to_owned()
    })
}

/// The file with the flags laid over it, and `$WEB_CONCURRENCY`; `None` when a file could not be read.
fn read_all(
    flags: &Flags,
    file: Option<&ConfigFile>,
    env: &Environment,
    sources: &mut Sources,
    diagnostics: &Diagnostics,
) -> Option<(Table, Option<Node>)> {
    let overlaid = Overlaid::new(flags, sources, diagnostics);
    let web_concurrency = env
        .get(std::ffi::OsStr::new("WEB_CONCURRENCY"))
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.trim().is_empty())
        .map(|value| {
            let place = sources.add_word(format!("WEB_CONCURRENCY={value}"));
            let number = value.trim().parse().map(Data::Integer);
            Node { place, data: number.unwrap_or(Data::Text(value)) }
        });
    let mut tree = match file {
        Some(file) => files::read(file, sources, diagnostics)?,
        None => Table::empty(sources.add_word("command line".to_owned())),
    };
    overlaid.apply(&mut tree);
    Some((tree, web_concurrency))
}

/// What relative paths are relative to: `chdir`, seen from where arbiter was started.
fn base_directory(tree: &Table, cwd: &Path, diagnostics: &Diagnostics) -> PathBuf {
    let chdir = tree.get("chdir").and_then(|entry| match &entry.node.data {
        Data::Text(text) if !text.is_empty() => Some((text.as_str(), entry.node.place)),
        _ => None,
    });
    let base = PathBuf::from(context::absolute(cwd, chdir.map_or("", |(text, _)| text)));
    match chdir {
        Some((_, place)) => {
            if let Err(fault) = super::surroundings::directory(&base.to_string_lossy()) {
                diagnostics.report(place, fault);
            }
        }
        None if cwd.to_str().is_none() => {
            let fault = Fault::new("the name of the directory arbiter was started in is not UTF-8");
            diagnostics.error_anywhere(fault.help("start it elsewhere, or set chdir"));
        }
        None => {}
    }
    base
}

fn build(
    tree: &Table,
    web_concurrency: Option<&Node>,
    loaded: &[CompanionSpec],
    context: &Context<'_>,
) -> (MasterSpec, CompanionsSpec, Defaults) {
    let top = Section::open(tree, keys::TOP, "the top level", context.diagnostics);
    // Read by others: `include` with the files, `chdir` before everything else. Their types are checked here.
    let _ = top.value("include", value::words);
    let _ = top.value("chdir", value::text);
    let defaults = process::read_defaults(&top, context);
    let listeners = listener::read_all(top.entry("listener").map(|entry| &entry.node), context);
    let companions = companions::read_all(&top, &defaults, &[], context);
    load::check(loaded, &companions, context);
    let workers = top.has("workers").then(|| {
        let section = top.sub("workers", keys::WORKERS, "[workers]");
        (workers::read(&section, &defaults, !listeners.is_empty(), web_concurrency, context), section)
    });
    let hooks = hooks::read_all(&top, &defaults, context);
    let sockets =
        || listeners.iter().chain(companions.iter().filter_map(|companion| companion.listen.as_ref()));
    listener::check_overlaps(sockets(), context);
    let control_section = top.sub("control", keys::CONTROL, "[control]");
    let control = control::read_control(&control_section, context);
    let log_section = top.sub("log", keys::LOG, "[log]");
    let log = control::read_log(&log_section, context);
    let pidfile = top.value("pidfile", |node| pidfile(node, context)).flatten();
    places::check(
        (&control, &control_section),
        (&log, &log_section),
        (pidfile.as_deref(), &top),
        sockets(),
        context,
    );
    let requires = workers.as_ref().map_or(&[][..], |(read, _)| &read.requires);
    let required = companions::required(requires, &companions, context);
    let names: Vec<&str> = listeners.iter().map(|placed| placed.spec.name.as_str()).collect();
    let name = top.value_or("name", "arbiter".to_owned(), title);
    let judge = Judge { name: &name, listeners: &names, context };
    if let Some((read, section)) = &workers {
        judge.workers(&read.spec, section);
    }
    companions.iter().for_each(|companion| judge.companion(companion));
    hooks.iter().for_each(|(hook, place)| judge.hook(hook, *place));
    let mut master = MasterSpec {
        config: None,
        pidfile,
        pre_stop_delay: top.value_or("pre_stop_delay", Duration::ZERO, quantity::duration),
        on_boot_failure: top.value_or("on_boot_failure", OnBootFailure::Halt, |node| {
            value::choice(node, &[("halt", OnBootFailure::Halt), ("retry", OnBootFailure::Retry)])
        }),
        daemon: false,
        control,
        log,
        workers: workers.map(|(read, _)| read.spec),
        has_companions: !(companions.is_empty() && loaded.is_empty()),
        companions_stop_within: companions::stop_within(specs(&companions).chain(loaded)),
        hooks: hooks.into_iter().map(|(hook, _)| hook).collect(),
        listeners: listeners.into_iter().map(|placed| placed.spec).collect(),
        held: Vec::new(),
        warnings: Vec::new(),
        effective: None,
        name: name.clone(),
    };
    let shared = load::shared(&defaults, &master.listeners, context);
    let companions = load::join(companions, loaded.iter().cloned());
    master.held = load::held(&companions);
    let tells_changes = master.hooks.iter().any(|hook| hook.event == HookEvent::CompanionEvent);
    (master, CompanionsSpec { name, companions, required, tells_changes, shared }, defaults)
}

fn specs(read: &[super::companion::Read]) -> impl Iterator<Item = &CompanionSpec> {
    read.iter().map(|companion| &companion.spec)
}

/// arbiter's name stands in process titles and log lines, so it is one visible line.
fn title(node: &Node) -> value::Reading<String> {
    let text = value::word(node)?;
    if text.chars().any(char::is_control) {
        return Err(Fault::new("a name cannot hold control characters"));
    }
    Ok(text)
}

fn pidfile(node: &Node, context: &Context<'_>) -> value::Reading<Option<String>> {
    let text = value::text(node)?;
    if text.is_empty() {
        return Ok(None);
    }
    let path = context::absolute(context.base, &text);
    super::address::new_file(&path)?;
    Ok(Some(path))
}
