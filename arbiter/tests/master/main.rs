//! arbiter as a whole, row by row, with a clock that is set by hand.

mod bench;
mod deaths_of_the_manager;
mod hooks;
mod operations;
#[path = "../samples/mod.rs"]
mod samples;
mod starting;
mod stopping;
mod succession;
