//! The workers' machine, row by row, with a clock that is set by hand.

mod bench;
mod heartbeats;
mod numbers;
mod replacing;
mod rollouts;
#[path = "../samples/mod.rs"]
mod samples;
mod stopping;
