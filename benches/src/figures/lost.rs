//! Requests lost while a server is reloaded, or upgraded by USR2, again and again under load.

use super::{Figure, Part, Row};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use std::time::Duration;
use tests::traffic::{Plan, Traffic};

/// How long the bare server is asked, to which nothing happens.
const UNTOUCHED: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(4);
const LIMIT: Duration = Duration::from_secs(10);
/// Before, between and after what is done.
const BETWEEN: Duration = Duration::from_millis(100);

const CONTESTANTS: [(&str, Part, Kind); 3] = [
    ("bare, untouched", Part::Limit, Kind::Bare),
    ("arbiter", Part::Other, Kind::Arbiter),
    ("gunicorn", Part::Peer, Kind::GunicornThreads),
];

/// Clients by their name, how many close, and how many keep their connection.
const CLIENTS: [(&str, usize, usize); 4] = [
    ("2 connections, closing", 2, 0),
    ("2 connections, kept", 0, 2),
    ("64 connections, closing", 64, 0),
    ("64 connections, kept", 0, 64),
];

/// Over 20 reloads.
pub(super) fn over_reloads(programs: &Programs) -> anyhow::Result<Figure> {
    take(programs, "requests lost over 20 reloads under load", 20, Web::reload)
}

/// Over 3 upgrades.
pub(super) fn over_upgrades(programs: &Programs) -> anyhow::Result<Figure> {
    take(programs, "requests lost over 3 USR2 upgrades under load", 3, Web::upgrade)
}

fn take(
    programs: &Programs,
    title: &'static str,
    times: usize,
    deed: fn(&mut Web) -> anyhow::Result<()>,
) -> anyhow::Result<Figure> {
    let mut rows = Vec::new();
    for (manner, closing, keeping) in CLIENTS {
        for (name, part, kind) in CONTESTANTS {
            let mut row = Row::new(&format!("{name}, {manner}"), part);
            let mut web = Web::start(programs, kind, Setup::default())?;
            let plan = Plan { address: web.address()?, closing, keeping, pause: PAUSE, limit: LIMIT };
            let traffic = Traffic::start(plan);
            std::thread::sleep(BETWEEN);
            if kind == Kind::Bare {
                std::thread::sleep(UNTOUCHED);
            } else {
                for _ in 0..times {
                    deed(&mut web)?;
                    std::thread::sleep(BETWEEN);
                }
            }
            row.lose(&traffic.finish());
            rows.push(row);
        }
    }
    Ok(Figure { title, unit: "requests", rows })
}
