//! NAME, NAME:SLOT and patterns.

use super::Table;
use super::oneoff::{is_oneoff, shown};
use proto::control::{Failure, FailureKind};
use proto::nearest::nearest;

/// What one name of a request stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// The companion.
    pub(super) companion: u32,
    /// One of its slots, or all.
    pub(super) slot: Option<u32>,
    /// Whether a pattern found it.
    pub(super) by_pattern: bool,
}

impl Table {
    /// What `names` stand for, each companion or slot once, in the order of full names.
    ///
    /// # Errors
    ///
    /// When one of them stands for nothing.
    pub(super) fn select(&self, names: &[String]) -> Result<Vec<Selected>, Failure> {
        let mut selected: Vec<Selected> = Vec::new();
        for name in names {
            let before = selected.len();
            let (pattern, slot) = split_slot(name);
            for (full, &companion) in &self.names {
                if matches(pattern, full) && self.has_slot(companion, slot) {
                    selected.push(Selected { companion, slot, by_pattern: pattern.contains('*') });
                }
            }
            if selected.len() == before {
                return Err(self.unknown(name, pattern, slot));
            }
        }
        Ok(dedup(selected))
    }

    /// Whom a line of the log is about, which begins with `NAME: ` or `NAME:SLOT: `: the companion's full name,
    /// and the process where it has one alone, or in that slot.
    #[must_use]
    pub fn subject_of<'a>(&self, line: &'a str) -> Option<(&'a str, Option<i32>)> {
        let (name, slot) = split_slot(line.split_once(": ")?.0);
        let is_meant = |number: u32| slot.map_or(!is_oneoff(number), |slot| slot == shown(number));
        let mut slots = self.by_name(name)?.slots.iter().filter(|(number, _)| is_meant(**number));
        let pid = slots.next().and_then(|(_, slot)| slot.unit.run()?.pid).filter(|_| slots.next().is_none());
        Some((name, pid))
    }

    /// The full names of those that `names` stand for and that were loaded at run time.
    ///
    /// # Errors
    ///
    /// When one stands for nothing, or for a companion of the configuration.
    pub fn loaded(&self, names: &[String]) -> Result<Vec<String>, Failure> {
        let refused = |text: String| Err(Failure::new(FailureKind::Refused, text));
        let mut loaded = Vec::new();
        for one in self.select(names)? {
            let Some(companion) = self.companion(one.companion) else { continue };
            let name = &companion.spec.name;
            if one.slot.is_some() {
                return refused(format!("{name} is unloaded as a whole: leave out the slot"));
            }
            if companion.spec.loaded {
                loaded.push(name.clone());
            } else if !one.by_pattern {
                return refused(format!(
                    "{name} was not loaded: remove it from the configuration, and reload"
                ));
            }
        }
        if loaded.is_empty() {
            let text = format!("nothing that {} matches was loaded", names.join(", "));
            return Err(Failure::new(FailureKind::NotFound, text));
        }
        Ok(loaded)
    }

    fn has_slot(&self, companion: u32, slot: Option<u32>) -> bool {
        let Some(companion) = self.companions.get(&companion).filter(|companion| !companion.removed) else {
            return false;
        };
        match slot {
            Some(0) => companion.oneoffs().next().is_some(),
            Some(slot) => companion.slots.get(&slot).is_some_and(|slot| !slot.leaving),
            None => true,
        }
    }

    fn unknown(&self, name: &str, pattern: &str, slot: Option<u32>) -> Failure {
        let text = if pattern.contains('*') {
            format!("no companion matches {name}: see `arbiterctl status`")
        } else if slot == Some(0) && self.by_name(pattern).is_some() {
            format!("no one-off of {pattern} runs, and slot 0 is that of one-offs")
        } else if let (Some(slot), Some(companion)) = (slot, self.by_name(pattern)) {
            let slots: Vec<String> = companion.staying().map(|(number, _)| number.to_string()).collect();
            format!("{pattern} has no slot {slot}, it has {}", slots.join(", "))
        } else {
            let known = self.companions().map(|(_, companion)| companion.spec.name.as_str());
            let near =
                nearest(pattern, known).map(|near| format!(", did you mean {near}")).unwrap_or_default();
            format!("no companion is called {name}{near}: see `arbiterctl status`")
        };
        Failure::new(FailureKind::NotFound, text)
    }
}

/// `NAME:SLOT` as its two parts.
fn split_slot(name: &str) -> (&str, Option<u32>) {
    match name.rsplit_once(':') {
        Some((pattern, slot)) => match slot.parse() {
            Ok(slot) => (pattern, Some(slot)),
            Err(_) => (name, None),
        },
        None => (name, None),
    }
}

/// The first mention of each thing; a companion named as a whole makes its slots' mentions superfluous. One
/// that is named by name and found by a pattern too counts as named.
fn dedup(selected: Vec<Selected>) -> Vec<Selected> {
    let mut kept: Vec<Selected> = Vec::new();
    for candidate in selected {
        let same = |other: &&mut Selected| {
            other.companion == candidate.companion && (other.slot.is_none() || other.slot == candidate.slot)
        };
        if let Some(other) = kept.iter_mut().find(same) {
            other.by_pattern &= candidate.by_pattern;
            continue;
        }
        if candidate.slot.is_none() {
            kept.retain(|other| other.companion != candidate.companion);
        }
        kept.push(candidate);
    }
    kept
}

/// Whether `pattern` matches `name`: `*` alone matches all, otherwise it stands for any text within one
/// dotted part.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (patterns, parts) = (pattern.split('.'), name.split('.'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| matches_part(pattern, part))
}

fn matches_part(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let Some(tail) = pieces.pop() else { return true };
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_alone_is_everything_and_otherwise_stays_within_one_part() {
        for (pattern, name, expected) in [
            ("*", "redis", true),
            ("*", "batch.redis", true),
            ("batch.*", "batch.redis", true),
            ("batch.*", "redis", false),
            ("*.redis", "batch.redis", true),
            ("r*s", "redis", true),
            ("r*s", "batch.redis", false),
            ("r*d*s", "redis", true),
            ("r*x*s", "redis", false),
            ("redis*", "redis", true),
            ("re", "redis", false),
            ("", "redis", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_slot_is_what_follows_the_last_colon_if_it_is_a_number() {
        assert_eq!(split_slot("rq:3"), ("rq", Some(3)));
        assert_eq!(split_slot("rq:x"), ("rq:x", None));
        assert_eq!(split_slot("rq"), ("rq", None));
    }

    #[test]
    fn a_name_makes_its_slots_superfluous() {
        let all = Selected { companion: 1, slot: None, by_pattern: false };
        let one = Selected { companion: 1, slot: Some(2), by_pattern: false };
        let found = Selected { companion: 1, slot: None, by_pattern: true };
        assert_eq!(dedup(vec![one.clone(), all.clone(), one, found]), [all]);
    }
}
