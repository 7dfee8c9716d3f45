//! Asking a process from outside how it is: over TCP, a Unix socket, HTTP, or by a command's exit status.
//!
//! A try is a value that the loop drives: its descriptor (a socket, or the pidfd of a command) is in the
//! caller's epoll set under a token of its own, and each event brings the try forward ([`Tries::handle`]).
//! Nothing here knows the time: the caller gives up what takes too long ([`Tries::abandon`]).
//!
//! | file | |
//! | --- | --- |
//! | `question` | from a configured check to what is asked |
//! | `target` | whom to ask: an address, a URL |
//! | `contact` | one connection, and one GET over it |
//! | `command` | one command, and what is left of it |
//! | `tries` | all of a daemon's |

mod command;
mod contact;
mod question;
mod target;
mod tries;

pub use question::{Question, QuestionError};
pub use target::{Target, TargetError};
pub use tries::Tries;
