//! How long it pays to look before one sleeps.

use crate::primitives::{others_can_run, spin_loop};

/// Who answers within so many looks, about 2 µs, was awake.
const QUICK: u32 = 1 << 7;
/// So many waits with looks may follow a quick answer, none of which is answered quickly.
const MOST_TRUST: u32 = 1 << 5;
/// So many follow a try that was answered late.
const SOME_TRUST: u32 = 1 << 3;
/// How many waits go without a look before the next try; twice as many each time that it fails.
const FIRST_PAUSE: u32 = 1 << 4;
const LONGEST_PAUSE: u32 = 1 << 10;

/// What a thread has learned of its waits.
///
/// A sleep costs two switches of the thread and a call of the kernel by who ends it; and where a processor
/// has gone to sleep as well, more than ten times as much. Two threads that answer each other at once are
/// better off awake. So one that is about to sleep looks for a while whether it need not.
///
/// That pays where the answers are quick. Where they are late it is lost on both: it is the price for
/// finding out whether the other one would look, too. So late answers use up trust, and looks in vain half
/// of it; without trust the thread sleeps at once, and tries again now and then, ever more rarely. Where
/// both share a processor no answer is quick.
#[derive(Debug)]
pub(crate) struct Patience {
    looks: u32,
    trust: u32,
    pause: u32,
    left: u32,
}

impl Patience {
    /// For at most so many looks, of about 10 ns each, and what the look itself takes.
    pub(crate) fn new(looks: u32) -> Self {
        let looks = if cfg!(loom) { looks.min(1) } else { looks };
        let looks = if others_can_run() { looks } else { 0 };
        Self { looks, trust: MOST_TRUST, pause: FIRST_PAUSE, left: 0 }
    }

    /// Whether the wait that begins is one to look in.
    pub(crate) fn trusts(&mut self) -> bool {
        if self.trust == 0 && self.left > 0 {
            self.left -= 1;
            return false;
        }
        self.looks > 0
    }

    /// Asks `is_over` for as long as it pays; whether the wait is over.
    pub(crate) fn looks(&mut self, mut is_over: impl FnMut() -> bool) -> bool {
        let tries = self.trust == 0;
        for look in 0..self.looks {
            if is_over() {
                self.answered(look, tries);
                return true;
            }
            spin_loop();
        }
        self.trust /= 2;
        self.pause_without_trust();
        is_over()
    }

    fn answered(&mut self, look: u32, tries: bool) {
        if look < QUICK {
            (self.trust, self.pause) = (MOST_TRUST, FIRST_PAUSE);
        } else if tries {
            self.trust = SOME_TRUST;
        } else {
            self.trust -= 1;
            self.pause_without_trust();
        }
    }

    fn pause_without_trust(&mut self) {
        if self.trust == 0 {
            self.left = self.pause;
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LOOKS: u32 = 1 << 12;

    fn patience() -> Patience {
        // As where there are several processors.
        Patience { looks: LOOKS, ..Patience::new(LOOKS) }
    }

    /// One wait that is over after so many looks; whether it was seen without a sleep.
    fn wait(patience: &mut Patience, over_after: u32) -> Option<bool> {
        let mut looks = 0;
        let mut is_over = || {
            looks += 1;
            looks > over_after
        };
        patience.trusts().then(|| patience.looks(&mut is_over))
    }

    /// How many waits that end after so many looks go without one, before each of those with.
    fn pauses(patience: &mut Patience, over_after: u32, tries: usize) -> Vec<u32> {
        let mut pauses = vec![0];
        while pauses.len() <= tries {
            match wait(patience, over_after) {
                None => *pauses.last_mut().unwrap() += 1,
                Some(_) => pauses.push(0),
            }
        }
        pauses.pop();
        pauses
    }

    #[test]
    fn who_is_answered_quickly_never_sleeps() {
        let mut patience = patience();
        for _ in 0..10_000 {
            assert_eq!(wait(&mut patience, QUICK - 1), Some(true));
        }
    }

    #[test]
    fn who_looks_in_vain_soon_sleeps_and_tries_again_ever_more_rarely() {
        let mut patience = patience();
        let pauses = pauses(&mut patience, u32::MAX, 16);
        assert_eq!(pauses[..6], [0; 6], "32, 16, 8, 4, 2, 1");
        assert_eq!(pauses[6..], [16, 32, 64, 128, 256, 512, 1024, 1024, 1024, 1024]);
    }

    #[test]
    fn late_answers_use_up_trust_and_a_quick_one_gives_it_back() {
        let mut patience = patience();
        assert_eq!(pauses(&mut patience, QUICK, 32), [0; 32]);
        let again = pauses(&mut patience, QUICK, 2 + SOME_TRUST as usize);
        assert_eq!(again[0], 16, "a try");
        assert_eq!(again[1..9], [0; 8], "which others follow");
        assert_eq!(again[9], 32);
        assert_eq!(wait(&mut patience, 0), Some(true));
        for _ in 0..MOST_TRUST {
            assert_eq!(wait(&mut patience, QUICK), Some(true));
        }
        assert_eq!(wait(&mut patience, QUICK), None);
    }

    #[test]
    fn alone_on_a_processor_nobody_looks() {
        let mut patience = Patience { looks: 0, ..Patience::new(LOOKS) };
        assert!((0..100).all(|_| wait(&mut patience, 0).is_none()));
    }

    #[test]
    fn what_comes_with_the_last_look_is_seen() {
        let mut patience = patience();
        assert_eq!(wait(&mut patience, LOOKS), Some(true));
    }
}
