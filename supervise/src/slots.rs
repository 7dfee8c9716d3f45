//! The numbers of the copies in a set.

use crate::Monotonic;
use std::collections::BTreeSet;

/// The lowest number, from 1, that is not in `used`. Slot 0 is shared by one-offs and never given.
#[must_use]
pub fn lowest_free(used: impl IntoIterator<Item = u32>) -> u32 {
    lowest_free_of(used, 1).first().copied().unwrap_or(u32::MAX)
}

/// As many of the lowest numbers, from 1, that are not in `used`.
#[must_use]
pub fn lowest_free_of(used: impl IntoIterator<Item = u32>, count: usize) -> Vec<u32> {
    let used: BTreeSet<u32> = used.into_iter().collect();
    (1..=u32::MAX).filter(|slot| !used.contains(slot)).take(count).collect()
}

/// The `surplus` oldest of `copies`, each a slot and the start of its run; copies without a run go first.
#[must_use]
pub fn oldest(copies: impl IntoIterator<Item = (u32, Option<Monotonic>)>, surplus: usize) -> Vec<u32> {
    let mut copies: Vec<_> = copies.into_iter().map(|(slot, started)| (started, slot)).collect();
    copies.sort_unstable();
    copies.into_iter().take(surplus).map(|(_, slot)| slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_new_copy_takes_the_lowest_free_number() {
        assert_eq!(lowest_free([]), 1);
        assert_eq!(lowest_free([2, 3]), 1);
        assert_eq!(lowest_free([3, 1, 2]), 4);
        assert_eq!(lowest_free([1, 1, 2, 4]), 3);
        assert_eq!(lowest_free([0, 0, 1, 2]), 3);
        assert_eq!(lowest_free_of([0, 2, 2, 5], 3), [1, 3, 4]);
        assert_eq!(lowest_free_of([1], 0), []);
    }

    #[test]
    fn the_oldest_go_first_and_those_without_a_process_before_them() {
        let at = |seconds| Some(Monotonic::from_boot(Duration::from_secs(seconds)));
        let copies = [(1, at(30)), (2, at(10)), (3, None), (4, at(20))];
        assert_eq!(oldest(copies, 2), [3, 2]);
        assert_eq!(oldest(copies, 9), [3, 2, 4, 1]);
    }
}
