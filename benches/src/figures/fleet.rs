//! A thousand processes of one daemon: all started, all killed at once, all stopped; and what keeping them takes.

use super::{Figure, Named, Part, Row};
use crate::contestants::{Breed, Fleet};
use crate::programs::Programs;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

const COUNT: usize = 1000;
const ROUNDS: usize = 5;
/// By then every process has had what its daemon calls a healthy run.
const HEALTHY: Duration = Duration::from_millis(1500);

/// Whole lives of each breed, in turns.
pub(super) fn lives(programs: &Programs) -> anyhow::Result<Vec<Named>> {
    let rows = || Breed::ALL.map(|breed| Row::new(breed.name(), part(breed))).to_vec();
    let (mut starts, mut storms, mut stops) = (rows(), rows(), rows());
    // One life of the slowest takes as long as all the others together.
    let slow = [Breed::Circus, Breed::Supervisord];
    let others = Breed::ALL.into_iter().filter(|breed| !slow.contains(breed));
    for breed in std::iter::repeat_n(others, ROUNDS).flatten().chain(slow) {
        if breed == Breed::S6 && programs.s6.is_none() {
            continue;
        }
        let (mut fleet, start) = Fleet::start(programs, breed, COUNT)?;
        sleep(HEALTHY);
        let storm = fleet.kill_all()?;
        sleep(HEALTHY);
        let stop = fleet.stop()?;
        // It takes minutes: whoever waits may want to know how far it is.
        writeln!(std::io::stderr(), "  {}: {start:.0?}, {storm:.0?}, {stop:.0?}", breed.name())?;
        for (rows, took) in [(&mut starts, start), (&mut storms, storm), (&mut stops, stop)] {
            let row = rows.iter_mut().find(|row: &&mut Row| row.contestant == breed.name());
            row.into_iter().for_each(|row| row.values.push(took.as_secs_f64() * 1000.0));
        }
    }
    let figure = |title, rows| Figure { title, unit: "ms", rows };
    Ok(vec![
        ("fleet-start", figure("a daemon's start to the first act of the last of 1,000", starts)),
        ("fleet-storm", figure("1,000 killed at once to the first act of the last replacement", storms)),
        ("fleet-stop", figure("1,000 that leave at once, stopped with their daemon", stops)),
    ])
}

pub(super) fn part(breed: Breed) -> Part {
    match breed {
        Breed::BareVfork => Part::Limit,
        Breed::Supervisord => Part::Peer,
        Breed::BareFork | Breed::Arbiter | Breed::Circus | Breed::S6 => Part::Other,
    }
}
