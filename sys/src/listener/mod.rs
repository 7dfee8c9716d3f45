//! Listening sockets: bound by this process, or inherited, and handed to children.
//!
//! A socket for children is a blocking one, since its flag is shared by everybody who holds it and a server
//! sets its own; one for this process's loop is asked for with [`Options::nonblocking`].

mod address;
mod bind;
mod flow;
mod unix;

pub use address::Address;
pub use bind::{Listener, Options};
pub use unix::SocketFile;
pub(crate) use unix::{bind_file, clear_stale};
