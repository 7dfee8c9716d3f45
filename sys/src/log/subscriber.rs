//! The subscriber: level, format, and the one lock around the output.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::line::Line;
use super::output::{LogTarget, Output};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-01-01T00:00:00.000Z INFO  [pid] message key=value`
    Text,
    /// `{"time","level","message"` and then the fields `}`
    Json,
    /// `<6>message key=value`: a journal adds time and process itself.
    Journal,
}

/// What [`init`] is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    pub level: Level,
    pub format: Format,
    pub target: LogTarget,
}

struct State {
    level: AtomicU8,
    writer: Mutex<Writer>,
}

struct Writer {
    format: Format,
    output: Output,
}

static STATE: OnceLock<State> = OnceLock::new();

/// Opens the log and makes it the process's. Called again (after a reload), it changes level, format and target
/// in place.
///
/// # Errors
/// The file cannot be opened; what was in use before stays so.
pub fn init(config: LogConfig) -> io::Result<()> {
    let mut writer = Some(Writer { format: config.format, output: Output::open(config.target)? });
    let level = number(config.level);
    let state = STATE.get_or_init(|| {
        let writer = writer.take().expect("made a line above, and taken here only");
        State { level: AtomicU8::new(level), writer: Mutex::new(writer) }
    });
    if let Some(writer) = writer {
        state.level.store(level, Ordering::Relaxed);
        *lock(state) = writer;
    }
    // Fails when a subscriber is set already: that is ours, or a test's.
    let _ = tracing::subscriber::set_global_default(Daemon);
    Ok(())
}

/// Opens the file anew; nothing to do for standard error.
///
/// # Errors
/// The file cannot be opened; the old one stays in use.
pub fn reopen() -> io::Result<()> {
    STATE.get().map_or(Ok(()), |state| lock(state).output.reopen())
}

/// Changes what is written from now on.
pub fn set_level(level: Level) {
    if let Some(state) = STATE.get() {
        state.level.store(number(level), Ordering::Relaxed);
    }
}

/// How many lines were dropped since the log was opened.
#[must_use]
pub fn dropped() -> u64 {
    STATE.get().map_or(0, |state| lock(state).output.dropped())
}

/// Whether standard error is read by a journal.
#[must_use]
pub fn journal_reads() -> bool {
    is_journal(io::stderr())
}

/// Whether a stream is read by a journal, as its `JOURNAL_STREAM` (device:inode) says.
#[must_use]
pub fn is_journal(stream: impl AsFd) -> bool {
    let Ok(variable) = std::env::var("JOURNAL_STREAM") else { return false };
    let Some((device, inode)) = variable.split_once(':') else { return false };
    crate::fd::identity(stream).is_ok_and(|found| {
        Ok(found.device) == device.parse::<u64>() && Ok(found.inode) == inode.parse::<u64>()
    })
}

/// A panic while a line was made leaves the output as it was: the lock's poison means nothing here.
fn lock(state: &State) -> MutexGuard<'_, Writer> {
    state.writer.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

struct Daemon;

impl Subscriber for Daemon {
    /// Always asked again, so that the level may change at any time.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        STATE.get().is_some_and(|state| {
            metadata.is_event() && number(*metadata.level()) <= state.level.load(Ordering::Relaxed)
        })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(state) = STATE.get() else { return };
        let mut writer = lock(state);
        let format = writer.format;
        let (wall, pid) = (crate::clock::wall(), crate::process::pid());
        let mut line = Line::new(format);
        event.record(&mut line);
        let text = line.finish(*event.metadata().level(), wall, pid);
        writer.output.line(text.as_bytes(), |count| {
            let told = format!("{count} log lines were dropped because nobody read them in time");
            Line::of_message(format, told).finish(Level::WARN, wall, pid)
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
