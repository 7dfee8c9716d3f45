//! How far a request has come, for those who wait.

use super::{Asker, Key, Slot, Table, shown};
use proto::control::Progress;
use std::time::Duration;
use supervise::{Monotonic, State};

impl Table {
    /// What the request of `asker` waits for, `since` it was asked; `None` where nothing is known of it, or no
    /// more. It is known by its token, or by its client and number.
    #[must_use]
    pub fn progress(&self, asker: Asker, since: Duration, now: Monotonic) -> Option<Progress> {
        let is_meant = |other: Asker| {
            let same_token = other.token != [0; 16] && other.token == asker.token;
            same_token || (other.client, other.id) == (asker.client, asker.id)
        };
        let pending = self.pending.iter().find(|pending| is_meant(pending.asker))?;
        let open = || pending.watched.iter().filter(|watched| watched.end.is_none());
        // Those that run wait for their turn.
        let on_its_way = |key| self.slot(key).is_none_or(|slot| slot.unit.state() != State::Running);
        let first = open().find(|watched| on_its_way(watched.key)).or_else(|| open().next())?;
        let (mut message, escalation) = self.tell_of(first.key, &first.name, now);
        message.push_str(&and_more(open().count() - 1));
        let (escalates_in, escalation) = escalation.map_or((None, ""), |(in_, what)| (Some(in_), what));
        Some(Progress { message, since, escalates_in, escalation: escalation.into() })
    }

    /// What one who waits for the stop of everything waits for: the process whose time runs out first, and how many
    /// more are being stopped.
    #[must_use]
    pub fn leaving(&self, now: Monotonic) -> Option<(String, Option<(Duration, &'static str)>)> {
        let slots = self.companions().flat_map(|(id, companion)| {
            let name = companion.spec.name.as_str();
            companion
                .slots
                .iter()
                .map(move |(number, slot)| (Key { companion: id, slot: *number }, name, slot))
        });
        let leaving: Vec<_> = slots.filter(|(.., slot)| slot.unit.state() == State::Stopping).collect();
        let time_left = |slot: &Slot| slot.unit.escalates_in(now).unwrap_or(Duration::MAX);
        let (key, name, _) = leaving.iter().min_by_key(|(.., slot)| time_left(slot))?;
        let (message, escalation) = self.tell_of(*key, name, now);
        Some((format!("{message}{}", and_more(leaving.len() - 1)), escalation))
    }

    /// A process as one waits for it, and when it is treated more harshly, and how.
    fn tell_of(&self, key: Key, name: &str, now: Monotonic) -> (String, Option<(Duration, &'static str)>) {
        let Some((companion, slot)) = self.companion(key.companion).zip(self.slot(key)) else {
            return (format!("{name} is gone"), None);
        };
        let name = match companion.slots.len() {
            0 | 1 => name.to_owned(),
            _ => format!("{name}:{}", shown(key.slot)),
        };
        let state = slot.unit.state();
        let escalation = slot.unit.escalates_in(now).zip(state.escalation());
        // What is on its way somewhere needs no reason to be: only what keeps it.
        let reason = match state {
            State::Stopping if escalation.is_some() => None,
            _ => self.reason_of(companion, &slot.unit, now),
        };
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        (format!("{name} is {state}{reason}"), escalation)
    }
}

/// How many others are waited for; short, for all of it is to fit into a row.
pub(crate) fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more)") }
}
