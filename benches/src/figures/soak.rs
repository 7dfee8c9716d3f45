//! Ten thousand restarts, a thousand reloads and a hundred thousand requests: what the daemons keep of it.

use super::memory::pss;
use super::{Figure, Named, Part, Row};
use crate::contestants::{Kind, Setup, Web};
use crate::programs::Programs;
use anyhow::Context;
use std::thread::sleep;
use std::time::Duration;
use tests::traffic::{Plan, Traffic};

/// Of two workers each.
const RESTARTS: usize = 5_000;
const RELOADS: usize = 1_000;
const REQUESTS: usize = 100_000;
/// What was given to do is over by then, and memory given back.
const REST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_micros(500);
const LIMIT: Duration = Duration::from_secs(10);

/// What the daemons have of a thing.
struct Kept {
    memory: f64,
    descriptors: usize,
    threads: usize,
    zombies: usize,
}

pub(super) fn take(programs: &Programs) -> anyhow::Result<Vec<Named>> {
    let web = Web::start(programs, Kind::Arbiter, Setup::default())?;
    let daemons = [web.pid(), web.manager(programs)?];
    let plan = Plan { address: web.address()?, closing: 4, keeping: 4, pause: PAUSE, limit: LIMIT };
    sleep(REST);
    let before = look(&daemons)?;
    let mut lost = Row::new("arbiter", Part::Other);
    let traffic = Traffic::start(plan);
    for _ in 0..RESTARTS {
        web.ctl(programs, &["restart", "workers"])?;
    }
    for _ in 0..RELOADS {
        web.ctl(programs, &["reload"])?;
    }
    while traffic.count() < REQUESTS {
        sleep(PAUSE);
    }
    lost.lose(&traffic.finish());
    sleep(REST);
    let after = look(&daemons)?;
    let row = |name: &str, part, kept: &Kept| {
        let mut row = Row::single(name, part, kept.memory);
        row.counts.insert("descriptors", kept.descriptors);
        row.counts.insert("threads", kept.threads);
        row.counts.insert("zombies", kept.zombies);
        row
    };
    let rows = vec![row("before", Part::Limit, &before), row("after", Part::Other, &after)];
    Ok(vec![
        (
            "soak",
            Figure {
                title: "memory (PSS) of both daemons over 10,000 restarts, 1,000 reloads",
                unit: "KiB",
                rows,
            },
        ),
        ("soak-lost", Figure { title: "requests lost meanwhile", unit: "requests", rows: vec![lost] }),
    ])
}

fn look(daemons: &[i32]) -> anyhow::Result<Kept> {
    let mut kept = Kept { memory: 0.0, descriptors: 0, threads: 0, zombies: 0 };
    for &pid in daemons {
        let stat = sys::procfs::stat(pid).context("a daemon has gone")?;
        kept.memory += pss(pid)?;
        kept.threads += usize::try_from(stat.threads)?;
        kept.descriptors += sys::procfs::descriptor_count(pid).context("not to be counted")?;
        let children = sys::procfs::children_of(pid).into_iter();
        kept.zombies +=
            children.filter(|child| sys::procfs::stat(*child).is_some_and(|it| it.state == 'Z')).count();
    }
    Ok(kept)
}
