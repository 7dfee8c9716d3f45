//! The one place that sleeps.

use std::time::{Duration, Instant};

/// How long anything may take on a loaded machine before a scenario gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The pauses between two looks: short at first, because most things have happened already.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(40));

/// Looks again and again until `probe` finds something.
///
/// # Panics
/// When `patience` is over: with `what` was waited for and what `tail` has to say (the end of a log).
pub fn wait_for<T>(
    what: &str,
    patience: Duration,
    tail: impl FnOnce() -> String,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain for {what}\n{}", tail());
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Lets time pass in which something is observed. Not for waiting: what has to happen is waited for.
pub fn observe_for(duration: Duration) {
    std::thread::sleep(duration);
}
