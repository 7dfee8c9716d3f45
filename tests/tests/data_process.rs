//! Workers that ask a data process at boot, over a socket held for it: whoever dies, nobody waits for ever and
//! nobody gets another's answer.

use std::fs;
use std::path::Path;
use tests::{Site, processes, signal};

/// Kills, of either side.
const KILLS: u32 = 100;
const SEED: u64 = 0x5eed_da7a;

/// Marsaglia's xorshift64: small, and the same everywhere.
fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % below as u64).expect("less than that")
}

/// How many answers the worker of a slot has got.
fn answers(site: &Site, slot: u32) -> u64 {
    fs::metadata(site.path(&format!("answers/{slot}"))).map_or(0, |file| file.len())
}

#[test]
fn no_asker_ever_hangs_and_every_answer_goes_to_who_asked() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let site = Site::new(
        &r#"
        [workers]
        command = ["python3", "-ISB", "@scripts@/asker.py", "@site@/answers"]
        count = 2
        ready = "notify"
        [companion.store]
        command = ["python3", "-ISB", "@scripts@/store.py"]
        listen = "unix:@site@/store.sock"
        start_seconds = 0
        restart_delay = 0.1
        restart_delay_max = 0.1
    "#
        .replace("@scripts@", &scripts.to_string_lossy()),
    );
    fs::create_dir(site.path("answers")).expect("a directory can be made");
    let arbiter = site.start();
    let mut state = SEED;
    for kill in 0..KILLS {
        let of_store = random(&mut state, 2) == 0;
        let more = 1 + random(&mut state, 40) as u64;
        let nth = random(&mut state, 2);
        let status = arbiter.wait_for_status("somebody to kill", |status| {
            !status.worker_pids().is_empty() && !status.companion("store").pids().is_empty()
        });
        let workers = status.worker_pids();
        let victim = if of_store { status.pid_of("store") } else { workers[nth % workers.len()] };
        let before = [answers(&site, 1), answers(&site, 2)];
        processes::signal(victim, signal::KILL);
        for (slot, before) in (1..).zip(before) {
            // The moment of the next kill, and what shows that nobody hangs.
            site.wait_for(&format!("answers to worker {slot} after kill {kill}"), || {
                (answers(&site, slot) >= before + more).then_some(())
            });
        }
    }
    assert!(!site.path("answers/wrong").exists(), "seed {SEED:#x}");
    assert_eq!(arbiter.stop(), 0);
}
