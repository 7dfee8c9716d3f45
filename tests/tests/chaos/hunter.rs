//! Kills processes, and holds them for a moment.

use crate::stage::Stage;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tests::{Dice, Status, observe_for, signal};

/// Companions that may be killed. What was sent to `echo` would be lost with it: that is only held.
const PREY: [&str; 4] = ["redis", "rq", "batch.clock", "flood"];
const HELD: [&str; 2] = ["flood", "echo"];
/// How long somebody is held at most, in milliseconds.
const HOLD: usize = 400;
/// Longer than a manager may owe an answer: arbiter kills it.
const OVERDUE: Duration = Duration::from_secs(7);
/// A third manager that dies early is followed later: most of the time there should be one.
const BETWEEN_MANAGERS: Duration = Duration::from_millis(1500);

pub(crate) fn hunt(stage: &Stage<'_>, mut dice: Dice) {
    let mut last_manager = Instant::now();
    while stage.goes_on(&mut dice, 500) {
        let Some(status) = stage.status() else { continue };
        match dice.roll(16) {
            0..=3 => kill_worker(stage, &status, &mut dice),
            4..=6 if last_manager.elapsed() > BETWEEN_MANAGERS => {
                last_manager = Instant::now();
                send(stage, "manager", status.manager(), signal::KILL);
            }
            4..=10 => {
                let name = dice.pick(&PREY);
                send(stage, name, one_of(&status, name, &mut dice), signal::KILL);
            }
            11 => hold(stage, "arbiter", Some(stage.arbiter), &mut dice),
            12 => hold(stage, "a worker", any(&status.worker_pids(), &mut dice), &mut dice),
            13 => {
                let name = dice.pick(&HELD);
                hold(stage, name, one_of(&status, name, &mut dice), &mut dice);
            }
            14 if dice.roll(8) == 0 => {
                let victim = send(stage, "manager", status.manager(), signal::STOP);
                observe_for(OVERDUE);
                go_on(victim);
            }
            14 => {
                // It dies while it does not run: what is sent to it meanwhile waits.
                send(stage, "manager", status.manager(), signal::STOP);
                observe_for(Duration::from_millis(dice.roll(HOLD) as u64));
                send(stage, "manager", status.manager(), signal::KILL);
            }
            _ => hold(stage, "manager", status.manager(), &mut dice),
        }
    }
}

fn any(pids: &[i32], dice: &mut Dice) -> Option<i32> {
    (!pids.is_empty()).then(|| dice.pick(pids))
}

fn one_of(status: &Status, name: &str, dice: &mut Dice) -> Option<i32> {
    any(&status.companion(name).pids(), dice)
}

fn kill_worker(stage: &Stage<'_>, status: &Status, dice: &mut Dice) {
    let before = Instant::now();
    if send(stage, "a worker", any(&status.worker_pids(), dice), signal::KILL).is_some() {
        stage.killed_worker((before, Instant::now()));
    }
}

/// Sends a signal to a process of the site, if it is still one.
fn send(stage: &Stage<'_>, whom: &str, pid: Option<i32>, number: i32) -> Option<OwnedFd> {
    let pid = pid?;
    let process = sys::pidfd::open(pid).ok()?;
    // Read after it is held: now the number is surely its own.
    if !stage.site.owns(pid) {
        return None;
    }
    sys::pidfd::send_signal(&process, number).ok()?;
    stage.did(&format!("signal {number} to {whom}"));
    if whom == "manager" {
        // One that is held for too long is killed, too.
        stage.killed_manager();
    }
    Some(process)
}

fn hold(stage: &Stage<'_>, whom: &str, pid: Option<i32>, dice: &mut Dice) {
    let victim = send(stage, whom, pid, signal::STOP);
    observe_for(Duration::from_millis(dice.roll(HOLD) as u64));
    go_on(victim);
}

fn go_on(victim: Option<OwnedFd>) {
    // It may have been killed meanwhile.
    let _ = victim.map(|process| sys::pidfd::send_signal(&process, signal::CONT));
}
