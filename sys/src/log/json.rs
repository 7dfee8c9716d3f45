//! JSON text, as RFC 8259 wants it.

use std::fmt::Write;

/// Appends a string in quotes. Everything below the blank is escaped, and so are DEL and the two line ends of
/// U+2028 and U+2029, which the standard allows but many a reader of lines does not.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..=' ' if character != ' ' => escape(out, character),
            '\u{7f}' | '\u{2028}' | '\u{2029}' => escape(out, character),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

fn escape(out: &mut String, character: char) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\u{:04x}", u32::from(character));
}

/// Appends a number; JSON has no infinities, they become null.
pub(super) fn write_float(out: &mut String, value: f64) {
    if value.is_finite() {
        let _ = write!(out, "{value}");
    } else {
        out.push_str("null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> String {
        let mut out = String::new();
        write_string(&mut out, text);
        out
    }

    #[test]
    fn control_characters_quotes_and_backslashes_are_escaped() {
        assert_eq!(string("a \"b\" \\ ü €"), "\"a \\\"b\\\" \\\\ ü €\"");
        assert_eq!(string("\n\r\t\0\u{1b}\u{7f}\u{2028}"), "\"\\n\\r\\t\\u0000\\u001b\\u007f\\u2028\"");
        for byte in 0..0x20u8 {
            let text = string(&char::from(byte).to_string());
            assert!(text.starts_with("\"\\"), "{byte}: {text}");
        }
    }

    #[test]
    fn numbers_json_cannot_say_are_null() {
        for (value, text) in [(1.5, "1.5"), (-0.25, "-0.25"), (f64::NAN, "null"), (f64::INFINITY, "null")] {
            let mut out = String::new();
            write_float(&mut out, value);
            assert_eq!(out, text);
        }
    }
}
