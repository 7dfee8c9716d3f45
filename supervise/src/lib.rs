//! The lifecycle of supervised processes, as pure machines.
//!
//! Nothing here performs a system call, reads a clock or waits. Inputs carry the time, outputs are
//! values that say what is to be done; workers and companions are supervised by the same machine. That
//! is what lets a seeded simulator drive millions of steps through it (feature `simulator`, in tests).
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`mod@unit`] | one process: desired and observed state, readiness, back-off, the stop ladder (start here: its table) |
//! | [`policy`] | the rules a unit follows |
//! | [`Flapping`] | when one that keeps ending is given up |
//! | [`heartbeat`] | signs of life, and when silence counts |
//! | [`recycling`] | when one is replaced though nothing is wrong |
//! | [`slots`] | which copy gets which number, and which one goes first |
//! | [`order`] | what comes after what |
//! | [`probe`] | when processes are asked from outside how they are |
//! | [`timers`] | the deadlines of many units |
//! | [`RunId`], [`Exit`], [`Monotonic`] | the words all programs share: one execution, its end, a moment |

mod exit;
mod flapping;
pub mod heartbeat;
mod jitter;
pub mod order;
pub mod policy;
pub mod probe;
pub mod recycling;
mod run;
pub mod signal;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod slots;
mod time;
pub mod timers;
pub mod unit;

pub use exit::{Exit, ExitStatus, signal_label, signal_name, signal_names, signal_number};
pub use flapping::Flapping;
pub use heartbeat::Heartbeat;
pub use jitter::Jitter;
pub use policy::{Ladder, Policy, Readiness, Restart, look_interval};
pub use recycling::Recycle;
pub use run::{RunId, RunIds};
pub use time::Monotonic;
pub use timers::Timers;
pub use unit::{Action, Cause, Desired, Ending, Input, Note, Phase, Run, State, Step, Turn, Unit};
