//! What a person is shown.

use super::companion::is_done;
use super::{Companion, Key, Slot, Table, Will, shown};
use proto::control::{CompanionProcess, CompanionStatus, Failure, LastExit, ProcessStatus};
use std::collections::BTreeSet;
use std::time::Duration;
use supervise::unit::Phase;
use supervise::{Monotonic, State, Unit};

impl Table {
    /// The companions that `names` stand for, all when there are none. `wall` is the time since the Unix
    /// epoch at `now`.
    ///
    /// # Errors
    ///
    /// When a name stands for nothing.
    pub fn view(
        &self,
        names: &[String],
        now: Monotonic,
        wall: Duration,
    ) -> Result<Vec<CompanionStatus>, Failure> {
        let selected = self.select(names)?;
        let slots: BTreeSet<Key> = selected
            .iter()
            .filter_map(|one| Some(Key { companion: one.companion, slot: one.slot? }))
            .collect();
        let whole: BTreeSet<u32> =
            selected.iter().filter(|one| one.slot.is_none()).map(|one| one.companion).collect();
        let mut shown = Vec::new();
        for (id, companion) in self.companions() {
            let all = names.is_empty() || whole.contains(&id);
            let wanted = |slot: u32| all || slots.contains(&Key { companion: id, slot });
            if all || slots.iter().any(|key| key.companion == id) {
                shown.push(self.show(companion, wanted, now, wall));
            }
        }
        Ok(shown)
    }

    /// Why a process of `companion` is in its state, where that is not plain.
    pub(super) fn reason_of(&self, companion: &Companion, unit: &Unit, now: Monotonic) -> Option<String> {
        match unit.phase() {
            Phase::Waiting => {
                let blockers: Vec<&str> = self.blockers(companion).collect();
                Some(match blockers.is_empty() {
                    true => "waiting for its turn to be stopped".to_owned(),
                    false => format!("waiting for {} to be ready", blockers.join(", ")),
                })
            }
            _ => unit.reason(now),
        }
    }

    fn show(
        &self,
        companion: &Companion,
        wanted: impl Fn(u32) -> bool,
        now: Monotonic,
        wall: Duration,
    ) -> CompanionStatus {
        let processes: Vec<CompanionProcess> = companion
            .slots
            .iter()
            .filter(|(number, _)| wanted(shown(**number)))
            .map(|(&number, slot)| CompanionProcess {
                oneoff: slot.oneoff.is_some(),
                process: self.show_process(companion, number, slot, now, wall),
            })
            .collect();
        CompanionStatus {
            name: companion.spec.name.clone(),
            session: companion.spec.session.clone(),
            state: companion.state(),
            target: companion.target,
            configured: companion.spec.count,
            autostart: companion.spec.autostart,
            succeeded: companion.target > 0
                && companion.staying().all(|(_, slot)| slot.unit.phase() == Phase::Exited { success: true }),
            description: describe(companion, &processes),
            processes,
        }
    }

    fn show_process(
        &self,
        companion: &Companion,
        number: u32,
        slot: &Slot,
        now: Monotonic,
        wall: Duration,
    ) -> ProcessStatus {
        let unit = &slot.unit;
        let run = unit.run().filter(|run| run.pid.is_some() && run.exit.is_none());
        let reason = self.reason_of(companion, unit, now);
        ProcessStatus {
            slot: shown(number),
            pid: run.and_then(|run| run.pid),
            state: unit.state(),
            ready: unit.is_ready(),
            uptime: run.map(|run| now.since(run.started)),
            restarts: unit.restarts(),
            status_text: slot.status_text.as_deref().map(str::to_owned),
            last_exit: unit.last().map(|last| LastExit {
                status: last.exit.map(|exit| exit.status),
                at: wall.saturating_sub(now.since(last.at)),
                requested: last.was_requested(),
                remark: last.remark.as_deref().map(str::to_owned),
            }),
            retry_in: unit.retry_in(now),
            reason,
        }
    }
}

/// One line about a companion.
fn describe(companion: &Companion, processes: &[CompanionProcess]) -> String {
    let mut own = processes.iter().filter(|process| !process.oneoff);
    if let (Some(only), None) = (own.next(), own.next()) {
        return describe_process(companion, &only.process);
    }
    if companion.will != Will::Up && companion.state() == State::Stopped {
        return stopped(companion.will).to_owned();
    }
    let ready = companion.staying().filter(|(_, slot)| is_done(&slot.unit)).count();
    format!("{ready} of {} ready", companion.target)
}

fn describe_process(companion: &Companion, process: &ProcessStatus) -> String {
    match (process.state, process.pid, process.uptime, &process.reason) {
        (State::Running, Some(pid), Some(uptime), _) => format!("pid {pid}, uptime {}", clock(uptime)),
        (_, _, _, Some(reason)) => reason.clone(),
        (State::Stopped, ..) => stopped(companion.will).to_owned(),
        (_, Some(pid), _, None) => format!("pid {pid}"),
        (_, None, _, None) => String::new(),
    }
}

fn stopped(will: Will) -> &'static str {
    match will {
        Will::Untold => "not started",
        Will::Up | Will::Down => "stopped",
    }
}

/// A duration as a clock shows it: `0:00:12`, `2 days, 3:12:44`.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let clock = format!("{hours}:{minutes:02}:{:02}", seconds % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_reads_like_a_clock() {
        let shown: Vec<String> =
            [12, 3_661, 86_400, 183_164].into_iter().map(|s| clock(Duration::from_secs(s))).collect();
        assert_eq!(shown, ["0:00:12", "1:01:01", "1 day, 0:00:00", "2 days, 2:52:44"]);
    }
}
