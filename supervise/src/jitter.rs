//! Chance, for what must not happen to all processes at the same moment.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A small generator (Steele, Lea and Flood's `SplitMix64`): the same seed gives the same draws, and nothing
/// that has to be secret is made from them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jitter(u64);

impl Jitter {
    /// The draws that follow from a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A time from nothing to `most`, each as likely as the others.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(self.draw()) * (u128::from(most) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(most))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_over_the_whole_time_and_never_beyond() {
        let mut jitter = Jitter::from_seed(7);
        let most = Duration::from_secs(100);
        let draws: Vec<_> = (0..1000).map(|_| jitter.up_to(most)).collect();
        assert!(draws.iter().all(|draw| *draw <= most));
        for tenth in 0..10 {
            let range = Duration::from_secs(tenth * 10)..Duration::from_secs(tenth * 10 + 10);
            let count = draws.iter().filter(|draw| range.contains(draw)).count();
            assert!((50..200).contains(&count), "{count} draws in {range:?}");
        }
        assert_eq!(jitter.up_to(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_same_seed_gives_the_same_draws_and_another_one_others() {
        let draw = |seed| Jitter::from_seed(seed).up_to(Duration::from_secs(1000));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
