//! The companion manager: it owns the companions of one arbiter and serves its control socket.
//!
//! It is started by arbiter, which stays at the other end of the *link*: a sequenced-packet socket in
//! descriptor 3. Everything it is to know comes over the link; it opens no configuration file. It may be
//! killed at any instant and loses nothing: what it is about to do goes to arbiter before it is done
//! (*intent before effect*), ends of processes are looked at, told, and only then reaped (*peek, tell,
//! reap*), and another manager goes on from what arbiter was told.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`table`] | decides: all companions as one pure machine (start here) |
//! | [`capture`] | captured output: from pipes to files, by one thread |
//! | [`outbox`] | keeps what is said and what is done in the one order that loses nothing |
//! | [`feed`] | events: numbers, readers, marks of lost ones |
//! | [`backlog`] | what is on its way into a standard input or a stream |
//! | [`kept`] | what came out of a stream |
//! | [`server`] | the control socket: clients, frames, bounds |
//! | [`shell`] | performs: processes, messages, requests |
//! | [`run`] | the start and the loop |

pub mod backlog;
pub mod capture;
pub mod feed;
pub mod kept;
pub mod outbox;
pub mod run;
pub mod server;
pub mod shell;
pub mod table;
