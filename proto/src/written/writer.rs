//! TOML text, piece by piece.

use std::fmt::Write as _;
use std::time::Duration;

/// A document that grows key by key.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// The text so far.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// Begins a table; `header` with its brackets.
    pub fn table(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(header);
    }

    /// A comment.
    pub fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    /// A key with a value that is TOML already.
    pub fn raw(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {value}"));
    }

    /// A key with a string.
    pub fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &string(value));
    }

    /// A key with a number, or true or false.
    pub fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.raw(name, &value.to_string());
    }

    /// A key with a duration in seconds.
    pub fn duration(&mut self, name: &str, value: Duration) {
        self.raw(name, &duration(value));
    }

    /// A key with an array of strings.
    pub fn texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a String>) {
        self.raw(name, &array(values.into_iter().map(|value| string(value))));
    }

    /// A key with an array of numbers.
    pub fn plains<T: std::fmt::Display>(&mut self, name: &str, values: &[T]) {
        self.raw(name, &array(values.iter().map(ToString::to_string)));
    }

    /// A key with a file mode.
    pub fn mode(&mut self, name: &str, mode: u32) {
        self.raw(name, &format!("\"{mode:04o}\""));
    }

    /// A key with a signal.
    pub fn signal(&mut self, name: &str, signal: i32) {
        match supervise::signal_name(signal) {
            Some(text) => self.text(name, text.trim_start_matches("SIG")),
            None => self.plain(name, signal),
        }
    }

    /// A key with a signal, or `""`.
    pub fn signal_or_none(&mut self, name: &str, signal: Option<i32>) {
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
#[must_use]
pub fn string(text: &str) -> String {
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
#[must_use]
pub fn key(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { name.to_owned() } else { string(name) }
}

/// An array on one line.
pub fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

/// An inline table.
pub fn inline(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

/// A duration in seconds, in whole microseconds.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let micros = duration.subsec_micros();
    if micros == 0 {
        return duration.as_secs().to_string();
    }
    format!("{}.{micros:06}", duration.as_secs()).trim_end_matches('0').to_owned()
}

/// A size: with the largest unit that divides it.
#[must_use]
pub fn size(bytes: u64) -> String {
    for (name, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >> shift > 0 && bytes % (1 << shift) == 0 {
            return format!("\"{}{name}\"", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_they_have_to_be() {
        assert_eq!(key("redis-1"), "redis-1");
        assert_eq!(key("batch.redis"), "\"batch.redis\"");
        assert_eq!(key(""), "\"\"");
    }
}
