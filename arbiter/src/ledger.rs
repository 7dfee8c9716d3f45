//! What must not be lost with the manager: its records, its processes and their ends, its answers.
//!
//! The manager tells what it is about to do before it does it, each new process reports itself before
//! exec, and ends are told before they are reaped. So at any instant this table and what still lies in the
//! link are enough to start another manager. Records are opaque here.
//!
//! The one rule that is kept here and nowhere else: **a slot holds one run**. An intent to spawn into a
//! slot whose run is not gone is refused, and a process born from it is killed.

use proto::control::Token;
use proto::link::{Record, Saved, SavedProcess, SpawnIntent, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use supervise::{Exit, RunId};

/// How many answers are kept for clients that were cut off.
const OUTCOMES: usize = 64;
/// How many unacknowledged messages of processes are kept; older ones are void by then.
const NOTICES: usize = 4096;

/// One process of the manager's.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    companion: String,
    slot: u32,
    pid: Option<i32>,
    main: Option<i32>,
    exit: Option<Exit>,
    failure: Option<(u32, i32)>,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// The process is in the table.
    Recorded,
    /// It must not exist: its slot is taken, or nobody meant to start it.
    Unwanted,
}

/// The table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    records: BTreeMap<String, Vec<u8>>,
    runs: BTreeMap<RunId, Entry>,
    slots: BTreeMap<(String, u32), RunId>,
    refused: BTreeSet<RunId>,
    outcomes: VecDeque<(Token, Vec<u8>)>,
    notices: VecDeque<(u64, RunId, String)>,
    notice_number: u64,
    highest_run: u64,
}

impl Ledger {
    /// Takes in what the manager is about to do and has learned. Returns the intents that are refused.
    pub fn apply(&mut self, transaction: Transaction) -> Vec<SpawnIntent> {
        for Record { name, content } in transaction.records {
            match content {
                Some(content) => drop(self.records.insert(name, content)),
                None => drop(self.records.remove(&name)),
            }
        }
        for (run, exit) in transaction.exits {
            self.ended(run, exit);
        }
        for run in transaction.gone {
            self.gone(run);
        }
        for (token, outcome) in transaction.outcomes {
            self.outcomes.retain(|(known, _)| *known != token);
            self.outcomes.push_back((token, outcome));
            if self.outcomes.len() > OUTCOMES {
                self.outcomes.pop_front();
            }
        }
        transaction.spawns.into_iter().filter_map(|intent| self.intend(intent)).collect()
    }

    /// Records an intent; gives it back when its slot is taken.
    fn intend(&mut self, intent: SpawnIntent) -> Option<SpawnIntent> {
        self.highest_run = self.highest_run.max(intent.run.0);
        let slot = (intent.companion.clone(), intent.slot);
        // Slot 0 is for one-offs: any number of them.
        if intent.slot != 0 && self.slots.get(&slot).is_some_and(|run| self.runs.contains_key(run)) {
            self.refused.insert(intent.run);
            return Some(intent);
        }
        self.slots.insert(slot, intent.run);
        let SpawnIntent { companion, slot, .. } = intent;
        let entry = Entry { companion, slot, pid: None, main: None, exit: None, failure: None };
        self.runs.insert(intent.run, entry);
        None
    }

    /// A letter: the process of `run` exists.
    pub fn born(&mut self, run: RunId, pid: i32) -> Birth {
        match self.runs.get_mut(&run) {
            Some(entry) if !self.refused.contains(&run) => {
                entry.pid = Some(pid);
                Birth::Recorded
            }
            _ => Birth::Unwanted,
        }
    }

    /// A letter: the process of `run` could not become its program.
    pub fn unborn(&mut self, run: RunId, stage: u32, errno: i32) {
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.failure = Some((stage, errno));
        }
    }

    /// Another process of its session counts in the place of `run`'s first one, or that itself again.
    pub fn follow(&mut self, run: RunId, pid: i32) {
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.main = Some(pid).filter(|_| entry.pid != Some(pid));
        }
    }

    /// The main process of `run` has ended.
    pub fn ended(&mut self, run: RunId, exit: Exit) {
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.exit = Some(exit);
        }
    }

    /// Nothing is left of `run`.
    pub fn gone(&mut self, run: RunId) {
        if let Some(entry) = self.runs.remove(&run) {
            let slot = (entry.companion, entry.slot);
            if self.slots.get(&slot) == Some(&run) {
                self.slots.remove(&slot);
            }
        }
        self.refused.remove(&run);
        self.notices.retain(|(_, of, _)| *of != run);
    }

    /// Forgets intents that never became a process: the manager died before it spawned them, and the link
    /// has been read to its end. Returns their runs.
    pub fn forget_unborn(&mut self) -> Vec<RunId> {
        let never: Vec<RunId> =
            self.runs.iter().filter(|(_, entry)| entry.pid.is_none()).map(|(run, _)| *run).collect();
        for &run in &never {
            self.gone(run);
        }
        self.refused.clear();
        never
    }

    /// Whether `run` is in the table.
    #[must_use]
    pub fn contains(&self, run: RunId) -> bool {
        self.runs.contains_key(&run)
    }

    /// The processes in the table.
    pub fn processes(&self) -> impl Iterator<Item = (RunId, i32)> + '_ {
        self.runs.iter().filter_map(|(run, entry)| Some((*run, entry.pid?)))
    }

    /// The first process of a run.
    #[must_use]
    pub fn pid_of(&self, run: RunId) -> Option<i32> {
        self.runs.get(&run)?.pid
    }

    /// The process whose end is a run's.
    #[must_use]
    pub fn main_of(&self, run: RunId) -> Option<i32> {
        let entry = self.runs.get(&run)?;
        entry.main.or(entry.pid)
    }

    /// How a run's main process ended, if that is known.
    #[must_use]
    pub fn exit_of(&self, run: RunId) -> Option<Exit> {
        self.runs.get(&run)?.exit
    }

    /// The companion and the slot of a run.
    #[must_use]
    pub fn place_of(&self, run: RunId) -> Option<(&str, u32)> {
        self.runs.get(&run).map(|entry| (entry.companion.as_str(), entry.slot))
    }

    /// A run as log lines name it.
    #[must_use]
    pub fn name_of(&self, run: RunId) -> Option<String> {
        self.runs.get(&run).map(|entry| format!("{}:{}", entry.companion, entry.slot))
    }

    /// A process said something: kept until acknowledged. Returns its number.
    pub fn notice(&mut self, run: RunId, text: String) -> u64 {
        self.notice_number += 1;
        self.notices.push_back((self.notice_number, run, text));
        if self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
        self.notice_number
    }

    /// The manager has everything up to `number`.
    pub fn acknowledge(&mut self, number: u64) {
        while self.notices.front().is_some_and(|(first, _, _)| *first <= number) {
            self.notices.pop_front();
        }
    }

    /// What has not been acknowledged.
    pub fn notices(&self) -> impl Iterator<Item = &(u64, RunId, String)> {
        self.notices.iter()
    }

    /// The first run number that was never used.
    #[must_use]
    pub fn next_run(&self) -> u64 {
        self.highest_run + 1
    }

    /// The records.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.records
            .iter()
            .map(|(name, content)| Record { name: name.clone(), content: Some(content.clone()) })
    }

    /// What a new manager needs. Of a run whose end is known the caller tells whether it has been reaped.
    #[must_use]
    pub fn saved(&self, is_reaped: impl Fn(RunId) -> bool) -> Saved {
        let processes = self.runs.iter().map(|(run, entry)| SavedProcess {
            run: *run,
            companion: entry.companion.clone(),
            slot: entry.slot,
            pid: entry.pid,
            main: entry.main,
            exit: entry.exit,
            is_reaped: entry.exit.is_some() && is_reaped(*run),
            failure: entry.failure,
        });
        Saved {
            records: self.records().collect(),
            processes: processes.collect(),
            outcomes: self.outcomes.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supervise::ExitStatus;

    fn intent(run: u64, slot: u32) -> SpawnIntent {
        SpawnIntent { run: RunId(run), companion: "redis".into(), slot, replaces: None }
    }

    fn spawn(ledger: &mut Ledger, run: u64, slot: u32) -> usize {
        ledger.apply(Transaction { spawns: vec![intent(run, slot)], ..Transaction::default() }).len()
    }

    #[test]
    fn a_slot_holds_one_run_until_nothing_is_left_of_it() {
        let mut ledger = Ledger::default();
        assert_eq!(spawn(&mut ledger, 1, 1), 0);
        assert_eq!(ledger.born(RunId(1), 100), Birth::Recorded);
        assert_eq!(spawn(&mut ledger, 2, 1), 1);
        assert_eq!(ledger.born(RunId(2), 101), Birth::Unwanted);
        ledger.ended(RunId(1), Exit::bare(ExitStatus::Code(0)));
        assert_eq!(spawn(&mut ledger, 3, 1), 1, "its group may still live");
        ledger.gone(RunId(1));
        assert_eq!(spawn(&mut ledger, 4, 1), 0);
        assert_eq!(ledger.born(RunId(4), 102), Birth::Recorded);
        assert_eq!(ledger.next_run(), 5);
    }

    #[test]
    fn one_offs_share_slot_zero() {
        let mut ledger = Ledger::default();
        assert_eq!(spawn(&mut ledger, 1, 0), 0);
        assert_eq!(spawn(&mut ledger, 2, 0), 0);
        assert_eq!(ledger.born(RunId(1), 100), Birth::Recorded);
        assert_eq!(ledger.born(RunId(2), 101), Birth::Recorded);
    }

    #[test]
    fn an_intent_that_died_with_its_manager_leaves_the_slot_free() {
        let mut ledger = Ledger::default();
        spawn(&mut ledger, 1, 1);
        assert_eq!(ledger.forget_unborn().len(), 1);
        assert_eq!(spawn(&mut ledger, 2, 1), 0);
        assert!(ledger.saved(|_| false).processes.iter().all(|process| process.run == RunId(2)));
    }

    #[test]
    fn the_process_that_counts_is_told_to_the_next_manager_until_the_first_one_counts_again() {
        let mut ledger = Ledger::default();
        spawn(&mut ledger, 1, 1);
        ledger.born(RunId(1), 100);
        let mains = |ledger: &Ledger| ledger.saved(|_| false).processes[0].main;
        assert_eq!((ledger.main_of(RunId(1)), mains(&ledger)), (Some(100), None));
        ledger.follow(RunId(1), 101);
        assert_eq!((ledger.main_of(RunId(1)), mains(&ledger)), (Some(101), Some(101)));
        assert_eq!(ledger.pid_of(RunId(1)), Some(100), "whose group it is");
        ledger.follow(RunId(1), 100);
        assert_eq!((ledger.main_of(RunId(1)), mains(&ledger)), (Some(100), None));
    }

    #[test]
    fn notices_are_kept_until_acknowledged_and_die_with_their_run() {
        let mut ledger = Ledger::default();
        spawn(&mut ledger, 1, 1);
        spawn(&mut ledger, 2, 2);
        let first = ledger.notice(RunId(1), "READY=1".into());
        ledger.notice(RunId(2), "READY=1".into());
        ledger.notice(RunId(1), "STATUS=x".into());
        ledger.acknowledge(first);
        assert_eq!(ledger.notices().count(), 2);
        ledger.gone(RunId(1));
        assert_eq!(ledger.notices().map(|(_, run, _)| *run).collect::<Vec<_>>(), [RunId(2)]);
    }

    #[test]
    fn only_the_newest_outcomes_are_kept() {
        let mut ledger = Ledger::default();
        for token in 0..100u8 {
            let outcomes = vec![([token; 16], vec![token])];
            ledger.apply(Transaction { outcomes, ..Transaction::default() });
        }
        let saved = ledger.saved(|_| false);
        assert_eq!(saved.outcomes.len(), OUTCOMES);
        assert_eq!(saved.outcomes.last(), Some(&([99; 16], vec![99])));
    }
}
