//! `$(circus.name)` and `((circus.name))` in values.

use crate::config::import::{World, hints};
use std::ffi::OsStr;

/// What a value can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Placeholders, which are filled at each start.
    Start,
    /// Only what is known now.
    Now,
}

/// What names mean.
pub(super) struct Expansion<'a> {
    /// The watcher's own variables.
    pub(super) env: &'a [(String, String)],
    /// What stands for the number of a socket of this name, in small letters.
    pub(super) socket: &'a dyn Fn(&str) -> Option<String>,
    /// For `env`.
    pub(super) world: &'a World<'a>,
}

impl Expansion<'_> {
    /// `text` with all names that have a counterpart replaced. What has none stays and is noted.
    pub(super) fn expand(&self, text: &str, when: When, notes: &mut Vec<String>) -> String {
        if when == When::Start {
            notes.extend(hints::braces(text));
        }
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, name, length)) = first(rest) {
            expanded.push_str(&rest[..at]);
            let written = &rest[at..at + length];
            match self.value(name, when, notes) {
                Some(value) => expanded.push_str(&value),
                None => {
                    notes.push(format!(
                        "{written} has no counterpart here and stays as it is: write out what it means"
                    ));
                    expanded.push_str(written);
                }
            }
            rest = &rest[at + length..];
        }
        expanded.push_str(rest);
        if when == When::Start { expanded.replace("$WID", "{slot}") } else { expanded }
    }

    fn value(&self, name: &str, when: When, notes: &mut Vec<String>) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        if lower == "wid" {
            return (when == When::Start).then(|| "{slot}".to_owned());
        }
        if let Some(socket) = lower.strip_prefix("sockets.") {
            return (self.socket)(socket);
        }
        let variable = self.variable(&name[lower.strip_prefix("env.").map(|_| "env.".len())?..]);
        if when == When::Start {
            return Some(format!("{{env.{variable}}}"));
        }
        if let Some((_, value)) = self.env.iter().find(|(name, _)| *name == variable) {
            return Some(value.clone());
        }
        let value = self.world.env.get(OsStr::new(&variable))?.to_string_lossy().into_owned();
        notes.push(format!("$(circus.env.{variable}) is what it was when this was written: \"{value}\""));
        Some(value)
    }

    /// The name of a variable that was written in whatever case.
    fn variable(&self, written: &str) -> String {
        let own = self.env.iter().map(|(name, _)| name.as_str());
        let inherited = self.world.env.keys().filter_map(|name| name.to_str());
        let known = own.chain(inherited).find(|name| name.eq_ignore_ascii_case(written));
        known.map_or_else(|| written.to_ascii_uppercase(), str::to_owned)
    }
}

/// The sockets that a text names, in small letters.
pub(super) fn sockets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, name, length)) = first(rest) {
        let lower = name.to_ascii_lowercase();
        found.extend(lower.strip_prefix("sockets.").map(str::to_owned));
        rest = &rest[at + length..];
    }
    found
}

/// The first expression: where it begins, the name without `circus.`, how long it is.
fn first(text: &str) -> Option<(usize, &str, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find(['$', '(']).map(|at| from + at) {
        let forms = [("$(", ")"), ("((", "))")];
        let found = forms.iter().find_map(|(open, close)| {
            let inside = text[at..].strip_prefix(open)?;
            let length = inside.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))?;
            let (name, after) = inside.split_at(length);
            after.starts_with(close).then_some(())?;
            let prefix =
                name.get(.."circus.".len()).filter(|prefix| prefix.eq_ignore_ascii_case("circus."))?;
            Some((at, &name[prefix.len()..], open.len() + length + close.len()))
        });
        if found.is_some() {
            return found;
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::context::Environment;
    use crate::config::import::files::Nowhere;

    #[test]
    fn expressions_become_placeholders_or_what_is_known_now() {
        let env = Environment::from([("HOME".into(), "/root".into())]);
        let world = World { directory: "/", env: &env, files: &Nowhere };
        let own = [("Yeah".to_owned(), "boo".to_owned())];
        let socket = |name: &str| (name == "web").then(|| "{web}".to_owned());
        let expansion = Expansion { env: &own, socket: &socket, world: &world };
        let cases = [
            ("$(circus.wid) ((circus.wid)) $WID", "{slot} {slot} {slot}", 0),
            ("--fd $(circus.sockets.web) fd://$(CIRCUS.SOCKETS.WEB)", "--fd {web} fd://{web}", 0),
            (
                "$(circus.env.home)/$(circus.env.yeah) $(circus.env.nope)",
                "{env.HOME}/{env.Yeah} {env.NOPE}",
                0,
            ),
            ("$(circus.sockets.other) $(circus.what)", "$(circus.sockets.other) $(circus.what)", 2),
            ("$HOME $( ((x)) (a) $(date)", "$HOME $( ((x)) (a) $(date)", 0),
        ];
        for (text, expected, count) in cases {
            let mut notes = Vec::new();
            assert_eq!(expansion.expand(text, When::Start, &mut notes), expected);
            assert_eq!(notes.len(), count, "{text}");
        }
        let now = |text| expansion.expand(text, When::Now, &mut Vec::new());
        assert_eq!(now("$(circus.env.home)/$(circus.env.yeah)"), "/root/boo");
    }
}
