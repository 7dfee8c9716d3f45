//! Captured output: from pipes to files, or to memory.
//!
//! One thread does nothing else, because a disk may take for ever and the loop may not. It moves whole lines with
//! splice(2), so that nothing is in this program's memory when it dies; what it needs to know afterwards is in the
//! pipes (a mark on the one that wrote last) and in memory files, and arbiter holds both.
//!
//! | file | what it knows |
//! | --- | --- |
//! | [`lines`] | where lines end, and how many fit into a file before it is rotated |
//! | `rotation` | what is called what afterwards |
//! | `sink` | where lines go: a file, and memory where there is none or it refuses |
//! | `tail` | a memory file of which the last lines are kept |
//! | `pipe` | one pipe, and how it is emptied |
//! | `reader` | somebody who is shown what was written |
//! | `mover` | the thread |
//! | `orders` | what it is told, and tells |
//! | `hand` | the loop's side of it |

mod hand;
pub mod lines;
mod mover;
mod orders;
mod pipe;
mod reader;
mod rotation;
mod sink;
mod tail;

pub(crate) use hand::Hand;
pub(crate) use orders::{Origin, Place, Report, SinkSpec, Want};
pub(crate) use tail::Tail;
