//! The table of `status`: what is made of it in the columns and rows there are.
//!
//! Where it is not written to a terminal, a line is a row, whole. On a terminal nothing is lost either: what does
//! not fit goes on below, indented. Only a screen that is drawn over and over has to cut, and says where.

use super::style::Style;
use super::text::{columns, cut, pad, plain, wrap};
use super::view::View;
use proto::supervise::State;
use std::fmt::Write;
use sys::terminal::Size;

/// The state column's width: the longest state is RELOADING.
const STATE_WIDTH: usize = 10;
/// The least width of the name column, so that short lists look alike.
const NAME_WIDTH: usize = 12;
/// The least width of descriptions; in a narrower terminal they wrap.
const DESCRIPTION_WIDTH: usize = 20;
/// How many of those in a state are named in a summary.
const NAMED: usize = 3;

/// One line.
pub(super) struct Line {
    pub(super) name: String,
    /// The word in the state column.
    pub(super) word: String,
    /// The state it is coloured as.
    pub(super) state: State,
    pub(super) description: String,
}

/// All lines.
#[derive(Default)]
pub(super) struct Table {
    /// arbiter and its manager.
    pub(super) daemons: Vec<Line>,
    /// What they look after.
    pub(super) processes: Vec<Line>,
}

impl Table {
    /// As text. Where a terminal shows only the end of it, that is a summary.
    pub(super) fn text(&self, view: View) -> String {
        let layout = self.layout(view.size.map(|size| size.columns), view.style);
        let mut rows: Vec<String> = self.lines().flat_map(|line| layout.rows(line)).collect();
        if let Some(size) = view.size.filter(|size| rows.len() >= size.rows) {
            rows.extend(wrap(&self.summary(), size.columns));
        }
        rows.iter().fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{row}");
            text
        })
    }

    /// As the rows of a screen: a summary, then all lines if they fit, whole or cut; otherwise first those that
    /// are not RUNNING, and how many are missing.
    pub(super) fn screen(&self, size: Size, style: Style) -> Vec<String> {
        let layout = self.layout(Some(size.columns), style);
        let mut rows = vec![cut(&self.summary(), size.columns)];
        let room = size.rows.saturating_sub(rows.len());
        let whole: Vec<String> = self.lines().flat_map(|line| layout.rows(line)).collect();
        if whole.len() <= room {
            rows.extend(whole);
        } else if self.lines().count() <= room {
            rows.extend(self.lines().map(|line| layout.row(line)));
        } else {
            let quiet = |line: &&Line| line.state == State::Running;
            let loud = self.processes.iter().filter(|line| !quiet(line));
            let urgent = self.daemons.iter().chain(loud).chain(self.processes.iter().filter(quiet));
            let shown = room.saturating_sub(1);
            rows.extend(urgent.take(shown).map(|line| layout.row(line)));
            let missing = format!("… and {} more", self.lines().count() - shown);
            rows.extend((room > 0).then(|| cut(&missing, size.columns)));
        }
        rows
    }

    /// `300 processes: 297 RUNNING, 2 BACKOFF (rq:17, rq:40), 1 FATAL (redis)`.
    fn summary(&self) -> String {
        let mut states: Vec<State> = self.processes.iter().map(|line| line.state).collect();
        states.sort_by_key(|state| state.severity());
        states.dedup();
        let counts: Vec<String> = states
            .into_iter()
            .map(|state| {
                let of_it = || self.processes.iter().filter(|line| line.state == state);
                let count = of_it().count();
                let mut names: Vec<&str> = of_it().take(NAMED).map(|line| line.name.as_str()).collect();
                if count > NAMED {
                    names.push("…");
                }
                match state {
                    State::Running => format!("{count} {state}"),
                    _ => format!("{count} {state} ({})", plain(&names.join(", "))),
                }
            })
            .collect();
        match self.processes.len() {
            0 => "no processes".into(),
            1 => format!("1 process: {}", counts.join(", ")),
            count => format!("{count} processes: {}", counts.join(", ")),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.daemons.iter().chain(&self.processes)
    }

    fn layout(&self, width: Option<usize>, style: Style) -> Layout {
        let names = self.lines().map(|line| columns(&plain(&line.name)) + 2).fold(NAME_WIDTH, usize::max);
        // Descriptions keep half of a terminal: a name that is longer than the rest of it has a row of its own.
        let most = width.map_or(usize::MAX, |width| (width / 2).saturating_sub(STATE_WIDTH).max(NAME_WIDTH));
        Layout { names: names.min(most), width, style }
    }
}

/// The columns.
struct Layout {
    /// How wide names may be, the gap behind them included.
    names: usize,
    /// The terminal's width.
    width: Option<usize>,
    style: Style,
}

impl Layout {
    /// Columns for descriptions.
    fn descriptions(&self) -> usize {
        let taken = self.names + STATE_WIDTH;
        self.width.map_or(usize::MAX, |width| width.saturating_sub(taken).max(DESCRIPTION_WIDTH))
    }

    /// A line, whole.
    fn rows(&self, line: &Line) -> Vec<String> {
        let name = plain(&line.name);
        let description = plain(&line.description);
        let description = match self.width {
            None => vec![description],
            Some(_) => wrap(&description, self.descriptions()),
        };
        let mut rows = Vec::new();
        let beside = if columns(&name) + 2 > self.names {
            rows.push(name);
            ""
        } else {
            &name
        };
        let (first, rest) = description.split_first().expect("there is a row even of nothing");
        rows.push(self.compose(beside, line, first));
        let indent = self.names + STATE_WIDTH;
        rows.extend(rest.iter().map(|row| format!("{:indent$}{row}", "")));
        rows
    }

    /// A line in one row, cut.
    fn row(&self, line: &Line) -> String {
        let name = cut(&plain(&line.name), self.names.saturating_sub(2));
        self.compose(&name, line, &cut(&plain(&line.description), self.descriptions()))
    }

    fn compose(&self, name: &str, line: &Line, description: &str) -> String {
        let word = self.style.state(line.state, &pad(&line.word, STATE_WIDTH));
        let row = format!("{}{word}{description}", pad(name, self.names));
        row.trim_end().to_owned()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
