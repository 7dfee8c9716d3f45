//! Orders about workers, the configuration, the manager and the programs.

use crate::stage::{Stage, break_configuration, configure};
use std::path::Path;
use tests::installed::{put, put_new};
use tests::{Dice, processes, signal};

/// Done, or failed for a reason that others have made.
const EITHER: [i32; 2] = [0, 1];

pub(crate) fn order(stage: &Stage<'_>, mut dice: Dice) {
    while stage.goes_on(&mut dice, 400) {
        match dice.roll(16) {
            0 | 1 => reload(stage, &mut dice),
            2 => signal_arbiter(stage, "HUP", signal::HUP),
            3 => {
                break_configuration(stage.site);
                stage.ask(&["reload"], &[1]);
                configure(stage.site, 0);
            }
            4 => {
                stage.site.write("broken", "1");
                stage.ask(&["reload", "workers"], &[1]);
                stage.site.remove("broken");
            }
            5 => scale(stage, &mut dice),
            6 => signal_arbiter(stage, "TTIN", signal::TTIN),
            7 => signal_arbiter(stage, "TTOU", signal::TTOU),
            8 => drop(stage.ask(&["restart", "workers"], &EITHER)),
            9 => drop(stage.ask(&["restart", "worker", dice.pick(&["1", "2", "3"])], &[0, 1, 4])),
            10 => drop(stage.ask(&["restart", "manager"], &[0])),
            11 => drop(stage.ask(&["reopen-logs"], &[0])),
            12 => {
                put(stage.site, "arbiter", Path::new("/bin/true"));
                stage.ask(&["upgrade"], &[1]);
                put_new(stage.site);
            }
            13 => drop(stage.ask(&["reload", "--dry-run"], &[0])),
            _ => {
                put_new(stage.site);
                stage.ask(&["upgrade"], &[0]);
            }
        }
    }
}

fn reload(stage: &Stage<'_>, dice: &mut Dice) {
    configure(stage.site, dice.roll(3));
    let which = dice.pick(&[&["reload"][..], &["reload", "companions"], &["reload", "workers"]]);
    stage.ask(which, &EITHER);
}

fn scale(stage: &Stage<'_>, dice: &mut Dice) {
    // More than one: a client may find nobody else for a moment when one is killed.
    stage.ask(&["scale", "workers", dice.pick(&["2", "3", "4", "5"])], &EITHER);
}

fn signal_arbiter(stage: &Stage<'_>, name: &str, number: i32) {
    processes::signal(stage.arbiter, number);
    stage.did(&format!("{name} to arbiter"));
}
