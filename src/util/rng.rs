//! The one source of choices that could go either way.

use crate::primitives::{AtomicU64, Ordering};

/// What the state of a source grows by.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014,
/// figure 17, with the finalizer known as Stafford's variant 13.
///
/// One word of state, and every seed is as good as any other: neighbouring ones give streams that
/// have nothing in common. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `bound`; 0 if that is 0.
    #[inline]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        below(self.next_u64(), bound as u64) as usize
    }
}

/// An [`Rng`] that several threads draw from: each draw is one addition.
#[derive(Debug)]
pub(crate) struct SharedRng(AtomicU64);

impl SharedRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next 64 bits.
    pub(crate) fn next_u64(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }
}

/// Makes of 64 random bits a number below `bound`; 0 if that is 0.
///
/// By a multiplication instead of a division, as Lemire describes ("Fast Random Integer Generation
/// in an Interval", 2019), without the step that removes the bias, which is below `bound` / 2⁶⁴.
#[inline]
pub(crate) fn below(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Rng, SharedRng};
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn the_published_answers() {
        // The first outputs of the reference implementation, splitmix64.c by Vigna, for this seed.
        let mut rng = Rng::new(1_234_567);
        let first: Vec<_> = (0..5).map(|_| rng.next_u64()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(first, published);
        let shared = SharedRng::new(1_234_567);
        assert_eq!(first, (0..5).map(|_| shared.next_u64()).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn below_its_bound(seed: u64, bound in 1_usize..) {
            let mut rng = Rng::new(seed);
            prop_assert!((0..100).all(|_| rng.below(bound) < bound));
        }
    }
}
