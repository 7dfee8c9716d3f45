//! Ctrl-C while something is waited for. What was asked for goes on, and who leaves is told so.

use crate::show::cut;
use proto::supervise::signal::SIGINT;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;

/// Back to the row's start, and the rest of the row cleared (ECMA-48: CR, EL).
const CLEAR_ROW: &str = "\r\x1b[K";

/// What is on standard error, shared with the thread that waits for Ctrl-C.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether a progress line stands in the current row.
    row_in_use: bool,
    /// Whether the request may be done from now on, whoever waits.
    goes_on: bool,
}

impl Errors {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line, in place of a progress line.
    pub(crate) fn line(&self, line: &str) {
        let mut state = self.state();
        state.clear();
        // There is nobody left to tell that standard error cannot be written.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Writes a line of `width` columns at most that the next one takes the place of.
    pub(crate) fn row(&self, line: &str, width: usize) {
        let mut state = self.state();
        state.row_in_use = true;
        let _ = write!(io::stderr(), "{CLEAR_ROW}{}", cut(line, width));
    }

    /// Takes the progress line away.
    pub(crate) fn clear(&self) {
        self.state().clear();
    }

    /// The request is on its way.
    pub(crate) fn goes_on(&self) {
        self.state().goes_on = true;
    }

    /// From now on Ctrl-C says that `request` goes on, if it does, and then ends this process as it always does.
    pub(crate) fn heed_interrupts(&self, request: &'static str) {
        // Without a way to wait for it, Ctrl-C just ends this process.
        let Ok((signals, mut reactor)) = waiting_for_interrupts() else { return };
        let errors = self.clone();
        thread::spawn(move || {
            let mut signals = signals;
            while signals.take().is_empty() {
                // A wait that fails is one that never ends: Ctrl-C has to go on working.
                if reactor.wait(None).is_err() {
                    break;
                }
            }
            let mut state = errors.state();
            state.clear();
            if state.goes_on {
                let _ = writeln!(
                    io::stderr(),
                    "arbiterctl: interrupted; `{request}` goes on: look with `arbiterctl status --watch`"
                );
            }
            // Nothing else is written any more: the lock is held to the end.
            let _ = sys::terminal::yield_to(SIGINT);
        });
    }
}

fn waiting_for_interrupts() -> io::Result<(Signals, Reactor)> {
    let reactor = Reactor::new()?;
    let signals = Signals::install(&[SIGINT])?;
    reactor.register(&signals, Token(0), Interest::READ)?;
    Ok((signals, reactor))
}

impl State {
    fn clear(&mut self) {
        if self.row_in_use {
            self.row_in_use = false;
            let _ = write!(io::stderr(), "{CLEAR_ROW}");
        }
    }
}
