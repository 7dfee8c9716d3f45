//! Requests lost while arbiter replaces its own program again and again under load, and how long each time nothing
//! is handled.

use super::{Figure, Named, Part, Row};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use anyhow::Context;
use std::time::Duration;
use tests::traffic::{Plan, Traffic};

const TIMES: usize = 100;
const PAUSE: Duration = Duration::from_millis(4);
const LIMIT: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_millis(20);

pub(super) fn take(programs: &Programs) -> anyhow::Result<Vec<Named>> {
    let mut lost = Row::new("arbiter, 16 connections", Part::Other);
    let mut gap = Row::new("arbiter", Part::Other);
    let mut worst = Row::new("the longest of these", Part::Other);
    let web = Web::start(programs, Kind::Arbiter, Setup::default())?;
    let plan = Plan { address: web.address()?, closing: 8, keeping: 8, pause: PAUSE, limit: LIMIT };
    let traffic = Traffic::start(plan);
    for _ in 0..TIMES {
        web.replace(programs)?;
        std::thread::sleep(BETWEEN);
    }
    lost.lose(&traffic.finish());
    gap.values = web.gaps().context("the log tells of no gap")?;
    worst.values.extend(gap.values.iter().copied().reduce(f64::max));
    let replaced = "requests lost over 100 upgrades in place under load";
    let nothing = "how long arbiter handles nothing in an upgrade";
    Ok(vec![
        ("replaced", Figure { title: replaced, unit: "requests", rows: vec![lost] }),
        ("replaced-gap", Figure { title: nothing, unit: "ms", rows: vec![gap, worst] }),
    ])
}
