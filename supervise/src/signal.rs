//! Signals by number, as Linux numbers them on every machine this runs on (signal(7)).

/// Reload, by custom.
pub const SIGHUP: i32 = 1;
/// Interrupted from a terminal.
pub const SIGINT: i32 = 2;
/// The same, in more of a hurry.
pub const SIGQUIT: i32 = 3;
/// Ends a process whatever it says.
pub const SIGKILL: i32 = 9;
/// For the program to give a meaning.
pub const SIGUSR1: i32 = 10;
/// For the program to give a meaning.
pub const SIGUSR2: i32 = 12;
/// Asks a process to leave.
pub const SIGTERM: i32 = 15;
/// A child has ended, was stopped or goes on.
pub const SIGCHLD: i32 = 17;
/// Lets a stopped process go on.
pub const SIGCONT: i32 = 18;
/// Stopped from a terminal.
pub const SIGTSTP: i32 = 20;
/// One more, by custom.
pub const SIGTTIN: i32 = 21;
/// One fewer, by custom.
pub const SIGTTOU: i32 = 22;
/// A terminal has another size; without one, a custom of its own.
pub const SIGWINCH: i32 = 28;
