//! How long clients wait while a server is reloaded whose workers take their time to boot.

use super::{Figure, Part, Row};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use std::time::{Duration, Instant};
use tests::traffic::{Exchange, Plan, Traffic};

const BOOT: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 5;
/// Longer than the boot: a window without a reload is as long as one with a reload at its beginning.
const WINDOW: Duration = Duration::from_millis(2500);
/// Requests that began right before a window are not looked at.
const MARGIN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let setup = Setup { boot: BOOT, ..Setup::default() };
    let contestants = [
        ("bare", Part::Limit, Part::Other, Kind::Bare),
        ("arbiter", Part::Other, Part::Other, Kind::Arbiter),
        ("gunicorn", Part::Other, Part::Peer, Kind::Gunicorn),
    ];
    let mut rows = Vec::new();
    for (name, without, with, kind) in contestants {
        let mut web = Web::start(programs, kind, setup)?;
        let mut calm = Row::new(&format!("{name}, no reload"), without);
        let mut reloaded = Row::new(&format!("{name}, a reload"), with);
        let traffic = Traffic::start(Plan {
            address: web.address()?,
            closing: 2,
            keeping: 2,
            pause: PAUSE,
            limit: LIMIT,
        });
        let mut windows = Vec::new();
        for _ in 0..ROUNDS {
            std::thread::sleep(MARGIN);
            windows.push((false, Instant::now()));
            std::thread::sleep(WINDOW);
            if kind == Kind::Bare {
                continue;
            }
            windows.push((true, Instant::now()));
            web.reload()?;
            std::thread::sleep(WINDOW.saturating_sub(windows[windows.len() - 1].1.elapsed()));
        }
        let exchanges = traffic.finish();
        for (with_reload, begin) in windows {
            let row = if with_reload { &mut reloaded } else { &mut calm };
            row.values.push(highest(&exchanges, begin).as_secs_f64() * 1000.0);
        }
        rows.extend([calm, reloaded].into_iter().filter(|row| !row.values.is_empty()));
    }
    Ok(Figure { title: "the highest latency in 2.5 s, workers boot for 1.5 s", unit: "ms", rows })
}

/// The slowest of the requests that began within the window.
fn highest(exchanges: &[Exchange], begin: Instant) -> Duration {
    let within = exchanges.iter().filter(|one| (begin..begin + WINDOW).contains(&one.begun));
    within.map(|one| one.took).max().unwrap_or_default()
}
