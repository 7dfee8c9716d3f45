//! A flood of lines, captured: how much a second, until the last byte is in a file.

use super::{Figure, Part, Row};
use crate::process::Process;
use crate::programs::Programs;
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

const LINES: usize = 1_000_000;
const BYTES: u64 = LINES as u64 * 100;
const ROUNDS: usize = 3;
/// Until the writer waits.
const SETTLE: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(60);

/// Who keeps the lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// The process writes to the file itself.
    Nobody,
    Arbiter,
    S6,
    Supervisord,
}

const KEEPERS: [(Keeper, &str, Part); 4] = [
    (Keeper::Nobody, "the file is its own", Part::Limit),
    (Keeper::Arbiter, "arbiter", Part::Other),
    (Keeper::S6, "s6-log", Part::Other),
    (Keeper::Supervisord, "supervisord", Part::Peer),
];

/// Each line written alone.
pub(super) fn one_by_one(programs: &Programs) -> anyhow::Result<Figure> {
    take(programs, "captured lines of 100 bytes, written one by one", 1)
}

/// Forty lines in each write.
pub(super) fn together(programs: &Programs) -> anyhow::Result<Figure> {
    take(programs, "captured lines of 100 bytes, 40 in a write", 40)
}

fn take(programs: &Programs, title: &'static str, together: usize) -> anyhow::Result<Figure> {
    let mut rows = KEEPERS.map(|(_, name, part)| Row::new(name, part)).to_vec();
    for _ in 0..ROUNDS {
        for (row, (keeper, ..)) in rows.iter_mut().zip(KEEPERS) {
            if keeper != Keeper::S6 || programs.s6.is_some() {
                row.values.push(flood(programs, keeper, together).with_context(|| row.contestant.clone())?);
            }
        }
    }
    Ok(Figure { title, unit: "MB/s", rows })
}

fn flood(programs: &Programs, keeper: Keeper, together: usize) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let (go, kept) = (directory.path().join("go"), directory.path().join("kept"));
    std::fs::create_dir(&kept)?;
    let writer = format!("{} {} {LINES} {together}", programs.line_writer.display(), go.display());
    let argv = prepare(programs, keeper, &writer, directory.path())?;
    let argv: Vec<_> = argv.iter().map(OsString::as_os_str).collect();
    let environment = [("RUNTIME_DIRECTORY", directory.path().as_os_str())];
    let _process = Process::start(directory.path(), &argv, &environment)?;
    std::thread::sleep(SETTLE);
    std::fs::write(&go, "")?;
    let begun = Instant::now();
    loop {
        let size = size(&kept)?;
        if size == BYTES {
            break;
        }
        if size > BYTES || begun.elapsed() > PATIENCE {
            bail!("{size} bytes are kept, {BYTES} were written");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(super::count(LINES) * 100.0 / 1e6 / begun.elapsed().as_secs_f64())
}

/// All that is in a directory.
fn size(directory: &Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(directory)? {
        // A file may be on its way to another name.
        size += entry?.metadata().map_or(0, |data| if data.is_file() { data.len() } else { 0 });
    }
    Ok(size)
}

/// Writes what the keeper reads; its words.
fn prepare(
    programs: &Programs,
    keeper: Keeper,
    writer: &str,
    directory: &Path,
) -> anyhow::Result<Vec<OsString>> {
    let shell = |script: String| vec!["/bin/sh".into(), "-c".into(), script.into()];
    match keeper {
        Keeper::Nobody => Ok(shell(format!("exec {writer} >> kept/log"))),
        Keeper::S6 => {
            let s6 = programs.s6.as_ref().context("s6 is not installed")?;
            Ok(shell(format!("{writer} | exec {} n100 s99999999 ./kept", s6.join("s6-log").display())))
        }
        Keeper::Arbiter => {
            let text = format!(
                "name = \"bench\"\n[control]\nsocket = \"\"\n[companion.talk]\ncommand = \"{writer}\"\n\
                 [companion.talk.log]\nfile = \"kept/log\"\nmax_size = \"1GiB\"\n"
            );
            std::fs::write(directory.join("arbiter.toml"), text)?;
            Ok(vec![programs.arbiter.clone().into(), "-c".into(), "arbiter.toml".into()])
        }
        Keeper::Supervisord => {
            let text = format!(
                "[supervisord]\nnodaemon=true\nlogfile=supervisord.log\npidfile=supervisord.pid\n\
                 [program:talk]\ncommand={writer}\nstdout_logfile=kept/log\nstdout_logfile_maxbytes=0\n"
            );
            std::fs::write(directory.join("supervisord.conf"), text)?;
            Ok(vec![programs.supervisord.clone().into(), "-c".into(), "supervisord.conf".into()])
        }
    }
}
