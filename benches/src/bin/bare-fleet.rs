//! The least that keeps many processes: no log, no readiness, no limits, nothing else to look after.
//!
//! | `bare-fleet HOW PROGRAM COUNT` | |
//! | --- | --- |
//! | `vfork` | posix_spawn(3), which shares the parent's memory until exec |
//! | `fork` | fork(2) and exec |
//!
//! It waits for one after the other, which is the least there is to do where all die. TERM stops them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;

const SIGTERM: i32 = 15;
static STOPPING: AtomicBool = AtomicBool::new(false);

fn main() -> io::Result<()> {
    let usage = || io::Error::new(io::ErrorKind::InvalidInput, "usage: bare-fleet vfork|fork PROGRAM COUNT");
    let mut arguments = std::env::args_os().skip(1);
    let how = arguments.next().ok_or_else(usage)?;
    let mut command = Command::new(arguments.next().ok_or_else(usage)?);
    let count: usize = arguments.next().and_then(|count| count.to_str()?.parse().ok()).ok_or_else(usage)?;
    if how == "fork" {
        // Any change of identity, even to what it is, keeps the standard library from posix_spawn.
        command.gid(std::fs::metadata("/proc/self")?.gid());
    }
    let mut children = (0..count).map(|_| command.spawn()).collect::<io::Result<Vec<Child>>>()?;
    let pids: &'static [AtomicI32] =
        children.iter().map(|child| AtomicI32::new(pid(child))).collect::<Vec<_>>().leak();
    std::thread::spawn(move || stop_on_signal(pids));
    for place in (0..count).cycle() {
        children[place].wait()?;
        if STOPPING.load(Ordering::SeqCst) {
            return children.iter_mut().try_for_each(|child| child.wait().map(drop));
        }
        children[place] = command.spawn()?;
        pids[place].store(pid(&children[place]), Ordering::SeqCst);
    }
    Ok(())
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("the kernel's numbers are positive ints")
}

fn stop_on_signal(pids: &[AtomicI32]) -> io::Result<()> {
    let mut signals = Signals::install(&[SIGTERM])?;
    let mut reactor = Reactor::new()?;
    reactor.register(&signals, Token(0), Interest::READ)?;
    while signals.take().is_empty() {
        reactor.wait(None)?;
    }
    STOPPING.store(true, Ordering::SeqCst);
    pids.iter().try_for_each(|pid| sys::process::send_signal(pid.load(Ordering::SeqCst), SIGTERM))
}
