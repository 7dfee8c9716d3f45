//! Standard output and standard error.

use crate::client::Audience;
use crate::exit_code;
use crate::json;
use crate::problem::Problem;
use crate::show;
use proto::control::{Chunk, Progress};
use std::io::{self, IsTerminal, Write};

/// How much of a progress line is shown: it is written over and over in one row, and must not wrap.
const PROGRESS_WIDTH: usize = 79;
/// Back to the row's start, and the rest of the row cleared (ECMA-48: CR, EL).
const CLEAR_ROW: &str = "\r\x1b[K";

/// Where everything is written to.
#[derive(Debug)]
pub(crate) struct Output {
    /// Whether answers are JSON.
    json: bool,
    /// Whether progress is shown: where standard error is a terminal.
    shows_progress: bool,
    /// Whether a progress line stands in the current row.
    row_in_use: bool,
}

impl Output {
    /// For answers as JSON or text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, shows_progress: io::stderr().is_terminal(), row_in_use: false }
    }

    /// Writes an answer to standard output, at once.
    ///
    /// # Errors
    ///
    /// When it cannot be written; a reader that has gone is a problem without words.
    pub(crate) fn answer(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.clear_progress();
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Problem::reader_gone(),
            _ => Problem::new(
                exit_code::FAILED,
                format!("cannot write the answer: {error}; mend standard output"),
            ),
        })
    }

    /// Writes a problem's line to standard error.
    pub(crate) fn complain(&mut self, problem: &Problem) {
        self.clear_progress();
        if !problem.message.is_empty() {
            // There is nobody left to tell that standard error cannot be written.
            let _ = writeln!(io::stderr(), "{}", problem.line());
        }
    }

    /// Takes the progress line away.
    pub(crate) fn clear_progress(&mut self) {
        if self.row_in_use {
            self.row_in_use = false;
            let _ = write!(io::stderr(), "{CLEAR_ROW}");
        }
    }
}

impl Audience for Output {
    fn progress(&mut self, progress: &Progress) {
        if self.shows_progress {
            let line: String = show::progress(progress).chars().take(PROGRESS_WIDTH).collect();
            self.row_in_use = true;
            let _ = write!(io::stderr(), "{CLEAR_ROW}{line}");
        }
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<(), Problem> {
        match chunk {
            // Output is passed on as it was written, for programs too.
            Chunk::Bytes(bytes) => self.answer(bytes),
            Chunk::Event(event) if self.json => self.answer(json::event(event).as_bytes()),
            Chunk::Event(event) => self.answer(show::event(event).as_bytes()),
            Chunk::Lost(bytes) => {
                let message = format!(
                    "{bytes} bytes of output were dropped here; a log file with enough room keeps all"
                );
                self.complain(&Problem::new(exit_code::DONE, message));
                Ok(())
            }
        }
    }
}
