//! The terminal while it is taken.

use std::fmt::Write as _;
use std::io::{self, Write};
use sys::terminal::KeyByKey;

/// The other screen, no cursor (xterm's private modes 1049 and 25, known to every terminal in use).
const TAKE: &str = "\x1b[?1049h\x1b[?25l";
/// The cursor, and what was there before.
const GIVE_BACK: &str = "\x1b[?25h\x1b[?1049l";
/// Home, and everything cleared (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";
/// The rest of the row cleared (ECMA-48: EL).
const CLEAR_ROW: &str = "\x1b[K";

/// A terminal that shows rows, and is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    /// What it shows; `None`: not known, everything is to be drawn.
    shown: Option<Vec<String>>,
    /// `None` where standard input is no terminal.
    _keys: Option<KeyByKey>,
}

impl Screen {
    /// Takes the terminal that is standard output, and the keys of the one that is standard input.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(super) fn take() -> io::Result<Self> {
        let keys = KeyByKey::take(io::stdin()).ok();
        write(TAKE)?;
        Ok(Self { shown: None, _keys: keys })
    }

    /// Shows rows that fit.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn show(&mut self, rows: Vec<String>) -> io::Result<()> {
        let strokes = strokes(self.shown.as_deref(), &rows);
        if !strokes.is_empty() {
            write(&strokes)?;
        }
        self.shown = Some(rows);
        Ok(())
    }

    /// What is shown is not known any more: the terminal has another size.
    pub(super) fn forget(&mut self) {
        self.shown = None;
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that cannot be written to any more needs nothing back.
        let _ = write(GIVE_BACK);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What makes the rows before into those after. Only rows that differ are written, so that nothing flickers.
fn strokes(before: Option<&[String]>, after: &[String]) -> String {
    let mut strokes = String::from(if before.is_none() { CLEAR } else { "" });
    let before = before.unwrap_or_default();
    for number in 0..before.len().max(after.len()) {
        let row = after.get(number);
        if row != before.get(number) {
            // Rows of a terminal are counted from 1. The row is cleared first: clearing behind a full one would
            // take its last character away.
            let _ = write!(strokes, "\x1b[{};1H{CLEAR_ROW}{}", number + 1, row.map_or("", String::as_str));
        }
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|&row| row.to_owned()).collect()
    }

    #[test]
    fn only_rows_that_changed_are_written() {
        let before = rows(&["a", "b", "c"]);
        assert_eq!(strokes(Some(&before), &before), "");
        assert_eq!(strokes(Some(&before), &rows(&["a", "x", "c"])), "\x1b[2;1H\x1b[Kx");
        assert_eq!(strokes(Some(&before), &rows(&["a", "b"])), "\x1b[3;1H\x1b[K");
        assert_eq!(strokes(None, &rows(&["a"])), "\x1b[H\x1b[2J\x1b[1;1H\x1b[Ka");
    }
}
