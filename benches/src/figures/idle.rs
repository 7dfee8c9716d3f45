//! How often supervisors of idle processes wake up: voluntary context switches of all their threads.

use super::{Figure, Part, Row};
use crate::contestants::{Arbiter, Bare, Gunicorn};
use crate::programs::Programs;
use anyhow::Context;
use std::thread::sleep;
use std::time::Duration;

/// What a start still has to do is over by then.
const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(10);

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let bare = Bare::start(programs, "vfork", None)?;
    let gunicorn = Gunicorn::start(programs, 4, None)?;
    let arbiter = Arbiter::start(programs, 4, 4, None)?;
    let watched = [
        ("bare-vfork", Part::Limit, bare.pid()),
        ("arbiter", Part::Other, arbiter.pid()),
        ("companion-manager", Part::Other, arbiter.manager()?),
        ("gunicorn master", Part::Peer, gunicorn.pid()),
    ];
    sleep(SETTLE);
    let before = watched.map(|(_, _, pid)| switches(pid));
    sleep(WATCH);
    let mut rows = Vec::new();
    for ((contestant, part, pid), before) in watched.into_iter().zip(before) {
        let count = switches(pid)?.saturating_sub(before?);
        rows.push(Row::single(contestant, part, f64::from(count)));
    }
    Ok(Figure { title: "wake-ups in 10 idle seconds", unit: "switches", rows })
}

/// Of all threads together since they began.
pub(super) fn switches(pid: i32) -> anyhow::Result<u32> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("status"))?;
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count.context("the kernel does not count context switches")?.trim().parse::<u32>()?;
    }
    Ok(sum)
}
