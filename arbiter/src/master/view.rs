//! arbiter's own part of the status.

use super::{Master, Phase};
use proto::control::{ArbiterState, ArbiterStatus, ListenerStatus};
use proto::link::MasterStatus;
use supervise::Monotonic;

pub use proto::control::Clocks;

impl Master {
    /// What it does now.
    #[must_use]
    pub fn state(&self) -> ArbiterState {
        match self.phase {
            Phase::Leaving { .. } | Phase::Stopping(_) => ArbiterState::Stopping,
            Phase::Opening | Phase::Starting => ArbiterState::Starting,
            Phase::Running if self.is_upgrading() => ArbiterState::Upgrading,
            Phase::Running if self.is_reloading() => ArbiterState::Reloading,
            Phase::Running => ArbiterState::Running,
        }
    }

    /// The status as told to the manager. The shell adds what only it knows: listeners, the manager, hooks.
    #[must_use]
    pub fn status(
        &self,
        clocks: Clocks,
        started: Monotonic,
        listeners: Vec<ListenerStatus>,
        manager_restarts: u32,
    ) -> MasterStatus {
        let waiting = self.required_pending.as_deref().filter(|_| !self.pool_started);
        MasterStatus {
            arbiter: ArbiterStatus {
                pid: 0,
                name: self.spec.name.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                state: self.state(),
                generation: self.pool.generation(),
                uptime: std::time::Duration::ZERO,
                config: self.spec.config.clone(),
            },
            started,
            manager_restarts,
            listeners,
            workers: self.pool.status(clocks, waiting),
            helpers: Vec::new(),
            escalations: self.pool.escalations(clocks.now),
            taken: clocks.now,
        }
    }
}
