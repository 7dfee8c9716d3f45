//! Who waits for the number of workers to be as asked.

use super::Master;
use crate::pool::Role;
use proto::control::{Answer, Failure, FailureKind, STOPPING, ScaleChange};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use supervise::{Monotonic, RunId};

/// A request that is answered when the workers it added are ready and those it took have gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scaled {
    relay: u64,
    count: u32,
    added: BTreeSet<u32>,
    taken: Vec<RunId>,
}

impl Master {
    /// Changes how many workers there are; answered at once unless `wait`.
    pub(super) fn scale_for(&mut self, now: Monotonic, relay: u64, wait: bool, change: ScaleChange) {
        let (slots, leaving) = (self.slots_in_use(), self.leaving());
        match self.scale(now, change) {
            Ok(count) if wait => {
                let added = self.slots_in_use().difference(&slots).copied().collect();
                let taken = self.leaving().into_iter().filter(|run| !leaving.contains(run)).collect();
                // Answered when all is settled, which may be now.
                self.scaled.push(Scaled { relay, count, added, taken });
            }
            Ok(count) => self.answer(relay, Ok(Answer::Count(count))),
            Err(reason) => self.refuse(relay, &reason),
        }
    }

    fn slots_in_use(&self) -> BTreeSet<u32> {
        self.pool.members().filter(|member| member.role == Role::Current).map(|member| member.slot).collect()
    }

    fn leaving(&self) -> Vec<RunId> {
        let leaving = self.pool.members().filter(|member| member.role == Role::Leaving);
        leaving.filter_map(|member| member.run).collect()
    }

    /// Answers those whose workers are as asked, or of whose workers one has failed: it is tried again, and
    /// nobody waits for that.
    pub(super) fn answer_scaled(&mut self) {
        for mut scaled in std::mem::take(&mut self.scaled) {
            if self.is_stopping() {
                self.refuse(scaled.relay, STOPPING);
                continue;
            }
            let failed = scaled.added.iter().find_map(|&slot| Some((slot, self.pool.failure_in(slot)?)));
            if let Some((slot, reason)) = failed {
                let text = format!("worker {slot}: {reason}; it is tried again, look with arbiterctl status");
                self.answer(scaled.relay, Err(Failure::new(FailureKind::Refused, text)));
                continue;
            }
            scaled.added.retain(|&slot| self.pool.awaits(slot));
            scaled.taken.retain(|&run| !self.pool.has_left(run));
            if scaled.added.is_empty() && scaled.taken.is_empty() {
                self.answer(scaled.relay, Ok(Answer::Count(scaled.count)));
            } else {
                self.scaled.push(scaled);
            }
        }
    }
}
