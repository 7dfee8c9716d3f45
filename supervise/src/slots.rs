//! The numbers of the copies in a set.

use crate::Monotonic;

/// The lowest number, from 1, that is not in `used`. Slot 0 is shared by one-offs and never given.
#[must_use]
pub fn lowest_free(used: impl IntoIterator<Item = u32>) -> u32 {
    let mut used: Vec<u32> = used.into_iter().filter(|&slot| slot > 0).collect();
    used.sort_unstable();
    used.dedup();
    let taken = used.iter().zip(1..).take_while(|(slot, expected)| **slot == *expected).count();
    u32::try_from(taken).unwrap_or(u32::MAX - 1) + 1
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
    }

    #[test]
    fn the_oldest_go_first_and_those_without_a_process_before_them() {
        let at = |seconds| Some(Monotonic::from_boot(Duration::from_secs(seconds)));
        let copies = [(1, at(30)), (2, at(10)), (3, None), (4, at(20))];
        assert_eq!(oldest(copies, 2), [3, 2]);
        assert_eq!(oldest(copies, 9), [3, 2, 4, 1]);
    }
}
