//! Signals as readiness of a descriptor, counted rather than flagged.
//!
//! A handler does two things, both async-signal-safe: it adds one to the signal's own counter and makes an
//! eventfd readable. The loop drains the eventfd first and reads the counters afterwards, so that a signal
//! that comes in between makes the descriptor readable again: it is seen twice at worst as a wake-up, and
//! never missed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use signal_hook::SigId;

/// Signal numbers run from 1 to 64 on every Linux this runs on (MIPS excepted).
const HIGHEST: usize = 64;

struct Shared {
    counters: [AtomicU32; HIGHEST + 1],
    wake: OwnedFd,
}

/// The installed handlers of a process. Dropping it leaves the signals without effect.
pub struct Signals {
    shared: Arc<Shared>,
    /// In the order in which they are told.
    order: Vec<i32>,
    registrations: Vec<SigId>,
}

impl Signals {
    /// Installs a handler for each of the signals named.
    ///
    /// # Errors
    /// A signal cannot be caught (KILL, STOP, or one that would hide a crash such as SEGV), or no descriptor is left.
    pub fn install(signals: &[i32]) -> io::Result<Self> {
        let wake: OwnedFd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?.into();
        let shared = Arc::new(Shared { counters: [const { AtomicU32::new(0) }; HIGHEST + 1], wake });
        let mut order = signals.to_vec();
        order.sort_by_key(|&signal| rank(signal));
        order.dedup();
        let mut installed = Self { shared, order: order.clone(), registrations: Vec::new() };
        for signal in order {
            let known = usize::try_from(signal).is_ok_and(|number| (1..=HIGHEST).contains(&number));
            if !known || signal_hook::consts::FORBIDDEN.contains(&signal) {
                let text = format!("signal {signal} cannot be handled");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            let shared = Arc::clone(&installed.shared);
            // SAFETY: the action only adds to an atomic and calls write(2), both async-signal-safe, and
            // restores errno; the memory it uses lives as long as the registration.
            let id = unsafe { signal_hook::low_level::register(signal, move || note(&shared, signal)) }?;
            installed.registrations.push(id);
            LOOKED_AT.store(false, Ordering::Release);
        }
        Ok(installed)
    }

    /// What has arrived since the last call: (signal, how often), TERM, INT, QUIT first, CHLD last. The
    /// kernel merges equal signals that are pending at the same time; every delivered one is counted.
    pub fn take(&mut self) -> Vec<(i32, u32)> {
        self.drain();
        let mut taken = Vec::new();
        for &signal in &self.order {
            let count = counter(&self.shared, signal).swap(0, Ordering::AcqRel);
            if count > 0 {
                taken.push((signal, count));
            }
        }
        taken
    }

    /// What has arrived and was not taken is sent to this process once more: for a program that takes its place,
    /// while all signals are blocked.
    pub fn send_again(&self) {
        for &signal in &self.order {
            if counter(&self.shared, signal).swap(0, Ordering::AcqRel) > 0 {
                // To this process itself: cannot fail.
                let _ = crate::process::send_signal(crate::process::pid(), signal);
            }
        }
    }

    fn drain(&self) {
        let mut value = [0u8; 8];
        // SAFETY: the buffer is valid for eight bytes; an empty eventfd answers EAGAIN, which is fine.
        unsafe { libc::read(self.shared.wake.as_raw_fd(), value.as_mut_ptr().cast(), value.len()) };
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registrations.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

fn rank(signal: i32) -> (u8, i32) {
    let class = match signal {
        libc::SIGTERM => 0,
        libc::SIGINT => 1,
        libc::SIGQUIT => 2,
        libc::SIGCHLD => 4,
        _ => 3,
    };
    (class, signal)
}

fn counter(shared: &Shared, signal: i32) -> &AtomicU32 {
    let index = usize::try_from(signal).unwrap_or(0).min(HIGHEST);
    &shared.counters[index]
}

/// Runs in the signal handler.
fn note(shared: &Shared, signal: i32) {
    counter(shared, signal).fetch_add(1, Ordering::AcqRel);
    let one = 1u64.to_ne_bytes();
    // SAFETY: the errno location of the interrupted thread is always valid; it is put back because the
    // interrupted code may be about to read it. write(2) on a non-blocking eventfd never waits, and when its
    // counter is full the descriptor is readable anyway.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        libc::write(shared.wake.as_raw_fd(), one.as_ptr().cast(), one.len());
        *errno = saved;
    }
}

/// All signals blocked in the calling thread until the guard is dropped.
#[must_use = "the signals are unblocked when the guard is dropped"]
pub struct Blocked {
    before: SigSet,
}

/// Blocks every signal that can be blocked, in the calling thread.
///
/// # Errors
/// None in practice.
pub fn block_all() -> io::Result<Blocked> {
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    Ok(Blocked { before })
}

impl Blocked {
    /// Leaves the signals blocked for good: until handlers are installed and [`unblock_all`] is called, in this image
    /// or the one that replaces it.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Cannot fail: the set came from the kernel.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Empties the calling thread's signal mask: what was blocked by the process that started this one, or by the
/// image before this one, arrives now.
///
/// # Errors
/// None in practice.
pub fn unblock_all() -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// The signals whose action in this process is not the default one, as bits: 1 for signal 1 and so on. Looked
/// at once, and again after this module has changed any: exec resets what is handled, but not before the mask
/// is empty, and never what is ignored.
pub(crate) fn not_default() -> u64 {
    if LOOKED_AT.load(Ordering::Acquire) {
        return NOT_DEFAULT.load(Ordering::Acquire);
    }
    let found = (1..=HIGHEST)
        .filter(|&signal| {
            // The kernel's sigaction: handler, flags, restorer, mask.
            let mut action = [0u64; 4];
            // SAFETY: nothing is changed, and what is written fits into the array. KILL and STOP answer
            // EINVAL and leave it zero, which is the default.
            unsafe {
                let none = std::ptr::null::<u64>();
                libc::syscall(libc::SYS_rt_sigaction, signal, none, action.as_mut_ptr(), 8usize);
            }
            action[0] != libc::SIG_DFL as u64
        })
        .fold(0, |bits, signal| bits | bit(signal));
    NOT_DEFAULT.store(found, Ordering::Release);
    LOOKED_AT.store(true, Ordering::Release);
    found
}

/// The bit of a signal.
pub(crate) fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// See [`not_default`].
static NOT_DEFAULT: AtomicU64 = AtomicU64::new(0);
static LOOKED_AT: AtomicBool = AtomicBool::new(false);

/// Ignores a signal in this process. Children are not affected: they start with every disposition default.
///
/// # Errors
/// The signal cannot be ignored (KILL, STOP) or is unknown.
pub fn ignore(signal: i32) -> io::Result<()> {
    let signal = Signal::try_from(signal)?;
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }?;
    LOOKED_AT.store(false, Ordering::Release);
    Ok(())
}

/// Gives a signal its default action in this process, whatever it was started with.
///
/// # Errors
/// The signal's action cannot be changed (KILL, STOP) or it is unknown.
pub fn restore(signal: i32) -> io::Result<()> {
    let signal = Signal::try_from(signal)?;
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    LOOKED_AT.store(false, Ordering::Release);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(signal: i32) {
        // SAFETY: tgkill of the calling thread with a handled signal; delivery is done when the call returns.
        unsafe { libc::raise(signal) };
    }

    fn readable(signals: &Signals) -> bool {
        let mut poll = libc::pollfd { fd: signals.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd, no waiting.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn every_delivered_signal_is_counted_and_told_in_order() {
        let mut signals = Signals::install(&[
            libc::SIGHUP,
            libc::SIGWINCH,
            libc::SIGURG,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTERM,
        ])
        .unwrap();
        assert!(!readable(&signals));
        for _ in 0..1000 {
            raise(libc::SIGURG);
        }
        for signal in [libc::SIGHUP, libc::SIGQUIT, libc::SIGWINCH, libc::SIGTERM, libc::SIGTERM] {
            raise(signal);
        }
        assert!(readable(&signals));
        let expected = [
            (libc::SIGTERM, 2),
            (libc::SIGQUIT, 1),
            (libc::SIGHUP, 1),
            (libc::SIGURG, 1000),
            (libc::SIGWINCH, 1),
        ];
        assert_eq!(signals.take(), expected);
        assert!(!readable(&signals));
        assert_eq!(signals.take(), []);
    }

    #[test]
    fn a_childs_end_is_told_after_everything_else() {
        // Not sent here: the ends of other tests' processes would be counted too.
        let signals =
            Signals::install(&[libc::SIGCHLD, libc::SIGPROF, libc::SIGTTIN, libc::SIGCHLD]).unwrap();
        assert_eq!(signals.order, [libc::SIGTTIN, libc::SIGPROF, libc::SIGCHLD]);
    }

    #[test]
    fn blocked_signals_arrive_when_the_guard_goes() {
        let mut signals = Signals::install(&[libc::SIGUSR2]).unwrap();
        let guard = block_all().unwrap();
        raise(libc::SIGUSR2);
        assert_eq!(signals.take(), []);
        drop(guard);
        assert_eq!(signals.take(), [(libc::SIGUSR2, 1)]);
    }

    #[test]
    fn a_signal_that_cannot_be_caught_is_an_error() {
        for signal in [libc::SIGKILL, libc::SIGSEGV, 0, 65, -1] {
            assert!(Signals::install(&[signal]).is_err(), "{signal}");
        }
    }
}
