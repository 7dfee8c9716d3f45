//! The harness of the black-box suite.
//!
//! A scenario in `tests/` has a [`Site`]: a directory of its own with a configuration, a control socket and
//! a log. It starts the real programs there as an [`Arbiter`], looks at them only as a user could (through
//! `arbiterctl`, the control socket, HTTP, signals and `/proc`), and at its end the site asserts that
//! nothing is left: no process, no socket, no pidfile.
//!
//! What arbiter supervises in a scenario are fakes that are programs: `fake-worker`, `fake-companion` and
//! `fake-hook` (`src/bin`). They announce what happens to them by a line in a file ([`announce`]), so that no scenario
//! ever sleeps; all waiting is [`wait_for`]. What is lost of requests under load the clients of [`traffic`]
//! count; ordinary servers to ask are in `peers/`.

pub mod announce;
mod arbiter;
mod client;
mod ctl;
mod dice;
pub mod fake;
pub mod http;
pub mod installed;
pub mod logs;
pub mod manual;
pub mod processes;
mod programs;
mod say;
mod site;
mod skip;
mod status;
mod terminal;
pub mod traffic;
mod wait;

pub use announce::{Event, What};
pub use arbiter::Arbiter;
pub use client::Peer;
pub use ctl::Output;
pub use dice::Dice;
pub use programs::{copy_program, program};
pub use say::SAY;
pub use site::Site;
pub use skip::{is_root, not_tested};
pub use status::{Companion, Process, Status};
pub use terminal::Terminal;
pub use wait::{PATIENCE, observe_for, wait_for};

/// The variable that marks every process of one site.
pub const MARK: &str = "ARBITER_TEST_SITE";

/// Signals by number, as scenarios send them.
pub mod signal {
    pub const HUP: i32 = 1;
    pub const INT: i32 = 2;
    pub const QUIT: i32 = 3;
    pub const KILL: i32 = 9;
    pub const USR1: i32 = 10;
    pub const USR2: i32 = 12;
    pub const TERM: i32 = 15;
    pub const STOP: i32 = 19;
    pub const CHLD: i32 = 17;
    pub const CONT: i32 = 18;
    pub const TTIN: i32 = 21;
    pub const TTOU: i32 = 22;
    pub const WINCH: i32 = 28;
}
