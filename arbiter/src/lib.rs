//! arbiter: the master process.
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`start`] | from the command line to a running loop |
//! | [`config`] | reading, checking and showing the configuration; runs in a child ([`resolver`]) |
//! | [`master`] | the whole as a pure machine: start, reload, stop |
//! | [`pool`] | the workers as a pure machine |
//! | [`ledger`] | what must not be lost with the manager |
//! | [`shell`] | the loop, and everything that acts |
//! | [`listeners`] | the sockets, arbiter's own and passed ones, over reloads |
//! | [`runtime`] | the files of a running arbiter: notify sockets, the control socket, the pidfile |

pub mod config;
pub mod ledger;
pub mod listeners;
pub mod master;
pub mod pool;
pub mod resolver;
pub mod runtime;
pub mod shell;
pub mod start;
