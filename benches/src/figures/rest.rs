//! A daemon with many processes at rest: what it keeps of memory, how often it wakes, how fast it tells of them.

use super::idle::switches;
use super::memory::pss;
use super::{Figure, Named, Part, Row};
use crate::contestants::{Breed, Fleet};
use crate::programs::Programs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const COUNT: usize = 1000;
/// What a start still has to do is over by then.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(10);
const CALLS: usize = 30;
/// The slowest client takes half a second.
const PEER_CALLS: usize = 3;

pub(super) fn take(programs: &Programs) -> anyhow::Result<Vec<Named>> {
    let (mut memory, mut wakes) = (Vec::new(), Vec::new());
    let mut status = vec![Row::new("a process that does nothing", Part::Limit)];
    for breed in [Breed::BareVfork, Breed::Arbiter, Breed::S6, Breed::Circus, Breed::Supervisord] {
        if breed == Breed::S6 && programs.s6.is_none() {
            continue;
        }
        let (one, _) = Fleet::start(programs, breed, 1)?;
        let (many, _) = Fleet::start(programs, breed, COUNT)?;
        sleep(SETTLE);
        let (name, part) = (breed.name(), super::fleet::part(breed));
        let daemons = many.daemons();
        memory.push(Row::single(&format!("{name}, with 1"), Part::Other, sum(&one.daemons(), pss)?));
        memory.push(Row::single(&format!("{name}, with 1,000"), part, sum(&daemons, pss)?));
        let before = sum(&daemons, wakings)?;
        sleep(WATCH);
        wakes.push(Row::single(name, part, sum(&daemons, wakings)? - before));
        match breed {
            Breed::Arbiter => {
                let mut ctl = Row::new("arbiterctl status", Part::Other);
                for _ in 0..CALLS {
                    status[0]
                        .time(|| Ok(Command::new(&programs.stamp_worker).arg("--nothing").output()?))?;
                    ctl.time(|| {
                        many.ask(
                            Command::new(&programs.arbiterctl).arg("-s").arg(many.socket()).arg("status"),
                        )
                    })?;
                }
                status.push(ctl);
            }
            Breed::Supervisord => {
                let mut ctl = Row::new("supervisorctl status", Part::Peer);
                let conf = many.socket().with_file_name("supervisord.conf");
                for _ in 0..PEER_CALLS {
                    ctl.time(|| {
                        many.ask(Command::new(&programs.supervisorctl).arg("-c").arg(&conf).arg("status"))
                    })?;
                }
                status.push(ctl);
            }
            Breed::Circus => {
                let mut ctl = Row::new("circusctl status", Part::Other);
                for _ in 0..PEER_CALLS {
                    ctl.time(|| {
                        many.ask(Command::new(&programs.circusctl).args([
                            "--endpoint",
                            "ipc://control.sock",
                            "status",
                        ]))
                    })?;
                }
                status.push(ctl);
            }
            Breed::BareVfork | Breed::BareFork | Breed::S6 => {}
        }
        many.stop()?;
    }
    Ok(vec![
        ("fleet-memory", Figure { title: "memory at rest (PSS) of all daemons", unit: "KiB", rows: memory }),
        (
            "fleet-idle",
            Figure { title: "wake-ups in 10 idle seconds with 1,000", unit: "switches", rows: wakes },
        ),
        ("fleet-status", Figure { title: "status of 1,000, the whole client", unit: "ms", rows: status }),
    ])
}

fn sum(pids: &[i32], of: impl Fn(i32) -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    pids.iter().map(|&pid| of(pid)).sum()
}

fn wakings(pid: i32) -> anyhow::Result<f64> {
    switches(pid).map(f64::from)
}
