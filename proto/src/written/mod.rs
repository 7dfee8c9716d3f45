//! Specifications as TOML, every default filled in. Read again, the text resolves to the same.
//!
//! Writing needs no parser: the manager writes what it is asked of a companion itself.

mod companion;
mod process;
mod writer;

pub use companion::print_companion;
pub use process::{
    check_pairs, listener_pairs, print_process, print_recycle, print_start, print_stop, variables,
};
pub use writer::{Writer, array, duration, inline, key, size, string};
