//! `--watch`: an answer that stays up to date on the screen.
//!
//! One thread draws and never waits for anything but its inputs, so that a key is obeyed whatever arbiter does. The
//! others wait in its place: for the answer, for events, for signals and keys.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `inputs` | what may happen, and the threads that wait for it |
//! | `pace` | when to ask again |
//! | `screen` | the terminal while it is taken |

mod inputs;
mod pace;
mod screen;

use crate::client::Client;
use crate::exit_code;
use crate::problem::Problem;
use crate::show::{self, Order, View};
use inputs::{Input, Inputs};
use pace::Pace;
use proto::control::{Answer, Verb};
use screen::Screen;
use std::time::{Duration, Instant};
use sys::terminal::Size;

/// Between two drawings of what only grows older.
const TICK: Duration = Duration::from_secs(1);
/// After this long without an answer the screen says so.
const SILENCE: Duration = Duration::from_secs(2);

/// What is on the screen, and how it gets there.
struct Watch {
    view: View,
    size: Size,
    order: Order,
    /// Whether everything was asked for.
    everything: bool,
    pace: Pace,
    /// Whether an answer is to come.
    asked: bool,
    /// Since when every question has gone without an answer.
    silent_since: Option<Instant>,
    /// The newest answer, and when it came.
    answer: Option<(Answer, Instant)>,
    /// From the first answer on: an error before that belongs below the command line.
    screen: Option<Screen>,
}

/// Shows the answer to `verb` on a terminal until a key or a signal ends it.
///
/// # Errors
/// The question fails, or the terminal cannot be used.
pub(crate) fn watch(client: &Client, verb: &Verb, view: View, size: Size) -> Result<(), Problem> {
    let pace = Pace::new(matches!(verb, Verb::Status(_)));
    let inputs = Inputs::start(client, verb, pace.heeds_events()).map_err(|error| no_terminal(&error))?;
    let mut watch = Watch {
        view,
        size,
        order: Order::default(),
        everything: matches!(verb, Verb::Status(names) if names.is_empty()),
        pace,
        asked: false,
        silent_since: None,
        answer: None,
        screen: None,
    };
    loop {
        let now = Instant::now();
        if !watch.asked && watch.pace.is_due(now) {
            watch.asked = true;
            watch.silent_since.get_or_insert(now);
            inputs.ask();
        }
        watch.draw(now).map_err(|error| no_terminal(&error))?;
        match inputs.next(watch.patience(now)) {
            None => {}
            Some(Input::Answer(Ok(answer))) => watch.take(*answer),
            // Whoever watches sees that nothing comes, and decides how long to wait.
            Some(Input::Answer(Err(problem))) if problem.code == exit_code::TIMED_OUT => watch.asked = false,
            Some(Input::Answer(Err(problem))) => return Err(problem),
            Some(Input::Event) => watch.pace.event(Instant::now()),
            Some(Input::Key(b'q') | Input::Interrupted) => return Ok(()),
            Some(Input::Key(key)) => watch.order = Order::of_key(key).unwrap_or(watch.order),
            Some(Input::Resized) => watch.resize(),
            Some(Input::Suspended(signal)) => {
                watch
                    .leave_meanwhile(|| sys::terminal::yield_to(signal))
                    .map_err(|error| no_terminal(&error))?;
            }
            Some(Input::Ended(signal)) => {
                drop(watch.screen.take());
                sys::terminal::yield_to(signal).map_err(|error| no_terminal(&error))?;
            }
        }
    }
}

impl Watch {
    fn take(&mut self, answer: Answer) {
        let now = Instant::now();
        self.asked = false;
        self.silent_since = None;
        self.pace.answered(show::is_restless(&answer), now);
        self.answer = Some((answer, now));
    }

    /// How long nothing needs to be done.
    fn patience(&self, now: Instant) -> Duration {
        if self.asked { TICK } else { TICK.min(self.pace.due_in(now)) }
    }

    fn draw(&mut self, now: Instant) -> std::io::Result<()> {
        let Some((answer, at)) = &self.answer else { return Ok(()) };
        let age = now.duration_since(*at);
        let mut rows = show::screen(answer, self.everything, age, self.order, self.size, self.view.style);
        let silent = self.silent_since.map(|since| now.duration_since(since)).filter(|it| *it > SILENCE);
        if let Some((first, silent)) = rows.first_mut().zip(silent) {
            let text = format!("arbiter has not answered for {} s; q to quit", silent.as_secs());
            *first = show::cut(&text, self.size.columns);
        }
        if self.screen.is_none() {
            self.screen = Some(Screen::take()?);
        }
        self.screen.as_mut().map_or(Ok(()), |screen| screen.show(rows))
    }

    fn resize(&mut self) {
        self.size = sys::terminal::size(std::io::stdout()).unwrap_or(self.size);
        if let Some(screen) = &mut self.screen {
            screen.forget();
        }
    }

    /// The terminal is given back while `else_where` runs.
    fn leave_meanwhile(&mut self, else_where: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        drop(self.screen.take());
        else_where()?;
        self.resize();
        Ok(())
    }
}

fn no_terminal(error: &std::io::Error) -> Problem {
    let message = format!("cannot watch on this terminal: {error}; ask without --watch");
    Problem::new(exit_code::FAILED, message)
}
