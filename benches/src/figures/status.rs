//! How long a person waits for `status`: the whole run of the client program.

use super::{Figure, Part, Row};
use crate::contestants::{Arbiter, Gunicorn};
use crate::programs::Programs;
use std::process::Command;

const ROUNDS: usize = 100;
/// The peer's client takes long enough for fewer to do.
const PEER_EVERY: usize = 10;

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let gunicorn = Gunicorn::start(programs, 4, None)?;
    let arbiter = Arbiter::start(programs, 4, 4, None)?;
    let mut nothing = Row::new("a process that does nothing", Part::Limit);
    let mut status = Row::new("arbiterctl status", Part::Other);
    let mut peer = Row::new("gunicornc show workers", Part::Peer);
    for round in 0..ROUNDS {
        nothing.time(|| Ok(Command::new(&programs.stamp_worker).arg("--nothing").output()?))?;
        status.time(|| arbiter.ctl(&["status"]))?;
        if round % PEER_EVERY == 0 {
            peer.time(|| gunicorn.ctl("show workers"))?;
        }
    }
    Ok(Figure { title: "a status call, the whole client", unit: "ms", rows: vec![nothing, status, peer] })
}

impl Row {
    /// One more value: how long this takes.
    pub(super) fn time<T>(&mut self, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<()> {
        let start = std::time::Instant::now();
        run()?;
        self.values.push(start.elapsed().as_secs_f64() * 1000.0);
        Ok(())
    }
}
