//! TOML text, written.

use std::fmt::Write as _;
use std::time::Duration;

use super::quantity;

/// A document that grows key by key.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    /// The text so far.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Begins a table; `header` with its brackets.
    pub(crate) fn table(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(header);
    }

    /// A comment.
    pub(crate) fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    /// A key with a value that is TOML already.
    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {value}"));
    }

    /// A key with a string.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &string(value));
    }

    /// A key with a number, or true or false.
    pub(crate) fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.raw(name, &value.to_string());
    }

    /// A key with a duration in seconds.
    pub(crate) fn duration(&mut self, name: &str, value: Duration) {
        self.raw(name, &quantity::write_duration(value));
    }

    /// A key with an array of strings.
    pub(crate) fn texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a String>) {
        self.raw(name, &array(values.into_iter().map(|value| string(value))));
    }

    /// A key with an array of numbers.
    pub(crate) fn plains<T: std::fmt::Display>(&mut self, name: &str, values: &[T]) {
        self.raw(name, &array(values.iter().map(ToString::to_string)));
    }

    /// A key with a file mode.
    pub(crate) fn mode(&mut self, name: &str, mode: u32) {
        self.raw(name, &format!("\"{mode:04o}\""));
    }

    /// A key with a signal.
    pub(crate) fn signal(&mut self, name: &str, signal: i32) {
        match supervise::signal_name(signal) {
            Some(text) => self.text(name, text.trim_start_matches("SIG")),
            None => self.plain(name, signal),
        }
    }

    /// A key with a signal, or `""`.
    pub(crate) fn signal_or_none(&mut self, name: &str, signal: Option<i32>) {
        match signal {
            Some(signal) => self.signal(name, signal),
            None => self.text(name, ""),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A TOML basic string.
pub(crate) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A key: bare where that is possible.
pub(crate) fn key(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { name.to_owned() } else { string(name) }
}

/// An array on one line.
pub(crate) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

/// An inline table.
pub(crate) fn inline(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_is_read_as_the_same() {
        for text in ["", "a", "\"\\", "a\nb\tc\r", "\u{1}\u{7f}\u{85}", "ä{http}$", "'"] {
            let mut writer = Writer::default();
            writer.text("x", text);
            let document = toml_edit::Document::parse(writer.finish()).unwrap();
            assert_eq!(document.as_table().get("x").and_then(toml_edit::Item::as_str), Some(text));
        }
    }

    #[test]
    fn keys_are_quoted_where_they_have_to_be() {
        assert_eq!(key("redis-1"), "redis-1");
        assert_eq!(key("batch.redis"), "\"batch.redis\"");
        assert_eq!(key(""), "\"\"");
    }
}
