//! One event as one line.

use std::fmt::{self, Write};
use std::time::Duration;

use tracing::Level;
use tracing::field::{Field, Visit};

use super::json::{write_float, write_string};
use super::subscriber::Format;

/// Fields for programs that read the log: whom the message is about.
const SUBJECT: [&str; 3] = ["worker", "companion", "pid"];

/// A line in the making: the message apart from the fields, since it comes first wherever it was named.
pub(super) struct Line {
    format: Format,
    message: String,
    fields: String,
}

impl Line {
    pub(super) fn new(format: Format) -> Self {
        Self { format, message: String::new(), fields: String::new() }
    }

    pub(super) fn of_message(format: Format, message: String) -> Self {
        Self { format, message, fields: String::new() }
    }

    /// The finished line, its newline included.
    pub(super) fn finish(self, level: Level, wall: Duration, pid: i32) -> String {
        let mut out = String::with_capacity(64 + self.message.len() + self.fields.len());
        let time = || crate::clock::rfc3339(wall);
        // Writing to a String cannot fail.
        let _ = match self.format {
            Format::Text => write!(out, "{} {:<5} [{pid}] ", time(), level.as_str()),
            Format::Journal => write!(out, "<{}>", priority(level)),
            Format::Json => {
                let name = level.as_str().to_ascii_lowercase();
                write!(out, "{{\"time\":\"{}\",\"level\":\"{name}\",\"message\":", time())
            }
        };
        if self.format == Format::Json {
            write_string(&mut out, &self.message);
            out.push_str(&self.fields);
            out.push('}');
        } else {
            write_plain(&mut out, &self.message);
            out.push_str(&self.fields);
        }
        out.push('\n');
        out
    }

    /// Whether a field says what the message says, too: as text it is not repeated.
    fn is_in_message(&self, field: &Field) -> bool {
        self.format != Format::Json && SUBJECT.contains(&field.name())
    }

    fn key(&mut self, field: &Field) {
        let name = field.name().trim_start_matches("r#");
        if self.format == Format::Json {
            self.fields.push(',');
            // A field that is called like one of the fixed keys must not be there twice.
            let prefix = if matches!(name, "time" | "level") { "field." } else { "" };
            write_string(&mut self.fields, &format!("{prefix}{name}"));
            self.fields.push(':');
        } else {
            let _ = write!(self.fields, " {name}=");
        }
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
            return;
        }
        if self.is_in_message(field) {
            return;
        }
        self.key(field);
        let plain = !value.is_empty()
            && !value.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '='));
        if self.format != Format::Json && plain {
            self.fields.push_str(value);
        } else {
            write_string(&mut self.fields, value);
        }
    }

    fn bare(&mut self, field: &Field, value: &dyn fmt::Display) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value}");
        } else if !self.is_in_message(field) {
            self.key(field);
            let _ = write!(self.fields, "{value}");
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let mut text = String::new();
        write_float(&mut text, value);
        self.bare(field, &text);
    }
}

/// The priorities of syslog(3), as a journal reads them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// A message as text: it stays one line, and no terminal obeys it.
fn write_plain(out: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
}
