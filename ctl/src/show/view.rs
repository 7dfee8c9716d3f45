//! Whom answers are written for.

use super::style::Style;
use crate::cli::Color;
use std::io::{self, IsTerminal};
use sys::terminal::{self, Size};

/// Standard output as what is written to it has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Colours, or none.
    pub(crate) style: Style,
    /// The size of the terminal; `None` where it is none, or of unknown size.
    pub(crate) size: Option<Size>,
}

impl View {
    /// This process's standard output, coloured as `color` says.
    pub(crate) fn new(color: Color) -> Self {
        let stdout = io::stdout();
        let size = if stdout.is_terminal() { terminal::size(&stdout) } else { None };
        Self { style: Style::new(color), size }
    }

    #[cfg(test)]
    pub(super) const FILE: Self = Self { style: Style::PLAIN, size: None };

    /// A terminal without colours.
    #[cfg(test)]
    pub(super) fn terminal(columns: usize, rows: usize) -> Self {
        Self { style: Style::PLAIN, size: Some(Size { columns, rows }) }
    }
}
