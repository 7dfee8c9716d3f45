//! Whatever a manager that crashed has left with arbiter: the next one begins.
#![no_main]

use fuzz::world::World;
use libfuzzer_sys::fuzz_target;
use proto::codec;
use proto::link::Saved;
use std::sync::LazyLock;

/// What a manager leaves that has seen something.
static LEFT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut world = World::started();
    for (number, run) in world.runs().into_iter().enumerate() {
        match number % 3 {
            0 => world.exit(run),
            1 => world.notify(run, "READY=1\nSTATUS=at work"),
            _ => {}
        }
    }
    codec::encode(&world.saved())
});

/// Either all of it, or changes of what a manager has left: where (two bytes), and what is there instead.
fn left(bytes: &[u8]) -> Option<Vec<u8>> {
    let (how, bytes) = bytes.split_first()?;
    if how % 2 == 0 {
        return Some(bytes.to_vec());
    }
    let mut left = LEFT.clone();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let at = at % left.len();
        left[at] = change[2];
    }
    Some(left)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(bytes) = left(bytes) else { return };
    let Ok(saved) = codec::decode_bulk::<Saved>(&bytes) else { return };
    let mut world = World::restored(&saved);
    world.pass_time();
    world.stop();
    world.pass_time();
    world.statuses();
});
