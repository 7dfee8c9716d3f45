//! The configuration: from flags, environment and files to finished specifications.
//!
//! [`resolve`] runs in a short-lived process of its own, because reading files and looking up names may wait
//! for ever. It reports everything that is wrong at once, each with its place.
//!
//! The way of a value: `files` reads the TOML files and merges what they include, `tree` keeps each value
//! with its place, `flags` lays the command line over it, `section` gives typed access to a table
//! whose keys are listed in `keys`, and one module per table (`workers`, `companion`, `listener`,
//! `control`, `hooks`, with `process`, `probe` and `output` for what several share) makes the
//! specification. `places` keeps the files apart that arbiter makes, `judge` looks at what is there outside of
//! the file, `effective` writes it all back. `starter` is a file to begin from, `import` makes one of another
//! program's.

mod accounts;
mod address;
mod companion;
mod companions;
mod context;
mod control;
mod diagnostic;
mod effective;
mod exit;
mod files;
mod flags;
mod hooks;
mod import;
mod input;
mod judge;
mod keys;
mod listener;
mod load;
mod output;
mod placeholders;
mod places;
mod probe;
mod process;
mod quantity;
mod resolve;
mod section;
mod starter;
mod surroundings;
mod tree;
mod value;
mod workers;

#[cfg(test)]
mod tests;

pub(crate) use address::overlap;
pub use import::imported;
pub use input::Input;
pub(crate) use listener::TAKEN;
pub use load::change;
pub use resolve::{examine, resolve};
