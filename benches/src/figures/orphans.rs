//! Workers that live on when their master was killed.

use super::{Figure, Part, Row, count};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use anyhow::bail;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const WORKERS: usize = 4;
const ROUNDS: usize = 5;
const LATER: Duration = Duration::from_millis(500);
/// How long the last ones are waited for, to tell when they went.
const PATIENCE: Duration = Duration::from_secs(20);
const SIGKILL: i32 = 9;

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let contestants = [("arbiter", Part::Other, Kind::Arbiter), ("gunicorn", Part::Peer, Kind::Gunicorn)];
    let mut rows: Vec<Row> = contestants.iter().map(|(name, part, _)| Row::new(name, *part)).collect();
    for number in 0..ROUNDS {
        for (row, (_, _, kind)) in rows.iter_mut().zip(contestants) {
            round(programs, row, kind, number == 0)?;
        }
    }
    Ok(Figure { title: "of 4 workers, left 0.5 s after the master's SIGKILL", unit: "workers", rows })
}

fn round(programs: &Programs, row: &mut Row, kind: Kind, to_the_end: bool) -> anyhow::Result<()> {
    let web = Web::start(programs, kind, Setup { workers: WORKERS, ..Setup::default() })?;
    let workers = web.workers();
    let pidfds: Vec<OwnedFd> = workers.iter().map(|pid| sys::pidfd::open(*pid)).collect::<Result<_, _>>()?;
    if pidfds.len() != WORKERS {
        bail!("{} workers where {WORKERS} were asked for", pidfds.len());
    }
    let killed = Instant::now();
    web.signal(SIGKILL)?;
    std::thread::sleep(LATER);
    row.values.push(count(left(&pidfds)?));
    let patience = if to_the_end { PATIENCE } else { LATER };
    while left(&pidfds)? > 0 && killed.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    if to_the_end {
        let took = usize::try_from(killed.elapsed().saturating_sub(LATER).as_millis())?;
        row.counts.insert("ms until the last was gone, after 500", took);
    }
    for pidfd in &pidfds {
        if !sys::pidfd::has_ended(pidfd)? {
            sys::pidfd::send_signal(pidfd, SIGKILL)?;
        }
    }
    Ok(())
}

fn left(pidfds: &[OwnedFd]) -> anyhow::Result<usize> {
    let mut left = 0;
    for pidfd in pidfds {
        left += usize::from(!sys::pidfd::has_ended(pidfd)?);
    }
    Ok(left)
}
