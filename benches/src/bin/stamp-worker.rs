//! A process whose first act is to take the time. Then it tells it, says that it is ready, and sleeps.
//!
//! `BENCH_STAMPS` is the socket to tell it to and `BENCH_LABEL` whose worker this is. `BENCH_BOOK` is a file to
//! write it to instead, which wakes nobody: for a thousand at once. Without them it only sleeps. With `--nothing`
//! it ends at once; with `--stay` it outlives its parent.

use std::io::Write;
use std::os::unix::net::UnixDatagram;

const SIGKILL: i32 = 9;

fn main() -> std::io::Result<()> {
    let born = sys::clock::monotonic();
    let is_told = |word: &str| std::env::args_os().any(|argument| argument == word);
    if is_told("--nothing") {
        return Ok(());
    }
    // Whoever started it may be killed in mid-run: then nobody is to be left.
    if !is_told("--stay") && !sys::process::die_with_parent(SIGKILL, sys::process::parent_pid())? {
        return Ok(());
    }
    if let Some(socket) = std::env::var_os("BENCH_STAMPS") {
        let label = std::env::var("BENCH_LABEL").unwrap_or_default();
        let slot = std::env::var("ARBITER_SLOT").unwrap_or_else(|_| "1".into());
        let stamp = format!("{label} {slot} {} {}", std::process::id(), born.as_nanos());
        UnixDatagram::unbound()?.send_to(stamp.as_bytes(), socket)?;
    }
    if let Some(book) = std::env::var_os("BENCH_BOOK") {
        let line = format!("{} {}\n", std::process::id(), born.as_nanos());
        std::fs::OpenOptions::new().append(true).open(book)?.write_all(line.as_bytes())?;
    }
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    }
    loop {
        std::thread::park();
    }
}
