//! A companion that does as its flags say.
//!
//! | flag | |
//! | --- | --- |
//! | `--exit-after SECONDS` | ends by itself |
//! | `--exit-code N` | with this code, and also when asked to stop |
//! | `--exit-if FILE` | ends at once with the code that the file holds, if it is there |
//! | `--ready-after SECONDS` | says READY=1 then |
//! | `--ready-when FILE` | says READY=1 once that is there |
//! | `--beat-until FILE` | says WATCHDOG=1, more often than it has to, until the file is there |
//! | `--trigger-when FILE` | says WATCHDOG=trigger then |
//! | `--hold FILE` | holds as many MiB of memory as the file says, if it is there at its start |
//! | `--more-time MICROSECONDS` | asks for so much time when it starts, and when it is asked to leave |
//! | `--ignore-term` | is not impressed by TERM |
//! | `--stop-after SECONDS` | takes that long to stop |
//! | `--fork-child` | has a child in its group, which ignores TERM with `--child-ignores-term` |
//! | `--write N` | writes so many lines to standard output first |
//! | `--flood` | writes numbered lines to standard output until it leaves, the last of them says so |
//! | `--alone DIRECTORY` | announces that another process of its slot lives, where one does |

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;
use tests::What;
use tests::announce::announce;
use tests::fake::{Flags, Heartbeat, Readiness, ask_for_more_time, exit_if_told_by, hold_memory};

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
    let held = hold_memory(&flags);
    ask_for_more_time(&flags);
    let _alone = flags.value("--alone").and_then(|directory| stay_alone(Path::new(directory)));
    announce(What::Started, suffix);
    let flood = flags.has("--flood").then(Flood::begin);
    live(&flags, signals, suffix);
    drop(std::hint::black_box(held));
    if let Some(flood) = flood {
        flood.end();
    }
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
    let mut heartbeat = Heartbeat::new(flags);
    loop {
        let now = Instant::now();
        if now >= end {
            return;
        }
        readiness.poll();
        heartbeat.poll();
        let next = [readiness.next(), heartbeat.next()].into_iter().flatten().fold(end, Instant::min);
        reactor.wait(Some(next.saturating_duration_since(now))).expect("waiting works");
        for (signal, _) in signals.take() {
            if signal == SIGTERM {
                announce(What::Asked, suffix);
                ask_for_more_time(flags);
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

/// The lock that every process of its slot takes. An extra process has no slot.
fn stay_alone(directory: &Path) -> Option<File> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let slot = variable("ARBITER_SLOT");
    if slot == "0" {
        return None;
    }
    let path = directory.join(format!("{}-{slot}.alone", variable("ARBITER_NAME")));
    let file = File::create(path).expect("the directory can be written to");
    if sys::fd::try_lock(&file).is_err() {
        announce(What::Twice, "");
    }
    Some(file)
}

/// Lines without end: `PID-START NUMBER of a flood`.
struct Flood {
    stop: Arc<AtomicBool>,
    writer: JoinHandle<()>,
}

/// As many lines at once, and what lies between.
const BURST: u64 = 100;
const LULL: Duration = Duration::from_millis(20);

impl Flood {
    fn begin() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let own = format!("{}-{}", std::process::id(), now.as_nanos());
        // A line in one write: a kill leaves it whole or out.
        let write = move |line: String| std::io::stdout().write_all(line.as_bytes());
        let writer = std::thread::spawn(move || {
            let mut number = 0u64;
            while !told.load(Ordering::Acquire) {
                for _ in 0..BURST {
                    number += 1;
                    write(format!("{own} {number} of a flood\n")).expect("somebody reads");
                }
                std::thread::sleep(LULL);
            }
            write(format!("{own} {} last\n", number + 1)).expect("somebody reads");
        });
        Self { stop, writer }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.writer.join().expect("it does not panic");
    }
}
