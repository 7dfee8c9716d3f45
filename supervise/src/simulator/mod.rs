//! A simulated kernel and clock, and the checks that hold whatever happens.
//!
//! The machines decide and their caller acts; here the caller acts on a [`Kernel`] that keeps simulated
//! processes instead of real ones. What they do is drawn from [`Odds`] by a seeded generator, so that a
//! run that went wrong can be had again from its seed. A driver looks like this:
//!
//! 1. Choose the next moment: [`Kernel::next_event`] or the machine's own deadline, whichever is first
//!    (or much later than both: a late turn), and [`Kernel::advance_to`] it.
//! 2. Hand every [`Kernel::poll_event`] to the machine, then its deadlines. Inputs come first.
//! 3. Perform the actions: [`Kernel::spawn`], [`Kernel::signal`], [`Kernel::kill`].
//! 4. After each input: [`check_unit`] for every unit and [`Kernel::check`].
//!
//! The kernel holds against its caller what only a kernel knows: that a place never has two processes,
//! that no run number comes twice, and that nothing is signalled after it was reaped. A run is reaped the
//! moment its last message is taken with [`Kernel::poll_event`]. A machine's own crash needs nothing here:
//! the kernel goes on, [`Kernel::runs`] is what the next one finds, and the messages that were not taken
//! yet still come.

mod check;
mod kernel;
mod process;
mod program;
mod seeds;

pub use check::{Violation, check_unit};
pub use kernel::{Kernel, Place};
pub use process::Sight;
pub use program::{Odds, Program, Sleep};
pub use seeds::{Game, play};
