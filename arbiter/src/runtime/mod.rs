//! The files of a running arbiter: the lock, the list of what runs, notify sockets, the control socket, the pidfile.

mod base;
mod control;
mod leftovers;
mod lock;
mod notify_directory;
mod pidfile;
mod running;

pub use control::{Change as ControlChange, Control, open_control, prepare_control};
pub use leftovers::{end_leftovers, hidden_mode, words_to_end_leftovers};
pub use lock::{Charge, Held, Lock, LockError, take_charge, take_over};
pub use notify_directory::NotifyDirectory;
pub use pidfile::Pidfile;
pub use running::{Kind, List, Listed, Running};
