//! The order of a run as a list of choices, and how to find a shorter one that fails too.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

/// The choices of a run that were not the ordinary one.
///
/// As text they are pairs of place and choice: `3=1,7=2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    // INVARIANT: the last is not 0: what follows is ordinary anyway.
    choices: Vec<u32>,
}

/// So many places are tried with a choice by itself.
const SINGLES: usize = 100;

/// The places that a schedule may have as text, so that a typing error does not ask for memory
/// without end.
const MOST_PLACES: usize = 1_000_000;

impl Schedule {
    pub(super) fn new(mut choices: Vec<u32>) -> Self {
        let len = choices.iter().rposition(|&choice| choice != 0).map_or(0, |last| last + 1);
        choices.truncate(len);
        Self { choices }
    }

    pub(super) fn into_choices(self) -> Vec<u32> {
        self.choices
    }

    /// How many choices are not the ordinary one.
    pub(super) fn unusual(&self) -> usize {
        self.choices.iter().filter(|&&choice| choice != 0).count()
    }

    /// The shortest that is found within `attempts` for which `fails` holds, as it does for this one:
    /// no choice of it that is not ordinary can be made so, or taken lower by one, without passing.
    /// Unless the attempts run out.
    ///
    /// Parts of the list are made ordinary, all of it first, then halves, and so on down to single
    /// choices, as Zeller and Hildebrandt do ("Simplifying and Isolating Failure-Inducing Input",
    /// 2002). Where that ends with several choices, each of the first by itself is tried, as one choice
    /// may do what two did that shifted each other's places.
    pub(super) fn shorten(self, attempts: u32, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let left = Cell::new(attempts);
        let places = self.choices.len().min(SINGLES);
        let best = self.lower(&left, &mut fails);
        if best.unusual() < 2 {
            return best;
        }
        let singles = (1..=2).flat_map(|choice| (0..places).map(move |place| (place, choice)));
        for (place, choice) in singles.take(left.get() as usize) {
            let mut choices = vec![0; place + 1];
            choices[place] = choice;
            let single = Self::new(choices);
            if fails(&single) {
                return single;
            }
        }
        best
    }

    /// Makes choices ordinary or lower as long as `fails` still holds and attempts are left.
    fn lower(self, left: &Cell<u32>, fails: &mut impl FnMut(&Self) -> bool) -> Self {
        let mut best = self;
        let mut try_out = |best: &mut Self, change: &dyn Fn(&mut [u32])| {
            let mut changed = best.choices.clone();
            change(&mut changed);
            let changed = Self::new(changed);
            left.set(left.get() - 1);
            let better = fails(&changed);
            if better {
                *best = changed;
            }
            better
        };
        let mut size = best.choices.len().max(1);
        loop {
            // From the end, as a run that fails early makes the choices after it for nothing.
            let mut progress = false;
            let mut end = best.choices.len();
            while end > 0 && left.get() > 0 {
                let start = end.saturating_sub(size);
                if best.choices[start..end].iter().any(|&choice| choice != 0) {
                    progress |= try_out(&mut best, &|choices| choices[start..end].fill(0));
                }
                end = start.min(best.choices.len());
            }
            if size > 1 {
                size = size.div_ceil(2);
                continue;
            }
            for place in 0..best.choices.len() {
                while left.get() > 0 && best.choices.get(place).is_some_and(|&choice| choice > 1) {
                    if !try_out(&mut best, &|choices| choices[place] -= 1) {
                        break;
                    }
                    progress = true;
                }
            }
            if !progress || left.get() == 0 {
                return best;
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unusual = self.choices.iter().enumerate().filter(|(_, choice)| **choice != 0);
        for (nth, (place, choice)) in unusual.enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            write!(f, "{comma}{place}={choice}")?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut choices = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (place, choice) = pair.split_once('=').ok_or(())?;
            let place: usize = place.trim().parse().map_err(drop)?;
            if place >= MOST_PLACES {
                return Err(());
            }
            choices.resize(choices.len().max(place + 1), 0);
            choices[place] = choice.trim().parse().map_err(drop)?;
        }
        Ok(Self::new(choices))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    /// Whether some of the choices at `places` are high enough.
    fn fails(schedule: &Schedule, places: &[(usize, u32)]) -> bool {
        places.iter().all(|&(place, least)| {
            schedule.choices.get(place).is_some_and(|&choice| choice >= least)
        })
    }

    #[test]
    fn what_does_not_matter_becomes_ordinary() {
        let long = Schedule::new((1..=100).collect());
        let short = long.shorten(500, |schedule| fails(schedule, &[(3, 2), (60, 1)]));
        assert_eq!(short.to_string(), "3=2,60=1");
        assert_eq!(short.unusual(), 2);
    }

    #[test]
    fn one_choice_is_found_that_two_were_in_the_way_of() {
        let both = Schedule::new(vec![0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5]);
        let fails = |schedule: &Schedule| {
            schedule.choices.get(10) == Some(&2) || schedule.choices.starts_with(&[0, 1, 0, 2])
        };
        assert_eq!(both.shorten(100, fails).to_string(), "10=2");
    }

    #[test]
    fn no_more_attempts_are_made_than_allowed() {
        let mut attempts = 0;
        let short = Schedule::new(vec![9; 50]).shorten(7, |_| {
            attempts += 1;
            false
        });
        assert_eq!((attempts, short), (7, Schedule::new(vec![9; 50])));
    }

    /// Copies of long lists, one for each place, would take minutes.
    #[test]
    fn long_schedules_are_copied_for_attempts_only() {
        let start = Instant::now();
        let mut attempts = 0;
        Schedule::new(vec![9; 1_000_000]).shorten(3, |_| {
            attempts += 1;
            false
        });
        assert_eq!(attempts, 3);
        let mut sparse = vec![0; 1_000_000];
        sparse.push(1);
        Schedule::new(sparse).shorten(u32::MAX, |_| false);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }

    #[test]
    fn a_text_that_is_none_is_refused() {
        for text in ["3", "3=", "=1", "a=1", "3=1;4=1", "1000000=1"] {
            assert_eq!(text.parse::<Schedule>(), Err(()), "{text}");
        }
        assert_eq!("".parse(), Ok(Schedule::default()));
    }

    proptest! {
        #[test]
        fn it_fails_still_and_no_step_further_does(
            choices in prop::collection::vec(0..5_u32, 0..60),
            places in prop::collection::vec((0..60_usize, 0..5_u32), 0..4),
        ) {
            let long = Schedule::new(choices);
            let fails = |schedule: &Schedule| {
                let at = |place| schedule.choices.get(place).copied().unwrap_or(0);
                places.iter().all(|&(place, least)| at(place) >= least)
            };
            prop_assume!(fails(&long));
            let short = long.shorten(u32::MAX, fails);
            prop_assert!(fails(&short));
            for (place, &choice) in short.choices.iter().enumerate().filter(|(_, c)| **c > 0) {
                let mut lower = short.choices.to_vec();
                lower[place] = choice - 1;
                prop_assert!(!fails(&Schedule::new(lower)));
            }
        }

        #[test]
        fn its_text_says_it_all(choices in prop::collection::vec(0..5_u32, 0..60)) {
            let schedule = Schedule::new(choices);
            prop_assert_eq!(schedule.to_string().parse(), Ok(schedule));
        }
    }
}
