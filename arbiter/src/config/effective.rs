//! The effective configuration as TOML: what was resolved, every default filled in. Read again, it resolves to
//! the same.

use super::quantity::{write_duration, write_size};
use super::writer::{self, Writer, array, inline, string};
use proto::spec::{
    AddressSpec, Check, CompanionSpec, Flapping, Health, Heartbeat, Identity, ListenerSpec, LogFormat,
    LogLevel, LogTarget, MasterSpec, OnBootFailure, Output, OwnerSpec, ProcessSpec, Ready, Recycle, Resource,
    RestartPolicy, Stdin, StopSpec, WorkersSpec,
};
use std::path::Path;
use std::time::Duration;

/// The whole configuration. `base` is what relative paths were relative to.
pub(crate) fn print(master: &MasterSpec, companions: &[CompanionSpec], base: &Path) -> String {
    let mut out = Writer::default();
    out.text("name", &master.name);
    out.text("pidfile", master.pidfile.as_deref().unwrap_or(""));
    out.text("chdir", &base.to_string_lossy());
    out.duration("pre_stop_delay", master.pre_stop_delay);
    let on_boot_failure = match master.on_boot_failure {
        OnBootFailure::Halt => "halt",
        OnBootFailure::Retry => "retry",
    };
    out.text("on_boot_failure", on_boot_failure);
    print_hook_variables(&mut out, master);
    print_control(&mut out, master);
    print_log(&mut out, master);
    for listener in &master.listeners {
        out.table("[[listener]]");
        out.text("name", &listener.name);
        print_socket(&listener_pairs(listener, true), &mut out);
    }
    if let Some(workers) = &master.workers {
        print_workers(&mut out, workers);
    }
    print_hooks(&mut out, master);
    for companion in companions {
        print_companion(&mut out, companion);
    }
    out.finish()
}

/// Hooks have no variables of their own: theirs are the top level's, which every other table repeats.
fn print_hook_variables(out: &mut Writer, master: &MasterSpec) {
    if let Some(hook) = master.hooks.first() {
        out.raw("env", &variables(&hook.process.env));
        out.texts("unset_env", &hook.process.unset_env);
    }
}

fn print_control(out: &mut Writer, master: &MasterSpec) {
    let control = &master.control;
    out.table("[control]");
    match &control.socket {
        Some(path) if !control.explicit => {
            out.comment("the default, which may fail with a warning; given here, it may not");
            out.comment(&format!("socket = {}", string(path)));
        }
        path => out.text("socket", path.as_deref().unwrap_or("")),
    }
    out.mode("mode", control.mode);
    match control.group {
        Some(group) => out.plain("group", group),
        None => out.text("group", ""),
    }
    out.plains("allow_users", &control.allow_users);
    out.plains("allow_groups", &control.allow_groups);
}

fn print_log(out: &mut Writer, master: &MasterSpec) {
    out.table("[log]");
    let level = match master.log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    out.text("level", level);
    let format = match master.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    out.text("format", format);
    match &master.log.target {
        LogTarget::Stderr => out.text("file", "stderr"),
        LogTarget::File(path) => out.text("file", path),
    }
}

/// What is written of a socket besides its name.
fn listener_pairs(listener: &ListenerSpec, is_listener: bool) -> Vec<(String, String)> {
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

fn print_socket(pairs: &[(String, String)], out: &mut Writer) {
    for (name, value) in pairs {
        out.raw(name, value);
    }
}

fn variables(variables: &[(String, String)]) -> String {
    inline(variables.iter().map(|(name, value)| (writer::key(name), string(value))))
}

fn print_process(out: &mut Writer, process: &ProcessSpec) {
    out.texts("command", &process.command);
    out.text("cwd", &process.cwd);
    out.raw("env", &variables(&process.env));
    out.texts("unset_env", &process.unset_env);
    let env_file = process.env_file.as_ref();
    let dash = |optional: bool| if optional { "-" } else { "" };
    let env_file = env_file.map(|file| format!("{}{}", dash(file.optional), file.path));
    out.text("env_file", &env_file.unwrap_or_default());
    if let Some(identity) = &process.identity {
        print_identity(out, identity);
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
fn print_identity(out: &mut Writer, identity: &Identity) {
    match &identity.login {
        Some((name, _, _)) => out.text("user", name),
        None if identity.groups == [identity.gid] && identity.uid != sys::process::effective_uid() => {
            out.plain("user", identity.uid);
        }
        None => {}
    }
    out.plain("group", identity.gid);
}

fn print_start(out: &mut Writer, ready: &Ready, seconds: Duration, timeout: Duration) {
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

fn check_pairs(check: &Check, interval: Duration, timeout: Duration) -> Vec<(String, String)> {
    let check = match check {
        Check::Exec(words) => ("exec".to_owned(), array(words.iter().map(|word| string(word)))),
        Check::Tcp(address) => ("tcp".to_owned(), string(address)),
        Check::Http(url) => ("http".to_owned(), string(url)),
    };
    vec![
        check,
        ("interval".to_owned(), write_duration(interval)),
        ("timeout".to_owned(), write_duration(timeout)),
    ]
}

fn print_stop(out: &mut Writer, stop: &StopSpec, timeout: &str) {
    out.signal("stop_signal", stop.signal);
    out.duration(timeout, stop.timeout);
    out.plain("stop_group", stop.group);
}

fn print_recycle(out: &mut Writer, recycle: &Recycle) {
    out.duration("max_lifetime", recycle.max_lifetime);
    out.duration("max_lifetime_jitter", recycle.max_lifetime_jitter);
    out.raw("memory_max", &write_size(recycle.memory_max));
}

fn print_workers(out: &mut Writer, workers: &WorkersSpec) {
    out.table("[workers]");
    print_process(out, &workers.process);
    out.plain("count", workers.count);
    print_start(out, &workers.ready, workers.start_seconds, workers.start_timeout);
    out.duration("timeout", workers.timeout);
    let heartbeat = match workers.heartbeat {
        Heartbeat::Auto => "auto",
        Heartbeat::Required => "required",
        Heartbeat::Off => "off",
    };
    out.text("heartbeat", heartbeat);
    print_stop(out, &workers.stop, "graceful_timeout");
    out.signal("quick_stop_signal", workers.quick_stop_signal);
    out.signal("abort_signal", workers.abort_signal);
    out.duration("abort_timeout", workers.abort_timeout);
    out.signal_or_none("reopen_signal", workers.reopen_signal);
    print_recycle(out, &workers.recycle);
    out.plain("reload_batch", workers.reload_batch);
    out.texts("requires", &workers.requires);
    out.plains("halt_exit_codes", &workers.halt_exit_codes);
}

fn print_hooks(out: &mut Writer, master: &MasterSpec) {
    if master.hooks.is_empty() {
        return;
    }
    out.table("[hooks]");
    for hook in &master.hooks {
        let name = proto::spec::HookEvent::ALL.iter().find(|(event, _)| *event == hook.event);
        let command = array(hook.process.command.iter().map(|word| string(word)));
        let pairs = [("command".to_owned(), command), ("timeout".to_owned(), write_duration(hook.timeout))];
        out.raw(name.map_or("", |(_, name)| *name), &inline(pairs));
    }
}

fn print_companion(out: &mut Writer, companion: &CompanionSpec) {
    out.table(&format!("[companion.{}]", writer::key(&companion.name)));
    print_process(out, &companion.process);
    out.text("session", &companion.session);
    out.plain("count", companion.count);
    out.plain("autostart", companion.autostart);
    out.plain("critical", companion.critical);
    out.texts("after", &companion.after);
    let restart = match companion.restart {
        RestartPolicy::Always => "always",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Never => "never",
    };
    out.text("restart", restart);
    out.plains("success_exit_codes", &companion.success_exit_codes);
    out.duration("restart_delay", companion.restart_delay);
    out.duration("restart_delay_max", companion.restart_delay_max);
    if let Some(flapping) = &companion.flapping {
        out.raw("flapping", &inline(flapping_pairs(flapping)));
    }
    print_start(out, &companion.ready, companion.start_seconds, companion.start_timeout);
    if let Some(Health { check, interval, timeout, failures }) = &companion.health {
        let mut pairs = check_pairs(check, *interval, *timeout);
        pairs.push(("failures".to_owned(), failures.to_string()));
        out.raw("health", &inline(pairs));
    }
    out.duration("watchdog", companion.watchdog);
    print_stop(out, &companion.stop, "stop_timeout");
    out.signal_or_none("reload_signal", companion.reload_signal);
    print_streams(out, companion);
    print_recycle(out, &companion.recycle);
}

fn flapping_pairs(flapping: &Flapping) -> [(String, String); 4] {
    [
        ("attempts".to_owned(), flapping.attempts.to_string()),
        ("window".to_owned(), write_duration(flapping.window)),
        ("retry_in".to_owned(), write_duration(flapping.retry_in)),
        ("max_retry".to_owned(), flapping.max_retry.to_string()),
    ]
}

/// Standard streams, further ones, and the companion's own socket.
fn print_streams(out: &mut Writer, companion: &CompanionSpec) {
    out.text("stdout", output(&companion.stdout));
    if let Some(stderr) = &companion.stderr {
        out.text("stderr", output(stderr));
    }
    let is_captured = companion.stdout == Output::Capture || companion.stderr == Some(Output::Capture);
    if is_captured {
        let log = &companion.log;
        let pairs = [
            ("file".to_owned(), string(&log.file)),
            ("max_size".to_owned(), write_size(log.max_size)),
            ("keep".to_owned(), log.keep.to_string()),
            ("timestamps".to_owned(), log.timestamps.to_string()),
        ];
        out.raw("log", &inline(pairs));
    }
    let stdin = match companion.stdin {
        Stdin::Null => "null",
        Stdin::Pipe => "pipe",
    };
    out.text("stdin", stdin);
    out.texts("streams", &companion.streams);
    match &companion.listen {
        Some(listener) => out.raw("listen", &inline(listener_pairs(listener, false))),
        None => out.text("listen", ""),
    }
}

fn output(output: &Output) -> &str {
    match output {
        Output::Inherit => "inherit",
        Output::Null => "null",
        Output::Capture => "capture",
        Output::Stdout => "stdout",
        Output::File(path) => path,
    }
}
