//! Everything at one moment, for a person.

use super::{Shell, now};
use proto::control::{Failure, ManagerStatus, Status, StrayStatus, WorkersStatus};
use proto::link::MasterStatus;
use std::collections::HashSet;

/// The name that stands for the workers among companions' names.
const WORKERS: &str = "workers";

impl Shell {
    /// What `status` shows: everything, or what `names` stand for.
    pub(super) fn status(&self, names: &[String]) -> Result<Status, Failure> {
        let now = now();
        let master = self.master.at(now);
        let (workers_too, names): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| name == WORKERS);
        let all = names.is_empty() && workers_too.is_empty();
        let companions = if names.is_empty() && !all {
            Vec::new()
        } else {
            self.table.view(&names, now, sys::clock::wall())?
        };
        let strays = if all { self.strays(&master) } else { Vec::new() };
        Ok(Status {
            arbiter: master.arbiter,
            manager: ManagerStatus { pid: Some(sys::process::pid()), restarts: master.manager_restarts },
            listeners: master.listeners,
            workers: if all || !workers_too.is_empty() { master.workers } else { WorkersStatus::default() },
            companions,
            strays,
        })
    }

    /// Children of arbiter and of the manager that nobody knows: processes that outlived their parent. What
    /// is in the group of a known process belongs to that.
    fn strays(&self, master: &MasterStatus) -> Vec<StrayStatus> {
        let mut known: HashSet<i32> =
            master.workers.processes.iter().filter_map(|worker| worker.process.pid).collect();
        known.insert(sys::process::pid());
        let children = &self.processes.children;
        known.extend(children.keys().flat_map(|run| [children.pid(run), children.main_pid(run)]).flatten());
        known.extend(self.tries.pids());
        known.extend(self.statistics.helper());
        known.extend(&master.helpers);
        let mut strays = Vec::new();
        for parent in [self.boot.arbiter, sys::process::pid()] {
            // Those who are known need not be looked at: that would be three files for each companion.
            for pid in sys::procfs::children_of(parent).into_iter().filter(|pid| !known.contains(pid)) {
                let Some(stat) = sys::procfs::stat(pid).filter(|stat| stat.state != 'Z') else { continue };
                let command = sys::procfs::comm(pid).unwrap_or_default();
                // arbiter's own short-lived readers and checkers are no strays.
                if !known.contains(&stat.pgrp) && command != "arbiter" {
                    strays.push(StrayStatus { pid, command });
                }
            }
        }
        strays
    }
}
