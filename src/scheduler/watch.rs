//! What the sentry knows of one thread: what it is in the middle of, for how long, and what it does
//! meanwhile.
//!
//! The time in which it was ready to run and got no processor is counted apart. A poll is not to blame for
//! it, and one more thread would not help: so it counts neither for a rescue nor for a report, unless it
//! comes to [`STARVED`] times what is reported.

use super::seat::Word;
use super::spent::{Looker, Spent};
use crate::hooks::StallKind;
use std::time::Duration;

/// What a poll was kept from running is reported after so many times the time for others.
const STARVED: u32 = 20;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Watch {
    within: Word,
    /// How long that has been so, as far as it was seen.
    elapsed: Duration,
    /// How that time was spent, as far as it is known.
    spent: Spent,
    reported: bool,
    /// What counted when somebody was last sent to help.
    helped: Option<Duration>,
    /// Opened when the thread was first seen to be stuck.
    looker: Option<Looker>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let (elapsed, spent) = (Duration::ZERO, Spent::default());
        let (within, reported, helped, looker) = (Word::NOTHING, false, None, None);
        Self { within, elapsed, spent, reported, helped, looker }
    }

    /// The `thread` of that number is within `word`, so long after the last look; `None` if that does not
    /// count, as the sentry itself came late. Whether it has been in it since then.
    pub(super) fn see(&mut self, word: Word, step: Option<Duration>, thread: u32) -> bool {
        if !self.see_word(word, step) {
            return false;
        }
        match (self.looker.as_mut(), step) {
            (None, _) => self.looker = Looker::new(thread),
            (Some(looker), Some(step)) => {
                let spent = looker.look(step);
                spent.into_iter().for_each(|spent| self.spent.add(spent));
            }
            // What it did while the sentry overslept is in none of the counts.
            (Some(looker), None) => drop(looker.look(Duration::ZERO)),
        }
        true
    }

    fn see_word(&mut self, word: Word, step: Option<Duration>) -> bool {
        if word.is_nothing() || word != self.within {
            *self = Self { within: word, ..Self::new() };
            return false;
        }
        self.elapsed += step.unwrap_or_default();
        self.is_stuck()
    }

    /// What the thread is in the middle of.
    pub(super) fn within(&self) -> Word {
        self.within
    }

    /// Whether it was seen to be in the same for a tick.
    pub(super) fn is_stuck(&self) -> bool {
        !self.elapsed.is_zero()
    }

    /// The time that counts.
    fn charged(&self) -> Duration {
        self.elapsed.saturating_sub(self.spent.starved)
    }

    /// Whether it has taken so long that somebody is to be sent; and again, when that time has passed once
    /// more.
    pub(super) fn wants_rescue(&self, after: Duration) -> bool {
        self.charged() >= self.helped.unwrap_or_default() + after
    }

    /// Somebody was sent.
    pub(super) fn helped(&mut self) {
        self.helped = Some(self.charged());
    }

    /// For how long it has lasted, and how it was spent, if it is time to say so; once.
    pub(super) fn report(&mut self, after: Duration) -> Option<(Duration, StallKind)> {
        let kind = if self.charged() >= after {
            self.kind()
        } else if self.spent.starved >= after * STARVED {
            StallKind::Starved
        } else {
            return None;
        };
        (!std::mem::replace(&mut self.reported, true)).then_some((self.elapsed, kind))
    }

    fn kind(&self) -> StallKind {
        let Spent { ran, slept, .. } = self.spent;
        if ran.is_zero() && slept.is_zero() {
            StallKind::Unknown
        } else if slept >= ran {
            StallKind::Blocked
        } else {
            StallKind::Running
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::seat::tests::word;
    use super::*;

    const AFTER: Duration = ms(50);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ran(time: u64) -> Spent {
        Spent { ran: ms(time), ..Spent::default() }
    }

    fn slept(time: u64) -> Spent {
        Spent { slept: ms(time), ..Spent::default() }
    }

    fn starved(time: u64) -> Spent {
        Spent { starved: ms(time), ..Spent::default() }
    }

    #[test]
    fn what_changes_from_look_to_look_is_not_stuck() {
        let mut watch = Watch::new();
        for poll in 1..100 {
            assert!(!watch.see_word(word(poll), Some(ms(5))));
            assert!(!watch.wants_rescue(ms(1)) && watch.report(ms(1)).is_none());
        }
        for _ in 0..100 {
            assert!(
                !watch.see_word(Word::NOTHING, Some(ms(5))),
                "nobody waits for one that does nothing"
            );
        }
    }

    #[test]
    fn it_counts_from_the_first_sight() {
        let mut watch = Watch::new();
        assert!(!watch.see_word(word(1), Some(ms(5))));
        assert!(watch.see_word(word(1), Some(ms(5))) && !watch.wants_rescue(ms(10)));
        assert!(watch.see_word(word(1), Some(ms(5))) && watch.wants_rescue(ms(10)));
        watch.helped();
        assert!(watch.see_word(word(1), Some(ms(5))) && !watch.wants_rescue(ms(10)));
        assert!(watch.see_word(word(1), Some(ms(5))) && watch.wants_rescue(ms(10)), "once more");
        assert!(!watch.see_word(word(2), Some(ms(5))) && !watch.wants_rescue(ms(10)), "a new one");
        assert!(watch.see_word(word(2), Some(ms(5))) && !watch.wants_rescue(ms(10)));
    }

    #[test]
    fn what_was_overslept_counts_for_nothing() {
        let mut watch = Watch::new();
        assert!(!watch.see_word(word(1), Some(ms(5))));
        for _ in 0..100 {
            assert!(!watch.see_word(word(1), None), "the process may have stood still");
        }
        assert!(watch.see_word(word(1), Some(ms(1))));
        assert!(watch.see_word(word(1), None), "it stays what it was");
        assert!(!watch.wants_rescue(ms(2)) && !watch.see_word(word(2), None));
    }

    #[test]
    fn a_stall_is_reported_once_with_what_took_most_of_it() {
        for (spends, kind) in [
            (vec![ran(5), slept(5), slept(5)], StallKind::Blocked),
            (vec![ran(5), slept(5), ran(5)], StallKind::Running),
            (vec![ran(5), starved(5), starved(5)], StallKind::Running),
            (vec![], StallKind::Unknown),
        ] {
            let mut watch = Watch::new();
            watch.see_word(word(1), Some(ms(5)));
            let mut told = Vec::new();
            for tick in 0..100 {
                watch.see_word(word(1), Some(ms(5)));
                spends.get(tick % 20).into_iter().for_each(|spent| watch.spent.add(*spent));
                told.extend(watch.report(AFTER));
            }
            assert_eq!(told.len(), 1, "{spends:?}");
            let starved: Duration = spends.iter().map(|spent| spent.starved).sum();
            assert_eq!(told[0], (AFTER + starved, kind));
        }
    }

    /// As a machine is where each thread waits for the others.
    #[test]
    fn a_thread_without_a_processor_is_neither_rescued_nor_soon_reported() {
        let mut watch = Watch::new();
        watch.see_word(word(1), Some(ms(5)));
        watch.see_word(word(1), Some(ms(5)));
        for _ in 0..199 {
            watch.see_word(word(1), Some(ms(5)));
            watch.spent.add(starved(5));
            assert!(!watch.wants_rescue(ms(10)) && watch.report(AFTER).is_none());
        }
        watch.see_word(word(1), Some(ms(5)));
        watch.spent.add(starved(5));
        assert_eq!(watch.report(AFTER), Some((ms(1005), StallKind::Starved)));
    }
}
