//! What is written of a companion.

use super::process::{check_pairs, listener_pairs, print_process, print_recycle, print_start, print_stop};
use super::writer::{self, Writer, inline, string};
use crate::spec::{CompanionSpec, Flapping, Health, Output, RestartPolicy, Stdin};

/// The table of a companion. `own_uid` is the user that arbiter runs as.
pub fn print_companion(out: &mut Writer, companion: &CompanionSpec, own_uid: u32) {
    out.table(&format!("[companion.{}]", writer::key(&companion.name)));
    print_process(out, &companion.process, own_uid);
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
        ("window".to_owned(), writer::duration(flapping.window)),
        ("retry_in".to_owned(), writer::duration(flapping.retry_in)),
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
            ("max_size".to_owned(), writer::size(log.max_size)),
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
