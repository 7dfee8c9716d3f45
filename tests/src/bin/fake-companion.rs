//! A companion that does as its flags say.
//!
//! | flag | |
//! | --- | --- |
//! | `--exit-after SECONDS` | ends by itself |
//! | `--exit-code N` | with this code, and also when asked to stop |
//! | `--exit-if FILE` | ends at once with the code that the file holds, if it is there |
//! | `--ready-after SECONDS` | says READY=1 then |
//! | `--ready-when FILE` | says READY=1 once that is there |
//! | `--ignore-term` | is not impressed by TERM |
//! | `--stop-after SECONDS` | takes that long to stop |
//! | `--fork-child` | has a child in its group, which ignores TERM with `--child-ignores-term` |
//! | `--write N` | writes so many lines to standard output first |

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;
use tests::What;
use tests::announce::announce;
use tests::fake::{Flags, Readiness, exit_if_told_by};

const SIGTERM: i32 = 15;
const SIGHUP: i32 = 1;
/// Longer than any scenario.
const FOREVER: Duration = Duration::from_secs(3600);

fn main() {
    let flags = Flags::of_this_process();
    exit_if_told_by(flags.value("--exit-if"));
    let signals = Signals::install(&[SIGTERM, SIGHUP]).expect("signals can be handled");
    let suffix = if flags.has("--as-child") { "-child" } else { "" };
    if flags.has("--fork-child") {
        fork_child(flags.has("--child-ignores-term"));
    }
    for line in 0..flags.number("--write").unwrap_or(0) {
        writeln!(std::io::stdout(), "line {line}").expect("standard output can be written to");
    }
    announce(What::Started, suffix);
    live(&flags, signals, suffix);
    announce(What::Leaves, suffix);
    std::process::exit(flags.number("--exit-code").unwrap_or(0));
}

/// Returns when it is time to end.
fn live(flags: &Flags, mut signals: Signals, suffix: &str) {
    let mut reactor = Reactor::new().expect("an epoll set is to be had");
    reactor.register(&signals, Token(0), Interest::READ).expect("it can be waited for");
    let begun = Instant::now();
    let mut end = begun + flags.seconds("--exit-after").unwrap_or(FOREVER);
    let mut readiness = Readiness::new(flags);
    loop {
        let now = Instant::now();
        if now >= end {
            return;
        }
        readiness.poll();
        let next = readiness.next().map_or(end, |at| at.min(end));
        reactor.wait(Some(next.saturating_duration_since(now))).expect("waiting works");
        for (signal, _) in signals.take() {
            if signal == SIGTERM {
                announce(What::Asked, suffix);
                if !flags.has("--ignore-term") {
                    end = Instant::now() + flags.seconds("--stop-after").unwrap_or(Duration::ZERO);
                }
            }
        }
    }
}

#[expect(clippy::zombie_processes, reason = "it is waited for by whoever reaps what the group leaves")]
fn fork_child(ignores_term: bool) {
    let own = std::env::current_exe().expect("a program has a path");
    let mut command = Command::new(own);
    command.arg("--as-child");
    if ignores_term {
        command.arg("--ignore-term");
    }
    command.spawn().expect("a child can be started");
}
