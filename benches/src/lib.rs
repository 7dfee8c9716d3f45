//! Figures of speed and memory, each taken in one run beside a peer (gunicorn) and beside the bare limit: the
//! least code that does the same on the same machine in the same minute. A ratio travels, a time does not.
//!
//! | module | |
//! | --- | --- |
//! | [`figures`] | one file a figure; a new one is a file and a line in [`figures::ALL`] |
//! | [`contestants`] | arbiter, gunicorn and the bare loops, each started and ended by a handle |
//! | [`programs`] | where their programs are |
//! | [`process`] | a process of ours: ended with its handle, and by the kernel if this program is killed |
//! | [`book`] | the same of a thousand, in a file |
//! | [`stamps`] | what workers say first: when they lived |
//! | [`sample`] | medians |
//! | [`report`] | the table and the file |

pub mod book;
pub mod contestants;
pub mod figures;
pub mod process;
pub mod programs;
pub mod report;
pub mod sample;
pub mod stamps;
