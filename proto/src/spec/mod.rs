//! Finished specifications: the configuration after it was read, checked and resolved.
//!
//! arbiter's resolver writes them; arbiter follows the [`MasterSpec`], the manager the [`CompanionsSpec`].
//! Every name is resolved (users to numbers, hosts to addresses, paths made absolute) and every default
//! filled in. Commands and paths keep their `{...}` placeholders, which are filled at each spawn
//! ([`template`]).

mod companion;
mod master;
mod process;
pub mod template;
mod workers;

pub use companion::{CompanionSpec, CompanionsSpec, Flapping, Health, LogSpec, Output, RestartPolicy, Stdin};
pub use master::{
    AddressSpec, ControlSpec, HookEvent, HookSpec, ListenerSpec, Log, LogFormat, LogLevel, LogTarget,
    MasterSpec, OnBootFailure, OwnerSpec, Resolution,
};
pub use process::{Check, EnvFile, Identity, Limit, ProcessSpec, Ready, Recycle, Resource, StopSpec};
pub use workers::{Heartbeat, WorkersSpec};
