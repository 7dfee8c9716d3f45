//! Replacing arbiter's own program in place: same process, same children, same sockets.
//!
//! 1. The program that is installed now runs as a child, the *trial* ([`trial`]): it has to decode the state that
//!    this one would leave, and to find the configuration and its manager in order.
//! 2. The manager makes room. What it ran is arbiter's then, and known to the last detail.
//! 3. This program writes its [`State`] into a memory file, lets every descriptor in it survive, and execs the new
//!    one with all signals blocked: what is sent meanwhile waits.
//! 4. The new program takes everything up ([`arrival`]) and starts a manager of its own version. Until its loop has
//!    turned once, any error sends it back to the program before, which is still open.
//!
//! The state is numbered: a program that does not know the number says so in its trial.

mod arrival;
mod kept;
mod state;
#[cfg(test)]
mod state_tests;
mod trial;

use std::ffi::{CString, NulError};
use std::os::fd::{AsFd, AsRawFd};

pub(crate) use arrival::{Arrival, WayBack, leave};
pub(crate) use kept::{Keeping, Kept, Number};
pub(crate) use state::{Child, SavedCaptures, SavedCompanions, SavedOrigin, SavedUpward, SocketAt, State};
pub(crate) use trial::{TIMEOUT, Trial, hidden_mode};

/// The variable that tells a program that a state waits for it: the memory file's number, and that of the program
/// before.
const VARIABLE: &str = "ARBITER_UPGRADE";
/// The variable that tells a program why it was sent back to.
const SENT_BACK: &str = "ARBITER_UPGRADE_FAILED";
/// The most a state may take.
const MAX: usize = 1 << 30;

/// What tells a program that a state waits for it in `state`, left by the program in `image`.
///
/// # Errors
/// None in practice.
pub(crate) fn told(state: &impl AsFd, image: &impl AsFd) -> Result<CString, NulError> {
    let numbers = [state.as_fd().as_raw_fd(), image.as_fd().as_raw_fd()];
    CString::new(format!("{VARIABLE}={}:{}", numbers[0], numbers[1]))
}
