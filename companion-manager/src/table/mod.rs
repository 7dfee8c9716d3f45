//! All companions, as one pure machine.
//!
//! The table decides and never acts: [`Table::handle`] takes an [`Input`] and the time, [`Table::drain`]
//! gives the records that changed and the [`Action`]s to perform, in order. The records have to be safe
//! with arbiter before the first action is performed: from them and from arbiter's list of processes
//! [`Table::restore`] makes another table that goes on where this one was cut off.
//!
//! | room | what it knows |
//! | --- | --- |
//! | `machine` | the inputs, the outputs, and the pass that follows each input |
//! | `companion` | one companion: its settings, its slots, what is wanted of it |
//! | `drive` | the one way an input reaches a unit, and all that follows from it |
//! | `gate` | who may start: everything it comes after is ready |
//! | `names` | NAME, NAME:SLOT and patterns |
//! | `command` | what operators ask |
//! | `pending` | operations that have not been answered yet |
//! | `roll` | one process after the other gets a new run |
//! | `descent` | stopping in the reverse order of starting |
//! | `reload` | the difference between two specifications, and how it is applied |
//! | `shutdown` | the stop of everything |
//! | `record`, `restore`, `owed` | what outlives a manager |
//! | `view` | what a person is shown |
//! | `narrate` | lines for the log |
//! | `invariants` | what has to hold after every step |
//!
//! What is wanted of a companion is [`Will`]; what is wanted of one process is its unit's own desired
//! state, so that one process of several can be stopped by hand. A companion's slots exist from the start,
//! with stopped units when it is not to run.

mod command;
mod companion;
mod descent;
mod drive;
mod fingerprint;
mod gate;
mod invariants;
mod machine;
mod names;
mod narrate;
mod owed;
mod pending;
mod record;
mod reload;
mod restore;
mod roll;
mod shutdown;
mod view;

pub use companion::{Companion, Key, Slot, Will};
pub use machine::{Action, Asker, Drained, Input, Level, Table};
pub(crate) use record::token_of;
pub use restore::Past;
