//! From a worker's death by SIGKILL to its replacement's first act.
//!
//! One kill each and a round, so that whatever else the machine does hits all alike.

use super::{Figure, Part, Row};
use crate::contestants::{Arbiter, Bare, Gunicorn, Label};
use crate::programs::Programs;
use crate::stamps::{Stamp, Stamps};
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::Duration;

const ROUNDS: usize = 100;
/// Two kills of one contestant are this far apart: above it arbiter takes the twenty deaths within 10 s for a
/// storm, and waits.
const ROUND: Duration = Duration::from_millis(570);
const SIGKILL: i32 = 9;

/// The workers of one contestant, by slot.
struct Victims {
    row: Row,
    pidfds: Vec<Option<OwnedFd>>,
}

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let directory = tempfile::tempdir()?;
    let stamps = Stamps::bind(directory.path())?;
    let label = |label| Some(Label { stamps: &stamps, label });
    let mut all = Vec::new();
    // Each is ready, and has said so, before the next one starts.
    let _vfork = Bare::start(programs, "vfork", label("bare-vfork"))?;
    all.push(Victims::meet(&stamps, "bare-vfork", Part::Limit, 1)?);
    let _fork = Bare::start(programs, "fork", label("bare-fork"))?;
    all.push(Victims::meet(&stamps, "bare-fork", Part::Other, 1)?);
    let _clone = Bare::start(programs, "clone", label("bare-clone"))?;
    all.push(Victims::meet(&stamps, "bare-clone", Part::Other, 1)?);
    let _one = Arbiter::start(programs, 1, 0, label("arbiter-1"))?;
    all.push(Victims::meet(&stamps, "arbiter-1", Part::Other, 1)?);
    let _four = Arbiter::start(programs, 4, 0, label("arbiter-4"))?;
    all.push(Victims::meet(&stamps, "arbiter-4", Part::Other, 4)?);
    let _gunicorn = Gunicorn::start(programs, 1, label("gunicorn-1"))?;
    all.push(Victims::meet(&stamps, "gunicorn-1", Part::Peer, 1)?);

    let pause = ROUND / u32::try_from(all.len())?;
    for round in 0..ROUNDS {
        for victims in &mut all {
            sleep(pause);
            victims.kill_one(&stamps, round)?;
        }
    }
    let rows = all.into_iter().map(|victims| victims.row).collect();
    Ok(Figure { title: "a worker's death to its replacement's first act", unit: "ms", rows })
}

impl Victims {
    fn meet(stamps: &Stamps, label: &str, part: Part, count: usize) -> anyhow::Result<Self> {
        let mut victims = Self {
            row: Row::new(label, part),
            pidfds: std::iter::repeat_with(|| None).take(count).collect(),
        };
        for _ in 0..count {
            victims.know(&stamps.next(label)?)?;
        }
        Ok(victims)
    }

    fn know(&mut self, stamp: &Stamp) -> anyhow::Result<()> {
        let slot = self.pidfds.get_mut(stamp.slot.wrapping_sub(1));
        let slot = slot.ok_or_else(|| anyhow::anyhow!("{} has no slot {}", stamp.label, stamp.slot))?;
        *slot = Some(sys::pidfd::open(stamp.pid)?);
        Ok(())
    }

    fn kill_one(&mut self, stamps: &Stamps, round: usize) -> anyhow::Result<()> {
        let slot = round % self.pidfds.len();
        let pidfd = self.pidfds[slot].take();
        let pidfd = pidfd.ok_or_else(|| anyhow::anyhow!("slot {} has no worker", slot + 1))?;
        let killed = sys::clock::monotonic();
        sys::pidfd::send_signal(&pidfd, SIGKILL)?;
        let stamp = stamps.next(&self.row.contestant)?;
        self.row.values.push(stamp.born.saturating_sub(killed).as_secs_f64() * 1000.0);
        self.know(&stamp)
    }
}
