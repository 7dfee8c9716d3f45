//! The listening sockets: arbiter's own and those that systemd passed, over reloads.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `sockets` | the sockets in force and those of a reload under way |
//! | `slots` | the sockets of one address: a shared one, or one for each slot |
//! | `bind` | opening one |
//! | `passed` | the ones this process was started with |
//! | `activation` | which of these serves which listener |
//! | `companions` | the ones that are held for companions |
//! | `shared` | the ones that another master holds as well |

mod activation;
mod bind;
mod companions;
mod passed;
mod shared;
mod slots;
mod sockets;

pub use activation::{Assignment, assign, distinct};
pub use passed::Passed;
pub use sockets::Listeners;
