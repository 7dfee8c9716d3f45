//! The listening sockets: arbiter's own and those that systemd passed, over reloads.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `sockets` | the sockets in force and those of a reload under way |
//! | `bind` | opening one |
//! | `passed` | the ones this process was started with |
//! | `activation` | which of these serves which listener |

mod activation;
mod bind;
mod passed;
mod sockets;

pub use activation::{Assignment, assign, distinct};
pub use passed::Passed;
pub use sockets::Listeners;
