//! What fakes announce: one line an event, appended to the file that [`VARIABLE`] names.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The variable that names the file.
pub const VARIABLE: &str = "ARBITER_TEST_ANNOUNCEMENTS";

/// What happens to a fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It runs, and is ready for signals.
    Started,
    /// It was asked to stop.
    Asked,
    /// It ends by itself or because it was asked to; not when it is killed.
    Leaves,
    /// Another process of its slot lives.
    Twice,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub what: What,
    /// `ARBITER_NAME`; `-child` is appended for a process that a fake started.
    pub name: String,
    pub slot: u32,
    pub pid: i32,
    pub generation: u64,
}

impl Event {
    fn line(&self) -> String {
        let Self { what, name, slot, pid, generation } = self;
        format!("{what:?} {name} {slot} {pid} {generation}\n")
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let what = match words.next()? {
            "Started" => What::Started,
            "Asked" => What::Asked,
            "Leaves" => What::Leaves,
            "Twice" => What::Twice,
            _ => return None,
        };
        let name = words.next()?.to_owned();
        let slot = words.next()?.parse().ok()?;
        let pid = words.next()?.parse().ok()?;
        let generation = words.next()?.parse().ok()?;
        Some(Self { what, name, slot, pid, generation })
    }
}

/// Appends a line about this process, in one write.
///
/// # Panics
/// The file cannot be written.
pub fn announce(what: What, suffix: &str) {
    let Some(path) = std::env::var_os(VARIABLE) else { return };
    let variable = |name| std::env::var(name).unwrap_or_default();
    let event = Event {
        what,
        name: variable("ARBITER_NAME") + suffix,
        slot: variable("ARBITER_SLOT").parse().unwrap_or(0),
        pid: sys::process::pid(),
        generation: variable("ARBITER_GENERATION").parse().unwrap_or(0),
    };
    let mut file = OpenOptions::new().append(true).open(path).expect("the site has made the file");
    file.write_all(event.line().as_bytes()).expect("the file can be appended to");
}

/// All whole lines so far.
#[must_use]
pub fn read(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter_map(Event::parse).collect()
}
