//! Times, counted in buckets that grow with them.
//!
//! Each doubling is cut into eight buckets of one width, so that a bucket is at most an eighth as
//! wide as its lower end (the scheme of HdrHistogram, <https://hdrhistogram.org>).

use crate::primitives::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of one doubling, as a power of two.
const CUT: u32 = 3;
/// The first bucket has all below 1,024 ns.
const LEAST: u32 = 10;
/// The last bucket has all from 2^40 ns (18 minutes) on.
const MOST: u32 = 40;
const BUCKETS: usize = (((MOST - LEAST) << CUT) + 2) as usize;

/// Counts of times, written by many at once. Takes 2 KiB.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    max: AtomicU64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn record(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
        if nanos > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> Times {
        let counts: Vec<u64> = self.buckets.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        Times {
            sum: self.sum.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
            counts,
        }
    }
}

/// Counts of times, as they stood at one moment.
///
/// What is written while they are read may be in one part and not yet in another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Empty where nothing was counted.
    counts: Vec<u64>,
    sum: u64,
    max: u64,
}

impl Times {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their mean; zero where there are none.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum.checked_div(self.count()).unwrap_or(0))
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time that this part of them did not exceed: 0.5 gives the median.
    ///
    /// At most an eighth too long, and never too short; up to 1,024 ns it is 1,024 ns. What took
    /// more than 18 minutes counts as the longest. Zero where there are none.
    pub fn quantile(&self, part: f64) -> Duration {
        let count = self.count();
        // 0.55 of 100 is 55 and a little more in floating point; it must not become 56.
        let exact = count as f64 * part.clamp(0.0, 1.0) * (1.0 - 2.0 * f64::EPSILON);
        let rank = (exact.ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (at, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Duration::from_nanos(upper_end(at).min(self.max));
            }
        }
        self.max()
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.counts.clone_from(&other.counts);
        } else {
            for (n, more) in self.counts.iter_mut().zip(&other.counts) {
                *n += more;
            }
        }
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

/// Where a time is counted.
#[inline]
fn bucket(nanos: u64) -> usize {
    let exponent = nanos.max(1).ilog2();
    if exponent < LEAST {
        return 0;
    }
    if exponent >= MOST {
        return BUCKETS - 1;
    }
    let within = (nanos >> (exponent - CUT)) as usize & ((1 << CUT) - 1);
    1 + (((exponent - LEAST) as usize) << CUT) + within
}

/// The least time that is too long for a bucket.
fn upper_end(bucket: usize) -> u64 {
    match bucket {
        0 => 1 << LEAST,
        last if last == BUCKETS - 1 => u64::MAX,
        at => {
            let (doubling, within) = ((at - 1) >> CUT, (at - 1) & ((1 << CUT) - 1));
            ((1 << CUT) + within as u64 + 1) << (LEAST as usize + doubling - CUT as usize)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_in_its_bucket(nanos in prop_oneof![any::<u64>(), 0..(1u64 << 42), 0..5000u64]) {
            let at = bucket(nanos);
            prop_assert!(at < BUCKETS);
            prop_assert!(nanos < upper_end(at) || upper_end(at) == u64::MAX);
            prop_assert!(at == 0 || nanos >= upper_end(at - 1));
        }

        #[test]
        fn quantiles_are_right_within_an_eighth(
            mut times in proptest::collection::vec(1024..(1u64 << 40), 1..200),
            part in 0.0..=1.0f64,
        ) {
            let histogram = Histogram::new();
            for &nanos in &times {
                histogram.record(Duration::from_nanos(nanos));
            }
            times.sort_unstable();
            let rank = ((times.len() as f64 * part).ceil() as usize).clamp(1, times.len());
            let exact = times[rank - 1];
            let found = histogram.snapshot().quantile(part).as_nanos() as u64;
            prop_assert!(found >= exact && found <= exact + exact / 8 + 1, "{found} for {exact}");
        }
    }

    #[test]
    fn of_nothing_and_of_extremes() {
        let histogram = Histogram::new();
        let none = histogram.snapshot();
        assert_eq!(
            (none.count(), none.mean(), none.quantile(0.5)),
            (0, Duration::ZERO, Duration::ZERO)
        );
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        let two = histogram.snapshot();
        assert_eq!((two.count(), two.max()), (2, Duration::from_nanos(u64::MAX)));
        assert_eq!(two.quantile(0.5), Duration::from_nanos(1 << LEAST));
        assert_eq!(two.quantile(1.0), two.max());
        let mut sum = Times::default();
        sum.add(&two);
        sum.add(&two);
        assert_eq!((sum.count(), sum.max()), (4, two.max()));
    }

    #[test]
    fn a_hundredth_is_one_of_a_hundred() {
        for percent in 1..=100_u32 {
            let mut ranks = Times { counts: vec![0; BUCKETS], sum: 0, max: u64::MAX };
            ranks.counts[1] = u64::from(percent);
            ranks.counts[2] = u64::from(100 - percent);
            let found = ranks.quantile(f64::from(percent) / 100.0);
            assert_eq!(found, Duration::from_nanos(upper_end(1)), "{percent}");
        }
    }

    #[test]
    fn takes_as_much_as_is_said() {
        assert!(size_of::<Histogram>() <= 2048, "{}", size_of::<Histogram>());
    }
}
