//! Colours.

use crate::cli::Color;
use proto::supervise::State;
use std::io::{self, IsTerminal};

/// Whether states are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    colored: bool,
}

impl Style {
    /// As `color` says; by itself only on a terminal that can, and not where NO_COLOR is set
    /// (<https://no-color.org>).
    pub(crate) fn new(color: Color) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
            }
        };
        Self { colored }
    }

    /// `text` in the colour of `state`.
    pub(super) fn state(self, state: State, text: &str) -> String {
        // ECMA-48, select graphic rendition: red, green, yellow, faint.
        let code = match state {
            State::Running => 32,
            State::Starting | State::Stopping => 33,
            State::Backoff | State::Fatal => 31,
            State::Stopped | State::Exited => 2,
        };
        if self.colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    #[cfg(test)]
    pub(super) const COLORED: Self = Self { colored: true };
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { colored: false };
}
