//! From a specification to a process: what every child is given, in one place for workers and companions.
//!
//! [`Launch`] is the specification and where it is to run; its [`Launch::command`] is ready for
//! [`crate::spawn::spawn`]. What a process is *told* (command, environment, paths) is put together from layers.
//! With an `env_file` that cannot be done by the daemon, which must not wait for a disk, nor beforehand, for the
//! file is read anew each time: then the process first executes the daemon's own program as a [`launcher`], which
//! finds what it needs in a sealed memory file, and goes on as the same process.

mod command;
mod launcher;
mod program;
mod words;

pub use command::{FIRST_LISTENER, Launch, Output};
pub use launcher::launcher;
pub use program::Program;
pub use words::{Environment, LaunchError, Place, candidates, is_passed_on, own_environment};
