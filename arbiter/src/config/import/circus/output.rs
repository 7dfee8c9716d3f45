//! Where a watcher's output goes.

use super::expand::{Expansion, When};
use crate::config::import::plan::{Log, Output, Target};
use crate::config::import::reading::Reading;

/// A stream as it is configured.
enum Stream {
    Own,
    None,
    File { path: String, max_size: u64, keep: u32, timestamps: bool },
}

/// Reads all that is about output.
pub(super) fn read(reading: &mut Reading<'_>, expansion: &Expansion<'_>) -> Output {
    let stdout = stream(reading, "stdout", expansion);
    let stderr = stream(reading, "stderr", expansion);
    let mut log = None;
    let stdout_path = path(&stdout);
    let is_one = stdout_path.is_some() && stdout_path == path(&stderr);
    let stdout = target(stdout, &mut log, reading);
    let stderr = (!is_one).then(|| target(stderr, &mut log, reading));
    Output { stdout, stderr, log }
}

fn path(stream: &Stream) -> Option<String> {
    match stream {
        Stream::File { path, .. } => Some(path.clone()),
        Stream::Own | Stream::None => None,
    }
}

fn target(stream: Stream, log: &mut Option<Log>, reading: &mut Reading<'_>) -> Target {
    match stream {
        Stream::Own => Target::Inherit,
        Stream::None => Target::Null,
        Stream::File { path, max_size: 0, timestamps: false, .. } => Target::File(path),
        Stream::File { path, max_size, keep, timestamps } if log.is_none() => {
            *log = Some(Log { file: path, max_size, keep, timestamps });
            Target::Capture
        }
        Stream::File { path, .. } => {
            reading.notes.push(format!(
                "{path} is written as it comes, and not rotated: only one file of a companion is; logrotate can do it"
            ));
            Target::File(path)
        }
    }
}

fn stream(reading: &mut Reading<'_>, stream: &str, expansion: &Expansion<'_>) -> Stream {
    let key = |name: &str| format!("{stream}_stream.{name}");
    let class = reading.take(&key("class")).unwrap_or_default();
    let mut notes = Vec::new();
    let path = reading.take(&key("filename"));
    let path = path.map(|path| expansion.expand(path, When::Start, &mut notes).trim().to_owned());
    reading.notes.append(&mut notes);
    let max_size = reading.number(&key("max_bytes"), 0..=1 << 50, str::to_owned).unwrap_or(0);
    let keep = reading.number(&key("backup_count"), 0..=10_000, str::to_owned).unwrap_or(0);
    let time = reading.take(&key("time_format"));
    reading.pass_over(&[&key("refresh_time"), &key("color")]);
    if let Some(format) = time {
        let key = key("time_format");
        reading.notes.push(format!("{key} = {format}: timestamps have one form here, that of RFC 3339"));
    }
    let prefix = key("");
    let others = reading.rest().filter(|entry| entry.key.starts_with(&prefix));
    let others: Vec<String> = others.map(|entry| entry.key.clone()).collect();
    for key in others {
        reading.without(&key, "the log of a companion is rotated by its size alone");
    }
    if reading.boolean(&format!("close_child_{stream}")).unwrap_or(false) {
        return Stream::None;
    }
    let file = path.map(|path| Stream::File {
        path: if path.contains('/') { path } else { format!("./{path}") },
        max_size: u64::try_from(max_size).unwrap_or(0),
        keep: u32::try_from(keep).unwrap_or(0),
        timestamps: time.is_some(),
    });
    of_class(reading, (&key("class"), class), file)
}

/// What a class of circus does with a stream. Nobody's own classes are here.
fn of_class(reading: &mut Reading<'_>, (key, class): (&str, &str), file: Option<Stream>) -> Stream {
    let (otherwise, why) = match (class.rsplit('.').next().unwrap_or_default(), file) {
        ("" | "StdoutStream", _) => return Stream::Own,
        ("FileStream" | "TimedRotatingFileStream", Some(file)) => return file,
        ("WatchedFileStream", Some(Stream::File { path, .. })) => (
            Stream::File { path, max_size: 0, keep: 0, timestamps: false },
            "the program opens the file itself at its start; rotate it with copytruncate, or use `log`",
        ),
        ("FancyStdoutStream", _) => (Stream::Own, "output is inherited, without colours and times"),
        _ => (
            Stream::Own,
            "there are no classes for output; it is inherited; `log` keeps it, and arbiterctl logs -f follows it",
        ),
    };
    reading.notes.push(format!("{key} = {class}: {why}"));
    otherwise
}
