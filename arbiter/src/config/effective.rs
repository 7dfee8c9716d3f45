//! The effective configuration as TOML: what was resolved, every default filled in. Read again, it resolves to
//! the same.

use super::process::Defaults;
use proto::spec::{
    CompanionSpec, Heartbeat, LogFormat, LogLevel, LogTarget, MasterSpec, OnBootFailure, WorkersSpec,
};
use proto::written::{
    Writer, array, duration, inline, listener_pairs, print_companion, print_process, print_recycle,
    print_start, print_stop, string, variables,
};
use std::path::Path;

/// The whole configuration. `base` is what relative paths were relative to.
pub(crate) fn print(
    master: &MasterSpec,
    companions: &[CompanionSpec],
    defaults: &Defaults,
    base: &Path,
) -> String {
    let own_uid = sys::process::effective_uid();
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
    out.raw("env", &variables(&defaults.env));
    out.texts("unset_env", &defaults.unset_env);
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
        print_companion(&mut out, companion, own_uid);
    }
    out.finish()
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

fn print_socket(pairs: &[(String, String)], out: &mut Writer) {
    for (name, value) in pairs {
        out.raw(name, value);
    }
}

fn print_workers(out: &mut Writer, workers: &WorkersSpec) {
    out.table("[workers]");
    print_process(out, &workers.process, sys::process::effective_uid());
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
        let pairs = [("command".to_owned(), command), ("timeout".to_owned(), duration(hook.timeout))];
        out.raw(name.map_or("", |(_, name)| *name), &inline(pairs));
    }
}
