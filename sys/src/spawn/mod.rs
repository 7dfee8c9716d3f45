//! The one way a process is started.
//!
//! A raw clone3(2) with a pidfd, and on purpose neither CLONE_VFORK nor CLONE_VM: with the first a stranger's
//! SIGSTOP, a FIFO or a dead file server between clone and exec would freeze the parent as long as it likes;
//! with the second the child's change of user would leak into the parent. Where clone3 is missing or forbidden
//! (some sandboxes), clone(2) does the same.
//!
//! All signals are blocked around the clone, and stay blocked in the child until right before its exec: one
//! that is sent to the new process at any instant waits, and meets the default action.
//!
//! Between clone and exec the child makes system calls and nothing else: no allocation, no lock, no
//! environment. Everything it needs is laid out before, in an arena ([`Command`] becomes a plan of plain buffers): a
//! daemon's heap is not in the child at all ([`crate::memory::begin`]), so that neither the clone nor what the daemon
//! writes afterwards takes longer the more it has to remember. What fails there comes back as (stage, error number) on
//! a close-on-exec pipe, [`Spawned::status`], whose end means that the exec was done; the parent never waits for it.
//!
//! The order in the child: dispositions to default, setsid, the letter (see [`Letter`]), descriptors, umask,
//! nice, oom_score_adj, limits, groups, gid, uid (verified), directory (as the user), no_new_privs, the
//! parent-death signal (a change of uid would clear it) with a check that the parent still lives, LISTEN_PID,
//! mask emptied, exec.
//!
//! Where that is not enough, for a file has to be parsed before the program is known, the first exec is that of
//! a *launcher* ([`Handover`]): the same process, dressed already, with all signals still blocked and the status
//! pipe still open. It goes on with the directory and what follows ([`Handed::resume`]); seen from outside the
//! way to exec is one.

mod arena;
mod child;
mod command;
mod plan;
mod resume;
mod stage;
mod start;
mod strings;

pub use command::{Command, Handover, Identity, Letter, Limit, UNLIMITED};
pub use resume::{Failed, Handed};
pub use stage::{SpawnFailure, SpawnProgress, Stage};
pub use start::{Spawned, read_status, spawn};
pub use strings::{InteriorNul, Strings};
