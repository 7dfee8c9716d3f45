//! Whatever a process says over its notify socket: it is understood or passed over, and bounded.
#![no_main]

use fuzz::world::World;
use libfuzzer_sys::fuzz_target;

/// The longest status text that is kept, in letters.
const STATUS_MAX: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    let Some((stage, text)) = bytes.split_first() else { return };
    let mut world = World::started();
    for run in world.runs() {
        // Some say it while they start, others when they run or stop.
        match stage % 4 {
            0 => {}
            1 => world.notify(run, "READY=1\nWATCHDOG=1"),
            2 => world.stop(),
            _ => world.exit(run),
        }
        // A datagram's bytes become text so.
        world.notify(run, &String::from_utf8_lossy(text));
    }
    world.pass_time();
    for status in world.statuses() {
        assert!(status.is_none_or(|text| text.chars().count() <= STATUS_MAX));
    }
});
