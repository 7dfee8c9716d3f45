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
//! | `happened` | what those who watch are told |
//! | `names` | NAME, NAME:SLOT and patterns |
//! | `command` | what operators ask |
//! | `renewal` | … of them, what is to be done anew |
//! | `pending` | operations that have not been answered yet |
//! | `critical` | what arbiter cannot do without |
//! | `looks` | looking at processes that start and listen |
//! | `probes` | asking processes how they are |
//! | `watchdog` | processes that give no sign of life any more |
//! | `recycling` | processes that have lived long enough, or grown too big |
//! | `oneoff` | extra processes from a companion's settings |
//! | `roll` | one process after the other gets a new run |
//! | `descent` | stopping in the reverse order of starting |
//! | `reload` | the difference between two specifications, and how it is applied |
//! | `shutdown` | the stop of everything |
//! | `history` | how the last runs ended |
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
mod critical;
mod descent;
mod drive;
mod fingerprint;
mod gate;
mod happened;
mod history;
mod invariants;
mod looks;
mod machine;
mod names;
mod narrate;
mod oneoff;
mod owed;
mod pending;
mod probes;
mod progress;
mod record;
mod recycling;
mod reload;
mod renewal;
mod restore;
mod roll;
mod shutdown;
mod view;
mod watchdog;

pub use companion::{Companion, Key, Slot, Will};
pub use machine::{Action, Asker, Drained, Input, Level, Table};
pub use oneoff::{OneOff, shown};
pub(crate) use progress::and_more;
pub(crate) use record::token_of;
pub use restore::Past;
