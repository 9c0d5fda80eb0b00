//! How values spread: their middle, and what nine in ten stay below.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How durations spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// Their median, in seconds; 0 of none.
    pub median_s: f64,
    /// Nine in ten are no longer, in seconds.
    pub p90_s: f64,
}

impl Spread {
    /// Of these, in seconds.
    pub(super) fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        Spread { count: values.len() as u64, median_s: at(&values, 0.5), p90_s: at(&values, 0.9) }
    }
}

/// The median, in seconds.
pub(super) fn median(values: Vec<f64>) -> f64 {
    Spread::of(values).median_s
}

/// The value at a share of the sorted ones: the nearest rank; of an even number the median is the mean of two.
fn at(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    if share == 0.5 && sorted.len().is_multiple_of(2) {
        return f64::midpoint(sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]);
    }
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.saturating_sub(1).min(last)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_nine_in_ten() {
        let of = |values: &[f64]| {
            let spread = Spread::of(values.to_vec());
            (spread.count, spread.median_s, spread.p90_s)
        };
        assert_eq!(of(&[]), (0, 0.0, 0.0));
        assert_eq!(of(&[7.0]), (1, 7.0, 7.0));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]), (4, 2.5, 4.0));
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(of(&ten), (10, 5.5, 9.0));
    }
}
