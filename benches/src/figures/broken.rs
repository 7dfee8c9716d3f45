//! What happens to a healthy server once the code on its disk cannot boot.

use super::{Figure, Part, Row};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use std::time::Duration;
use tests::traffic::{Plan, Traffic};

/// How long clients ask before and after.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const SIGTERM: i32 = 15;

/// What is done.
#[derive(Clone, Copy)]
enum Deed {
    Nothing,
    Reload,
    /// One worker is told to end, in good order: what it has accepted it answers.
    LoseWorker,
}

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let contestants = [
        ("bare, untouched", Part::Limit, Kind::Bare, Deed::Nothing),
        ("arbiter, a reload", Part::Other, Kind::Arbiter, Deed::Reload),
        ("gunicorn, a reload", Part::Other, Kind::Gunicorn, Deed::Reload),
        ("arbiter, a worker ends", Part::Other, Kind::Arbiter, Deed::LoseWorker),
        ("gunicorn, a worker ends", Part::Other, Kind::Gunicorn, Deed::LoseWorker),
    ];
    let mut rows: Vec<Row> = contestants.iter().map(|(name, part, ..)| Row::new(name, *part)).collect();
    for _ in 0..ROUNDS {
        for (row, (_, _, kind, deed)) in rows.iter_mut().zip(contestants) {
            round(programs, row, kind, deed)?;
        }
    }
    Ok(Figure { title: "requests lost in 3 s, broken code on disk", unit: "requests", rows })
}

fn round(programs: &Programs, row: &mut Row, kind: Kind, deed: Deed) -> anyhow::Result<()> {
    let web = Web::start(programs, kind, Setup::default())?;
    let plan = Plan { address: web.address()?, closing: 2, keeping: 2, pause: PAUSE, limit: LIMIT };
    let traffic = Traffic::start(plan);
    std::thread::sleep(BEFORE);
    match deed {
        Deed::Nothing => {}
        Deed::Reload => {
            web.break_code()?;
            web.ask_to_reload()?;
        }
        Deed::LoseWorker => {
            web.break_code()?;
            if let Some(worker) = web.workers().first() {
                sys::process::send_signal(*worker, SIGTERM)?;
            }
        }
    }
    std::thread::sleep(AFTER);
    row.lose(&traffic.finish());
    *row.counts.entry("servers gone").or_default() += usize::from(!web.lives());
    Ok(())
}
