//! Where a program's output goes.

use super::expand::{Expansion, When};
use crate::config::import::plan::{Log, Output, Target};
use crate::config::import::reading::Reading;

/// The size above which a file is rotated, where nothing is said.
const MAX_SIZE: u64 = 50 << 20;

/// How many rotated files are kept, where nothing is said.
const KEEP: i64 = 10;

/// A stream as it is configured.
#[derive(PartialEq, Eq)]
enum Stream {
    /// A file that nobody chose.
    Auto,
    None,
    Own,
    File {
        path: String,
        max_size: u64,
        keep: u32,
    },
}

impl Stream {
    /// Whether both go to one place, in whatever size it is kept.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { path, .. }, Self::File { path: other, .. }) => path == other,
            _ => self == other,
        }
    }
}

/// Reads all that is about output.
pub(super) fn read(reading: &mut Reading<'_>, expansion: &Expansion<'_>) -> Output {
    let stdout = stream(reading, "stdout", expansion);
    let stderr = stream(reading, "stderr", expansion);
    let is_one = reading.boolean("redirect_stderr").unwrap_or(false) || stdout.is_same(&stderr);
    let mut output = Output::default();
    match &stdout {
        Stream::Auto => output.stdout = Target::Capture,
        Stream::None => output.stdout = Target::Null,
        Stream::Own => {}
        Stream::File { path, max_size: 0, .. } => output.stdout = Target::File(path.clone()),
        Stream::File { path, max_size, keep } => {
            output.stdout = Target::Capture;
            output.log = Some(log(path, *max_size, *keep));
        }
    }
    if is_one {
        return output;
    }
    output.stderr = match stderr {
        // Together with the other one it is easier to find than in a file that nobody chose.
        Stream::Auto if stdout == Stream::None => Some(Target::Capture),
        Stream::Auto => None,
        Stream::None => Some(Target::Null),
        Stream::Own => Some(Target::Inherit),
        Stream::File { path, max_size, keep } => {
            let is_free = output.log.is_none();
            if max_size == 0 || !is_free {
                if max_size != 0 {
                    reading.notes.push(format!(
                        "stderr_logfile = {path} is not rotated: only one file of a companion is; logrotate can do it"
                    ));
                }
                Some(Target::File(path))
            } else {
                if stdout == Stream::Auto {
                    reading
                        .notes
                        .push(format!("{path} gets standard output too, as nothing is said of that"));
                }
                output.log = Some(log(&path, max_size, keep));
                Some(Target::Capture)
            }
        }
    };
    output
}

fn log(path: &str, max_size: u64, keep: u32) -> Log {
    Log { file: path.to_owned(), max_size, keep, timestamps: false }
}

fn stream(reading: &mut Reading<'_>, stream: &str, expansion: &Expansion<'_>) -> Stream {
    let key = |name: &str| format!("{stream}_{name}");
    let mut notes = Vec::new();
    let written = reading.take(&key("logfile"));
    let path = written.map(|path| expansion.expand(path, When::Start, &mut notes).trim().to_owned());
    reading.notes.append(&mut notes);
    let max_size = reading.take(&key("logfile_maxbytes")).map(|text| (text, bytes(text)));
    if let Some((text, None)) = max_size {
        reading.notes.push(format!("{} = {text}: not a size", key("logfile_maxbytes")));
    }
    let max_size = max_size.and_then(|(_, size)| size).unwrap_or(MAX_SIZE);
    let keep = reading.number(&key("logfile_backups"), 0..=10_000, str::to_owned).unwrap_or(KEEP);
    let keep = u32::try_from(keep).unwrap_or(0);
    for (name, why) in [
        ("capture_maxbytes", "what comes in between marks is part of the output like all else"),
        ("events_enabled", "lines are no events; arbiterctl logs companion NAME -f shows them as they come"),
        ("syslog", "under systemd, output that is inherited goes to the journal"),
    ] {
        reading.without_unless(&key(name), &["0", "false", "no", "off"], why);
    }
    match path.as_deref() {
        None => Stream::Auto,
        Some(word) if word.eq_ignore_ascii_case("auto") => Stream::Auto,
        Some(word) if word.eq_ignore_ascii_case("none") || word.eq_ignore_ascii_case("off") => Stream::None,
        Some("/dev/null") => Stream::None,
        Some("/dev/stdout" | "/dev/stderr" | "/dev/fd/1" | "/dev/fd/2" | "/dev/tty") => Stream::Own,
        Some("/proc/self/fd/1" | "/proc/self/fd/2" | "/proc/1/fd/1" | "/proc/1/fd/2") => Stream::Own,
        Some(word) if word.eq_ignore_ascii_case("syslog") => {
            reading.notes.push(format!(
                "{stream}_logfile = syslog: under systemd, output that is inherited goes to the journal"
            ));
            Stream::Own
        }
        Some(path) => Stream::File { path: home(path), max_size, keep },
    }
}

/// A path that no word of ours can be taken for, with the home directory written out.
fn home(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("{{env.HOME}}/{rest}"),
        None if path.contains('/') => path.to_owned(),
        None => format!("./{path}"),
    }
}

/// Bytes, with a suffix that counts by 1024.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let units = [("kb", 10), ("mb", 20), ("gb", 30)];
    let unit = units.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((&lower, 0));
    let bytes = number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)?;
    // Beyond any disk.
    (bytes < 1 << 60).then_some(bytes)
}
