//! Standard output and standard error.

use crate::client::Audience;
use crate::exit_code;
use crate::interrupt::Errors;
use crate::json;
use crate::problem::Problem;
use crate::show;
use proto::control::{Chunk, Progress};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use sys::terminal;

/// How much of a progress line is shown where the terminal does not know its size.
const PROGRESS_WIDTH: usize = 79;
/// Where standard error is no terminal, progress is told from then on: whoever reads a log wants to know of what
/// takes long, and of nothing else.
const LONG: Duration = Duration::from_secs(5);

/// Where everything is written to.
#[derive(Debug)]
pub(crate) struct Output {
    /// Whether answers are JSON.
    json: bool,
    /// Whether standard error is a terminal.
    on_terminal: bool,
    errors: Errors,
    /// What was told last where standard error is no terminal.
    told: String,
}

impl Output {
    /// For answers as JSON or text.
    pub(crate) fn new(json: bool) -> Self {
        let on_terminal = io::stderr().is_terminal();
        Self { json, on_terminal, errors: Errors::default(), told: String::new() }
    }

    /// From now on Ctrl-C says that `request` goes on.
    pub(crate) fn heed_interrupts(&self, request: &'static str) {
        self.errors.heed_interrupts(request);
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
        if problem.message.is_empty() {
            self.clear_progress();
        } else {
            self.errors.line(&problem.line());
        }
    }

    /// Takes the progress line away.
    pub(crate) fn clear_progress(&mut self) {
        self.errors.clear();
    }
}

impl Audience for Output {
    fn sent(&mut self) {
        self.errors.goes_on();
    }

    fn progress(&mut self, progress: &Progress) {
        if self.on_terminal {
            let size = terminal::size(io::stderr());
            let width = size.map_or(PROGRESS_WIDTH, |size| size.columns.saturating_sub(1));
            self.errors.row(&show::progress(progress), width);
        } else if !self.json && progress.since >= LONG && progress.message != self.told {
            self.told.clone_from(&progress.message);
            self.errors.line(&format!("arbiterctl: waiting: {}", show::progress(progress)));
        }
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<(), Problem> {
        match chunk {
            // Output is passed on as it was written, for programs too.
            Chunk::Bytes(bytes) | Chunk::Log { bytes, .. } => self.answer(bytes),
            Chunk::Event(event) if self.json => self.answer(json::event(event).as_bytes()),
            Chunk::Event(event) => self.answer(show::event(event).as_bytes()),
            Chunk::At(_) => Ok(()),
            Chunk::Lost(bytes) => {
                let message = format!("{bytes} bytes are missing here: they came faster than they were read");
                self.complain(&Problem::new(exit_code::DONE, message));
                Ok(())
            }
        }
    }
}
