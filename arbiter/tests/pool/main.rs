//! The workers' machine, row by row, with a clock that is set by hand.

mod batches;
mod bench;
mod heartbeats;
mod holding;
mod logs;
mod numbers;
mod own_words;
mod probes;
mod recycling;
mod replacing;
mod rollouts;
#[path = "../samples/mod.rs"]
mod samples;
mod stopping;
mod words;
