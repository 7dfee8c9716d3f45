//! Finished specifications: the configuration after it was read, checked and resolved.
//!
//! arbiter's resolver writes them; arbiter follows the [`MasterSpec`], the manager the [`CompanionsSpec`].
//! Every name is resolved (users to numbers, hosts to addresses, paths made absolute) and every default
//! filled in. Commands and paths keep their `{...}` placeholders, which are filled at each spawn
//! ([`template`]).

mod change;
mod companion;
pub mod env_file;
mod master;
mod process;
pub mod template;
mod workers;

pub use change::{Change, Load};
pub use companion::{
    CompanionSpec, CompanionsSpec, Health, LogSpec, Output, RestartPolicy, Shared, Stdin, companion_variable,
    stream_variable,
};
pub use master::{
    AddressSpec, ControlSpec, HookEvent, HookSpec, ListenerSpec, Log, LogFormat, LogLevel, LogTarget,
    MasterSpec, OnBootFailure, OwnerSpec, Resolution,
};
pub use process::{Check, EnvFile, Identity, Limit, ProcessSpec, Ready, Resource, StopSpec};
pub use supervise::{Flapping, Recycle};
pub use workers::{Heartbeat, WorkersSpec};

/// The most workers, or processes of one companion: far above what one machine runs.
pub const MOST_PROCESSES: u32 = 10_000;
