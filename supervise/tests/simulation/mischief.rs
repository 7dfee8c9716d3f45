//! Ways in which a driver can err, to see that the invariants find them out.

use crate::world::World;
use supervise::simulator::Place;

/// One error that a driver makes now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// It takes a group for empty when only the main process has ended.
    OverlooksSurvivors,
    /// It starts a process that nobody asked for.
    SpawnsByItself,
    /// It hands out run numbers again.
    ForgetsRunNumbers,
    /// A timer of its own brings back what was stopped.
    RevivesTheStopped,
    /// Its SIGKILL reaches nobody.
    NeverKills,
    /// It drops the order to send SIGKILL.
    ForgetsKills,
    /// It does not send the stop signal.
    NeverAsks,
    /// It sends the same signal again and again.
    Floods,
    /// It takes a late word of an old run for one of the current run.
    MistakesRuns,
    /// It writes wrong numbers into records.
    TampersWithRecords,
    /// It loses an exit.
    LosesExits,
    /// It does not look at the others when something became ready.
    ForgetsToReconcile,
    /// It does not set a timer.
    ForgetsTimers,
    /// It does not act on a timer.
    OverlooksDeadlines,
    /// It does not wait for the end of what it stopped.
    LeavesEarly,
    /// It signals what it has reaped.
    SignalsTheDead,
}

impl Mischief {
    /// Each with a part of the sentence that finds it out.
    pub(crate) const ALL: [(Self, &'static str); 21] = [
        (Self::OverlooksSurvivors, "still is"),
        (Self::SpawnsByItself, "still is"),
        (Self::SpawnsByItself, "the kernel has Some"),
        (Self::ForgetsRunNumbers, "was used before"),
        (Self::RevivesTheStopped, "the operator wants"),
        (Self::NeverKills, "could be killed"),
        (Self::ForgetsKills, "waits for a kill that was not sent"),
        (Self::NeverAsks, "waits for what it never asked"),
        (Self::Floods, "events are pending"),
        (Self::MistakesRuns, "which is over, changed a unit"),
        (Self::TampersWithRecords, "waits longer than ever allowed"),
        (Self::TampersWithRecords, "was given more time to leave"),
        (Self::TampersWithRecords, "waits too long for a kill"),
        (Self::TampersWithRecords, "restarts with"),
        (Self::LosesExits, "the kernel has None"),
        (Self::ForgetsToReconcile, "nothing will wake it"),
        (Self::ForgetsTimers, "in the past"),
        (Self::OverlooksDeadlines, "in the past"),
        (Self::LeavesEarly, "outlives the end"),
        (Self::LeavesEarly, "is not settled at the end"),
        (Self::SignalsTheDead, "is reaped"),
    ];
}

impl World {
    /// Errs after an input to the unit at `index`, where the error is not one of leaving something undone.
    pub(crate) fn err(&mut self, index: usize) {
        if self.errs(Mischief::TampersWithRecords) {
            self.tamper(index);
        }
        let run = self.seats[index].unit.run().map(|run| run.id);
        if let Some(run) = run.filter(|_| self.errs(Mischief::Floods)) {
            (0..10_000).for_each(|_| self.kernel.signal(run, 1, true));
        }
        if self.errs(Mischief::SpawnsByItself) {
            self.kernel.spawn(self.ids.allot(), Place(index as u64));
        }
        if self.errs(Mischief::RevivesTheStopped) {
            self.input(index, |seat, turn| seat.unit.start(turn, &seat.policy));
        }
    }

    /// Changes one number in the record of a unit.
    fn tamper(&mut self, index: usize) {
        let mut record = serde_json::to_value(&self.seats[index].unit).expect("a unit is data");
        let numbers = [
            "/phase/Backoff/until",
            "/phase/Stopping/step/Asked/deadline",
            "/phase/Stopping/step/Killed/give_up",
            "/restarts",
        ];
        let pointer = numbers[self.rng.usize(..numbers.len())];
        if let Some(number) = record.pointer_mut(pointer) {
            *number = (number.as_u64().expect("a number") + 100_000_000_000).into();
            if pointer == "/restarts" {
                *number = u32::MAX.into();
            }
            self.seats[index].unit = serde_json::from_value(record).expect("still a unit");
            self.input(index, |_, _| {});
        }
    }
}
