//! The files of a running arbiter: notify sockets, the control socket, the pidfile.

mod base;
mod control;
mod notify_directory;
mod pidfile;

pub use control::{Control, open_control};
pub use notify_directory::NotifyDirectory;
pub use pidfile::Pidfile;
