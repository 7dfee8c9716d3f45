//! arbiter: the master process.
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`start`] | from the command line to a running loop |
//! | [`daemon`] | going to the background |
//! | [`config`] | reading, checking and showing the configuration; runs in a child ([`resolver`]) |
//! | [`hooks`] | the operator's commands at events, as a pure machine |
//! | [`master`] | the whole as a pure machine: start, reload, stop |
//! | [`pool`] | the workers as a pure machine |
//! | [`ledger`] | what must not be lost with the manager |
//! | `pings` | whether the manager answers |
//! | [`shell`] | the loop, and everything that acts |
//! | [`happenings`] | what is told to those who watch events |
//! | [`handover`] | starting another master beside this one, and being it |
//! | [`listeners`] | the sockets, arbiter's own and passed ones, over reloads |
//! | `upgrade` | replacing arbiter's own program in place |
//! | [`runtime`] | the files of a running arbiter: notify sockets, the control socket, the pidfile |

pub mod config;
pub mod daemon;
pub mod handover;
pub mod happenings;
pub mod hooks;
pub mod ledger;
pub mod listeners;
pub mod master;
mod pings;
pub mod pool;
pub mod resolver;
pub mod runtime;
pub mod shell;
pub mod start;
mod upgrade;
