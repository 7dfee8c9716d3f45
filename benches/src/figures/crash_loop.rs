//! How often a worker is started again that always ends before it serves.

use super::{Figure, Part, Row, count};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use std::thread::sleep;
use std::time::Duration;

/// arbiter's waits double from 0.1 s up to 10 s: by then they have.
const UNTIL_AT_REST: Duration = Duration::from_secs(16);
/// A few of the longest waits.
const WINDOW: Duration = Duration::from_secs(30);

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let setup = Setup { workers: 1, crashing: true, ..Setup::default() };
    let arbiter = Web::start(programs, Kind::Arbiter, setup)?;
    let gunicorn = Web::start(programs, Kind::Gunicorn, setup)?;
    let contestants = [("arbiter", Part::Other, &arbiter), ("gunicorn", Part::Peer, &gunicorn)];
    sleep(UNTIL_AT_REST);
    let before = contestants.map(|(_, _, web)| web.starts());
    sleep(WINDOW);
    let rows = contestants.into_iter().zip(before).map(|((name, part, web), before)| {
        let starts = count(web.starts().saturating_sub(before));
        Row::single(name, part, starts / WINDOW.as_secs_f64())
    });
    let rows = rows.collect();
    Ok(Figure { title: "starts of one worker that always fails, at rest", unit: "per second", rows })
}
