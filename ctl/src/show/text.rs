//! Text that is written to a terminal: what may be in it, how wide it is, and how it is made to fit.

/// What stands where something was cut off.
const CUT: char = '…';

/// `text` so that it cannot drive the terminal, whoever wrote it: white space becomes spaces; control characters,
/// and those that change the direction of what follows, are shown as escapes.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' | '\n' | '\r' => plain.push(' '),
            c if c.is_control() || is_invisible(c) => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// Marks of direction, joiners and separators (Unicode, general categories Cf, Zl and Zp, as far as they do harm
/// in a line).
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How many columns a character takes: two for those of East Asia and for pictures, none for accents that go over
/// the one before (Unicode, East Asian Width W and F, general category Mn; the ranges in use).
fn columns_of(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// How many columns plain text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// `text` and spaces, `width` columns wide.
pub(super) fn pad(text: &str, width: usize) -> String {
    let spaces = width.saturating_sub(columns(text));
    format!("{text}{:spaces$}", "")
}

/// What of `text` fits into `width` columns; where some is missing, its last character says so.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let (mut kept, _) = split(text, width.saturating_sub(1));
    kept = kept.trim_end();
    format!("{kept}{CUT}")
}

/// `text` in rows of `width` columns at most, broken at spaces; within a word where that is longer.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut rows = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let row = rows.last_mut().expect("there is always one");
        let gap = usize::from(!row.is_empty());
        if columns(row) + gap + columns(word) <= width {
            row.push_str(&" "[..gap]);
            row.push_str(word);
            continue;
        }
        if row.is_empty() {
            rows.pop();
        }
        let mut rest = word;
        while !rest.is_empty() {
            let (row, after) = split(rest, width);
            rows.push(row.to_owned());
            rest = after;
        }
    }
    rows
}

/// The part of `text` that fits into `width` columns, and the rest.
fn split(text: &str, width: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += columns_of(character);
        if taken > width {
            return text.split_at(at);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_shown_instead() {
        assert_eq!(plain("\x1b[2Jall is\nwell\t!\r"), "\\u{1b}[2Jall is well ! ");
        assert_eq!(plain("\u{9b}31m \u{202e}evil"), "\\u{9b}31m \\u{202e}evil");
        assert_eq!(plain("größe 大"), "größe 大");
    }

    #[test]
    fn characters_of_east_asia_take_two_columns_and_accents_none() {
        assert_eq!(columns("abc"), 3);
        assert_eq!(columns("大小"), 4);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(pad("大", 4), "大  ");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!(cut("redis", 5), "redis");
        assert_eq!(cut("redis!", 5), "redi…");
        assert_eq!(cut("one two", 5), "one…");
        assert_eq!(cut("大小多少", 6), "大小…");
        assert_eq!(cut("x", 0), "…");
    }

    #[test]
    fn rows_break_at_spaces_and_lose_nothing() {
        assert_eq!(wrap("pid 10, uptime 0:00:12", 12), ["pid 10,", "uptime", "0:00:12"]);
        assert_eq!(wrap("", 12), [""]);
        assert_eq!(wrap("unix:/very/long/path x", 8), ["unix:/ve", "ry/long/", "path x"]);
        assert_eq!(wrap("a unix:/very/long", 8), ["a", "unix:/ve", "ry/long"]);
        for width in 2..20 {
            let rows = wrap("pid 10, 大小多少 uptime 0:00:12, on 127.0.0.1:8000", width);
            assert!(rows.iter().all(|row| columns(row) <= width), "{width}: {rows:?}");
        }
    }
}
