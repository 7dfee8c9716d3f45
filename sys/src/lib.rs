//! Every system call of the supervisor, and all of its unsafe code.
//!
//! The other crates decide; this one acts. Three habits hold in every module:
//!
//! - a descriptor is close-on-exec from the call that creates it, and what a child inherits is an explicit
//!   list ([`spawn::Command::fds`]);
//! - nothing waits: sockets and pipes are non-blocking from birth (listeners meant for children are the one
//!   exception, their programs set that flag themselves), processes are known by pidfd, exits are peeked at;
//! - what a peer, a child or a disk does comes back as a value, never as a panic.
//!
//! The code map: [`reactor`], [`signals`] and [`clock`] feed the loop; [`spawn`], [`children`], [`pidfd`],
//! [`process`], [`procfs`], [`measurer`] and [`cgroup`] know processes; [`listener`], [`control`], [`seqpacket`] and [`notify`] are the
//! sockets; [`probe`] asks processes how they are, [`usage`] what they use; [`memfd`], [`pipe`], [`stream`], [`splice`] and [`fd`] are descriptors; [`users`] asks the name service; [`log`] writes
//! the daemons' own log lines; [`terminal`] is what a person sits at. [`fail_point`] is for tests.
//!
//! Linux 5.10 or newer. A newer call is always tried with a way back to an older one.

mod ancillary;
mod errno;

pub mod bulk;
pub mod cgroup;
pub mod children;
pub mod clock;
pub mod control;
pub mod departure;
pub mod fail_point;
pub mod fd;
pub mod launch;
mod limits;
pub mod listener;
pub mod log;
pub mod measurer;
pub mod memfd;
pub mod memory;
pub mod notify;
pub mod pidfd;
pub mod pipe;
pub mod probe;
pub mod process;
pub mod procfs;
pub mod reactor;
pub mod seqpacket;
pub mod signals;
pub mod spawn;
pub mod splice;
pub mod stream;
pub mod terminal;
pub mod title;
pub mod usage;
pub mod users;
mod wait;

pub use ancillary::Credentials;
