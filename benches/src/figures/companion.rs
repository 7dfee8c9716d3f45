//! A companion that is killed: how long until its replacement's first act.

use super::{Figure, Row};
use crate::contestants::{Breed, Fleet};
use crate::programs::Programs;
use std::time::Duration;

const ROUNDS: usize = 30;
/// By then every process has had what its daemon calls a healthy run.
const HEALTHY: Duration = Duration::from_millis(1300);

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let mut contestants = Vec::new();
    for breed in Breed::ALL {
        if breed != Breed::S6 || programs.s6.is_some() {
            let (fleet, _) = Fleet::start(programs, breed, 1)?;
            contestants.push((fleet, Row::new(breed.name(), super::fleet::part(breed))));
        }
    }
    for _ in 0..ROUNDS {
        std::thread::sleep(HEALTHY);
        for (fleet, row) in &mut contestants {
            row.values.push(fleet.kill_all()?.as_secs_f64() * 1e3);
        }
    }
    let rows = contestants.into_iter().map(|(_, row)| row).collect();
    Ok(Figure { title: "a companion's SIGKILL to its replacement's first act", unit: "ms", rows })
}
