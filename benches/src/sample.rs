//! Samples in one number, or two.

/// The value below which `percent` of the values lie: the nearest one that was really taken. None of none.
#[must_use]
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Half of the values are at most this.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values_whatever_their_order() {
        let values = [9.0, 1.0, 3.0, 7.0, 5.0];
        assert_eq!(median(&values), Some(5.0));
        assert_eq!(percentile(&values, 90), Some(9.0));
        assert_eq!(percentile(&values, 20), Some(1.0));
        assert_eq!(percentile(&values, 21), Some(3.0));
        assert_eq!(median(&[2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
