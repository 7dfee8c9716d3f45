//! The daemons' own log: one line per event, in one write, without ever waiting for who reads it.
//!
//! A small subscriber for `tracing`: a level, a format, an output. Spans carry no meaning here and are not
//! recorded. A line that does not fit into a full pipe, terminal or socket is dropped and counted, and the
//! count is the first thing written when there is room again.

mod candidate;
mod json;
mod line;
mod output;
mod settings;
mod subscriber;

pub use candidate::Candidate;
pub use json::write_string as write_json_string;
pub use output::LogTarget;
pub use subscriber::{Format, LogConfig, dropped, init, is_journal, journal_reads, reopen, set_level};
