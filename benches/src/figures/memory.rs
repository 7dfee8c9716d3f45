//! Proportional set sizes of supervisors at rest: four workers, and with arbiter four companions.

use super::{Figure, Part, Row};
use crate::contestants::{Arbiter, Bare, Gunicorn};
use crate::programs::Programs;
use anyhow::Context;
use std::thread::sleep;
use std::time::Duration;

const REST: Duration = Duration::from_secs(5);
const CALLS: usize = 100;

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let bare = Bare::start(programs, "vfork", None)?;
    let gunicorn = Gunicorn::start(programs, 4, None)?;
    let arbiter = Arbiter::start(programs, 4, 4, None)?;
    let manager = arbiter.manager()?;
    let (master, companions) = ("arbiter", "companion-manager");
    let mut rows = Vec::new();
    sleep(REST);
    let (first, second) = (pss(arbiter.pid())?, pss(manager)?);
    rows.push(Row::single("bare-vfork", Part::Limit, pss(bare.pid())?));
    rows.push(Row::single(master, Part::Other, first));
    rows.push(Row::single(companions, Part::Other, second));
    rows.push(Row::single("both", Part::Other, first + second));
    for _ in 0..CALLS {
        arbiter.ctl(&["status"])?;
    }
    sleep(REST);
    let after = pss(arbiter.pid())? + pss(manager)?;
    rows.push(Row::single("both, after 100 status calls", Part::Other, after));
    rows.push(Row::single("gunicorn master", Part::Peer, pss(gunicorn.pid())?));
    Ok(Figure { title: "memory at rest (PSS), 4 workers and 4 companions", unit: "KiB", rows })
}

pub(super) fn pss(pid: i32) -> anyhow::Result<f64> {
    let kib = sys::procfs::pss_kib(pid).with_context(|| format!("the memory of {pid} cannot be read"))?;
    Ok(f64::from(u32::try_from(kib)?))
}
