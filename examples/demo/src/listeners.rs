//! The listeners that arbiter (or systemd) hands over, by the protocol of `sd_listen_fds(3)`.

use std::env;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, RawFd};

/// Listeners begin after standard input, output and error.
const FIRST: RawFd = 3;

/// Takes all listeners over, non-blocking.
///
/// Call it once: a second call would own the same descriptors again.
///
/// # Errors
/// A sentence for a person, if nothing was handed over to this very process, or if
/// something else than a TCP listener was.
pub(crate) fn take() -> Result<Vec<TcpListener>, String> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let count = match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == std::process::id() && (1..=64).contains(&count) => count,
        _ => return Err("no listener was handed over: start this program by arbiter".to_owned()),
    };
    (FIRST..).zip(0..count).map(|(fd, _)| take_one(fd)).collect()
}

/// Opens a listener of this program's own, non-blocking.
///
/// # Errors
/// A sentence for a person.
pub(crate) fn open(address: &str) -> Result<Vec<TcpListener>, String> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    Ok(vec![listener.map_err(|error| format!("cannot listen on {address}: {error}"))?])
}

#[expect(unsafe_code, reason = "a descriptor that is known by its number only can be owned in no other way")]
fn take_one(fd: RawFd) -> Result<TcpListener, String> {
    // SAFETY: sd_listen_fds(3) promises that descriptors 3 to 3 + LISTEN_FDS are open and this
    // process's own if LISTEN_PID is its pid, which `take` has checked. Nothing else here opens or
    // owns them, and `take` is called once, so the listener is the only owner.
    let listener = unsafe { TcpListener::from_raw_fd(fd) };
    listener.local_addr().and_then(|_| listener.set_nonblocking(true)).map_err(|error| {
        format!("descriptor {fd} is not a TCP listener: {error}; use an address like 127.0.0.1:8000")
    })?;
    Ok(listener)
}
