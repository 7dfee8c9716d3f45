//! The control socket: clients, frames, bounds.
//!
//! The server turns bytes into requests and answers into bytes, and keeps every client within its bounds:
//! no client can make the manager wait, nor make it keep more than [`INPUT_MAX`] and [`OUTPUT_MAX`] bytes
//! for all of them together. What a request means is not its business.

mod access;
mod client;
mod clients;

pub use access::Access;
pub use clients::{Incoming, Server};

/// The most clients served at once; more wait in the listener's queue until one leaves, or has wanted nothing for a
/// second and is closed.
pub const CLIENTS_MAX: usize = 1024;
/// The most bytes kept of unfinished and unserved requests, of all clients together.
pub const INPUT_MAX: usize = 8 << 20;
/// The most bytes kept of answers that were not taken yet, of all clients together.
pub const OUTPUT_MAX: usize = 16 << 20;
