//! The last ends of a companion's processes, and what else `info` shows.

use super::names::Selected;
use super::{Companion, Table, record, shown};
use proto::codec;
use proto::control::{Failure, FailureKind, Info, PastExit};
use proto::link::{Record, Saved};
use proto::written::{Writer, print_companion};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use supervise::{Ending, ExitStatus, Monotonic};

/// How many ends are kept.
const KEPT: usize = 20;

/// What the records of ends are called, before the companion's name; no companion's name begins so.
const EXITS: &str = "@exits/";

/// The end's status is a signal's number.
const BY_SIGNAL: u8 = 1;
/// A core file was asked for.
const CORE_DUMPED: u8 = 2;
/// There is no status: no process came into being, or it never became its program.
const NOT_STARTED: u8 = 4;
/// It was asked for.
const REQUESTED: u8 = 8;

/// One end, small enough for all that are kept to fit into a record of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    slot: u32,
    /// 0: there was no process.
    pid: i32,
    /// On the monotonic clock.
    at_ms: u64,
    lived_ms: u32,
    /// A code or the number of a signal: both fit.
    number: u8,
    marks: u8,
}

/// The last ends, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History(VecDeque<Past>);

impl History {
    /// A run in `slot` has ended.
    pub(super) fn push(&mut self, slot: u32, pid: Option<i32>, ending: &Ending) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Past::of(slot, pid, ending));
    }

    fn shown(&self, now: Monotonic, wall: Duration) -> Vec<PastExit> {
        self.0.iter().rev().map(|past| past.shown(now, wall)).collect()
    }
}

impl Past {
    fn of(slot: u32, pid: Option<i32>, ending: &Ending) -> Self {
        let status = ending.exit.map(|exit| exit.status).filter(|_| ending.failure.is_none());
        let (number, marks) = match status {
            Some(ExitStatus::Code(code)) => (code, 0),
            Some(ExitStatus::Signal { number, core_dumped: false }) => (number, BY_SIGNAL),
            Some(ExitStatus::Signal { number, core_dumped: true }) => (number, BY_SIGNAL | CORE_DUMPED),
            None => (0, NOT_STARTED),
        };
        let requested = if ending.was_requested() { REQUESTED } else { 0 };
        Self {
            slot: shown(slot),
            pid: pid.unwrap_or_default(),
            at_ms: u64::try_from(ending.at.since_boot().as_millis()).unwrap_or(u64::MAX),
            lived_ms: u32::try_from(ending.lived.as_millis()).unwrap_or(u32::MAX),
            number: u8::try_from(number).unwrap_or(u8::MAX),
            marks: marks | requested,
        }
    }

    fn shown(&self, now: Monotonic, wall: Duration) -> PastExit {
        let is = |mark: u8| self.marks & mark != 0;
        let number = i32::from(self.number);
        let status = if is(BY_SIGNAL) {
            ExitStatus::Signal { number, core_dumped: is(CORE_DUMPED) }
        } else {
            ExitStatus::Code(number)
        };
        let at = Monotonic::from_boot(Duration::from_millis(self.at_ms));
        PastExit {
            slot: self.slot,
            pid: (self.pid != 0).then_some(self.pid),
            at: wall.saturating_sub(now.since(at)),
            status: (!is(NOT_STARTED)).then_some(status),
            requested: is(REQUESTED),
            lived: Duration::from_millis(u64::from(self.lived_ms)),
        }
    }
}

/// The name of the record of a companion's ends.
fn record_name(companion: &str) -> String {
    format!("{EXITS}{companion}")
}

/// The record of a companion's ends; `None` when it has none.
pub(super) fn record(companion: &Companion) -> Option<Record> {
    let content = codec::encode(&(record::FORM, &companion.history));
    let name = record_name(&companion.spec.name);
    (!companion.history.0.is_empty()).then_some(Record { name, content: Some(content) })
}

/// The record that removes a companion's.
pub(super) fn no_record(companion: &str) -> Record {
    record::none(&record_name(companion))
}

impl Table {
    /// Takes up what the records say of ends.
    pub(super) fn remember_ends(&mut self, saved: &Saved) {
        for record in &saved.records {
            let companion = record.name.strip_prefix(EXITS).and_then(|name| self.names.get(name));
            let Some(companion) = companion.and_then(|id| self.companions.get_mut(id)) else { continue };
            let content = record.content.as_deref().unwrap_or_default();
            if let Ok((record::FORM, history)) = codec::decode(content) {
                companion.history = history;
                companion.history_told = record::told(record);
            }
        }
    }

    /// A companion's settings in force, and how its last runs ended. `wall` is the time since the Unix epoch at
    /// `now`, and `own_uid` the user that arbiter runs as.
    ///
    /// # Errors
    ///
    /// When the name does not stand for one companion.
    pub fn info(&self, name: &str, now: Monotonic, wall: Duration, own_uid: u32) -> Result<Info, Failure> {
        let selected = self.select(&[name.to_owned()])?;
        let one = match selected[..] {
            [Selected { companion, slot: None, .. }] => self.companion(companion),
            _ => None,
        };
        let Some(companion) = one else {
            let text = format!("{name} is more or less than one companion: give one full name");
            return Err(Failure::new(FailureKind::Refused, text));
        };
        let mut settings = Writer::default();
        print_companion(&mut settings, &companion.spec, own_uid);
        Ok(Info {
            name: companion.spec.name.clone(),
            settings: settings.finish(),
            exits: companion.history.shown(now, wall),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supervise::{Cause, Exit};

    fn ending(status: Option<ExitStatus>, cause: Option<Cause>) -> Ending {
        Ending {
            exit: status.map(Exit::bare),
            at: Monotonic::from_boot(Duration::from_secs(100)),
            lived: Duration::from_millis(1500),
            ready: true,
            cause,
            failure: None,
            remark: None,
        }
    }

    #[test]
    fn an_end_is_shown_as_it_was() {
        let cases = [
            (Some(ExitStatus::Code(255)), None),
            (Some(ExitStatus::Signal { number: 64, core_dumped: true }), Some(Cause::Requested)),
            (Some(ExitStatus::Signal { number: 9, core_dumped: false }), Some(Cause::Unhealthy)),
            (None, None),
        ];
        for (status, cause) in cases {
            let now = Monotonic::from_boot(Duration::from_secs(160));
            let past = Past::of(1 << 31, Some(7), &ending(status, cause));
            let expected = PastExit {
                slot: 0,
                pid: Some(7),
                at: Duration::from_secs(940),
                status,
                requested: cause == Some(Cause::Requested),
                lived: Duration::from_millis(1500),
            };
            assert_eq!(past.shown(now, Duration::from_secs(1000)), expected);
        }
    }

    #[test]
    fn the_last_twenty_fit_into_a_record() {
        let mut history = History::default();
        for pid in 1..=25 {
            history.push(1, Some(pid), &ending(Some(ExitStatus::Code(0)), None));
        }
        let pids: Vec<i32> = history.0.iter().map(|past| past.pid).collect();
        assert_eq!(pids, (6..=25).collect::<Vec<_>>());
        assert!(codec::encode(&(record::FORM, &history)).len() <= 512);
    }
}
