//! A manager that is killed: how long until the next one answers for all that it took over.

use super::{Figure, Part, Row};
use crate::contestants::Arbiter;
use crate::programs::Programs;
use anyhow::{Context, bail};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const COMPANIONS: usize = 100;
/// Each starts two managers at once; further ones would have to wait.
const ARBITERS: usize = 50;
const KILLS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let mut row = Row::new("arbiter, 100 companions", Part::Other);
    let mut worst = Row::new("the slowest of these", Part::Other);
    row.counts.insert("connections refused", 0);
    for _ in 0..ARBITERS {
        let arbiter = Arbiter::start(programs, 1, COMPANIONS, None)?;
        for _ in 0..KILLS {
            let took = kill(&arbiter, &mut row)?;
            row.values.push(took.as_secs_f64() * 1e3);
        }
    }
    worst.values.extend(row.values.iter().copied().reduce(f64::max));
    let title = "manager killed, to a status with all companions as before";
    Ok(Figure { title, unit: "ms", rows: vec![row, worst] })
}

/// How long it takes, one run of arbiterctl included.
fn kill(arbiter: &Arbiter<'_>, row: &mut Row) -> anyhow::Result<Duration> {
    let (manager, before) = arbiter.companions()?;
    let killed = Instant::now();
    sys::process::send_signal(manager, SIGKILL)?;
    loop {
        *row.counts.entry("connections").or_default() += 1;
        if UnixStream::connect(arbiter.socket()).is_err() {
            *row.counts.entry("connections refused").or_default() += 1;
        }
        // One that is cut off asks again by itself.
        let (next, now) = arbiter.companions().context("no status after a manager was killed")?;
        if next != manager && now == before {
            return Ok(killed.elapsed());
        }
        if killed.elapsed() > PATIENCE {
            bail!("of {} companions {} are there again", before.len(), now.len());
        }
    }
}
