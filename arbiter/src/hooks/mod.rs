//! The hooks: commands of the operator's that are run when something happens, as a pure machine.
//!
//! | | waited for | a failure |
//! | --- | --- | --- |
//! | `on_starting` | nothing is started before it is over | arbiter exits with status 1 |
//! | `pre_fork` | its worker is not started before it is over | is logged |
//! | `pre_exec` | an upgrade does not begin before it is over | the upgrade stops |
//! | `on_exit` | arbiter does not end before it is over | is logged |
//! | all others | no | is logged |
//!
//! Nothing else waits: the loop goes on while a hook runs. At most [`AT_ONCE`] run at once, those that something
//! waits for first. Of each other hook one process runs at a time, in the order of its events, so that what it
//! is told last is what happened last. [`WAITING_MAX`] events may wait; further ones are dropped, which is said
//! once and counted. A hook that takes too long is killed with its whole group.
//!
//! Each hook is told its [`Occasion`] twice: in variables, `ARBITER_EVENT_NAME` and one for each field, and as
//! a line of JSON on standard input.

mod machine;
mod occasion;

pub use machine::{AT_ONCE, HookAction, Hooks, WAITING_MAX};
pub use occasion::{Child, Occasion};
