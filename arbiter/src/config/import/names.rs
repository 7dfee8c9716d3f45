//! Names that a companion, a session or a listener can have.

use crate::config::companion::REFUSED;
use crate::config::listener::TAKEN;
use crate::config::value;

/// The names given so far.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// A full name for a companion like `wanted`, in a session where one is given, that no other has. Where it had
    /// to differ from what was wanted, that is noted.
    pub(super) fn companion(
        &mut self,
        session: Option<&str>,
        wanted: &str,
        notes: &mut Vec<String>,
    ) -> String {
        let valid = valid(wanted);
        let name = if REFUSED.contains(&valid.as_str()) { format!("app-{valid}") } else { valid };
        let session = session.map(self::valid).filter(|session| session != "default");
        let full = |name: &str| match &session {
            Some(session) => format!("{session}.{name}"),
            None => name.to_owned(),
        };
        let name = self.free(&name, full);
        if name.rsplit('.').next() != Some(wanted) {
            let short = name.rsplit('.').next().unwrap_or_default();
            notes.push(format!(
                "it was called \"{wanted}\", which cannot be a companion's name here; it is \"{short}\""
            ));
        }
        name
    }

    /// A name for a listener.
    pub(super) fn listener(&mut self, wanted: &str) -> String {
        let valid = valid(wanted);
        let name = if TAKEN.contains(&valid.as_str()) { format!("{valid}-socket") } else { valid };
        self.free(&name, str::to_owned)
    }

    fn free(&mut self, name: &str, full: impl Fn(&str) -> String) -> String {
        let numbered = (2u32..).map(|number| full(&format!("{name}-{number}")));
        let free = std::iter::once(full(name)).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.expect("there are more numbers than names");
        self.0.push(free.clone());
        free
    }
}

/// The nearest text that can be a name.
fn valid(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let fitting: String = text.trim().chars().map(fit).collect();
    if value::is_name(&fitting) { fitting } else { format!("p-{fitting}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_becomes_one_that_nobody_has() {
        let mut names = Names::default();
        let mut name = |session, wanted| {
            let mut notes = Vec::new();
            let name = names.companion(session, wanted, &mut notes);
            (name, notes.len())
        };
        assert_eq!(name(None, "redis"), ("redis".into(), 0));
        assert_eq!(name(None, "redis"), ("redis-2".into(), 1));
        assert_eq!(name(None, "worker"), ("app-worker".into(), 1));
        assert_eq!(name(Some("batch"), "redis"), ("batch.redis".into(), 0));
        assert_eq!(name(Some("default"), "x.y é"), ("x-y--".into(), 1));
        assert_eq!(name(None, "2nd"), ("p-2nd".into(), 1));
        assert_eq!(names.listener("slot"), "slot-socket");
    }
}
