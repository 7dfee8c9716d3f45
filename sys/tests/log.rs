//! The log as a daemon uses it: one process, one log, changed in place.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use sys::log::{Format, LogConfig, LogTarget};
use tracing::Level;

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn events_become_lines_of_the_format_and_level_in_force() {
    let path = std::env::temp_dir().join(format!("sys-events-{}", std::process::id()));
    let open = |format, level| {
        std::fs::write(&path, "").unwrap();
        sys::log::init(LogConfig { level, format, target: LogTarget::File(path.clone()) }).unwrap();
    };
    let pid = std::process::id();

    open(Format::Text, Level::INFO);
    tracing::info!(
        worker = 3,
        pid = 4,
        count = 3,
        state = "two words",
        name = "plain",
        empty = "",
        "started \u{1b}[31m\nnow"
    );
    tracing::debug!("not seen");
    sys::log::set_level(Level::DEBUG);
    tracing::debug!("seen");
    let found = lines(&path);
    assert_eq!(found.len(), 2);
    let (time, rest) = found[0].split_at(24);
    assert!(time.starts_with("20") && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    let message = "started \\u{1b}[31m\\nnow count=3 state=\"two words\" name=plain empty=\"\"";
    assert_eq!(rest, format!(" INFO  [{pid}] {message}"));
    assert!(found[1].ends_with(&format!(" DEBUG [{pid}] seen")));

    open(Format::Journal, Level::WARN);
    tracing::error!(error = %std::io::Error::other("no \"luck\""), "failed");
    tracing::warn!(ok = false, "careful");
    tracing::info!("not seen");
    assert_eq!(lines(&path), ["<3>failed error=\"no \\\"luck\\\"\"", "<4>careful ok=false"]);

    open(Format::Json, Level::TRACE);
    tracing::trace!(pid = 12, time = "noon", ratio = 0.5, path = ?Path::new("a\tb"), "quoted \"text\"");
    let found = lines(&path);
    let (start, rest) = found[0].split_once("Z\",").unwrap();
    assert!(start.starts_with("{\"time\":\"20"), "{start}");
    let expected = "\"level\":\"trace\",\"message\":\"quoted \\\"text\\\"\",\"pid\":12,\"field.time\":\"noon\",\
                    \"ratio\":0.5,\"path\":\"\\\"a\\\\tb\\\"\"}";
    assert_eq!(rest, expected);
    assert_eq!(sys::log::dropped(), 0);
    sys::log::reopen().unwrap();
    std::fs::remove_file(&path).unwrap();
}
