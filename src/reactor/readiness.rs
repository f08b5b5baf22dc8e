//! The readiness word: what is known about a descriptor, and how recent that is.

use crate::primitives::{AtomicU64, Ordering};
use Ordering::{AcqRel, Acquire};

/// Reading will not block, as far as is known.
const READABLE: u64 = 1 << 0;
/// Writing will not block, as far as is known.
const WRITABLE: u64 = 1 << 1;
/// The peer writes no more; reading gives the rest, then the end.
const READ_CLOSED: u64 = 1 << 2;
/// Nothing can be written any more; writing gives an error.
const WRITE_CLOSED: u64 = 1 << 3;
/// The reactor that watched the descriptor has ended.
const SHUTDOWN: u64 = 1 << 4;
/// Urgent data came at least once. A read stops short in front of it, so that from then on a short
/// read does not say that all was taken.
const URGENT: u64 = 1 << 5;

/// The upper half counts events, and wraps: a count is mistaken for an earlier one only if exactly
/// 2³² events arrive during one attempt to read or write.
const EVENT: u64 = 1 << 32;

/// One half of what a descriptor can be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    fn open(self) -> u64 {
        match self {
            Self::Read => READABLE,
            Self::Write => WRITABLE,
        }
    }

    fn closed(self) -> u64 {
        match self {
            Self::Read => READ_CLOSED,
            Self::Write => WRITE_CLOSED,
        }
    }
}

/// What an event said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News(u64);

impl News {
    pub(super) fn from_event(event: &mio::event::Event) -> Self {
        let mut bits = 0;
        for (said, bit) in [
            (event.is_readable(), READABLE),
            (event.is_writable(), WRITABLE),
            (event.is_read_closed(), READ_CLOSED),
            (event.is_write_closed(), WRITE_CLOSED),
            // Whoever tries next gets the error, whichever way it tries.
            (event.is_error(), READABLE | WRITABLE),
            (event.is_priority(), READABLE | URGENT),
        ] {
            bits |= if said { bit } else { 0 };
        }
        Self(bits)
    }

    pub(super) fn of(direction: Direction) -> Self {
        Self(direction.open())
    }

    /// Whether somebody who waits in `direction` is concerned.
    pub(super) fn concerns(self, direction: Direction) -> bool {
        self.0 & (direction.open() | direction.closed()) != 0
    }

    /// The end of one direction.
    #[cfg(test)]
    pub(super) fn end_of(direction: Direction) -> Self {
        Self(direction.open() | direction.closed())
    }
}

/// The state of the word at one moment: what an attempt was based on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u64);

/// The word.
#[derive(Debug)]
pub(super) struct Readiness(AtomicU64);

impl Readiness {
    /// Nothing is known, so everything is worth an attempt.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(READABLE | WRITABLE))
    }

    /// Whether an attempt in `direction` is worth its system call.
    #[inline]
    pub(super) fn look(&self, direction: Direction) -> Option<Seen> {
        let word = self.0.load(Acquire);
        (word & (direction.open() | direction.closed()) != 0).then_some(Seen(word))
    }

    /// Whether the connection is gone in both directions: the peer has reset it, for example.
    pub(super) fn is_hung_up(&self) -> bool {
        hung_up(self.0.load(Acquire))
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.0.load(Acquire) & SHUTDOWN != 0
    }

    /// Adds what an event said. Never takes away what another direction waits for. Tells whether the
    /// connection is gone in both directions now.
    #[inline]
    pub(super) fn set(&self, news: News) -> bool {
        hung_up(self.update(|word| (word | news.0).wrapping_add(EVENT)))
    }

    /// The attempt based on `seen` took all there was, and would have blocked had it gone on.
    ///
    /// What is closed stays known. Where urgent data may have cut a read short, nothing is concluded.
    #[inline]
    pub(super) fn exhaust(&self, direction: Direction, seen: Seen) {
        if direction == Direction::Write || seen.0 & URGENT == 0 {
            self.forget(direction.open(), seen);
        }
    }

    /// The attempt based on `seen` would have blocked, so everything that spoke for it was wrong.
    pub(super) fn disprove(&self, direction: Direction, seen: Seen) {
        self.forget(direction.open() | direction.closed(), seen);
    }

    fn forget(&self, bits: u64, seen: Seen) {
        self.update(|word| {
            let newer = (word ^ seen.0) >> 32 != 0;
            if newer { word } else { word & !bits }
        });
    }

    /// Nobody watches any more, so that nothing is known: everything is worth an attempt.
    pub(super) fn shut_down(&self) {
        self.update(|word| (word | SHUTDOWN | READABLE | WRITABLE).wrapping_add(EVENT));
    }

    /// Nobody watches, as nobody can: the next attempt is worth its system call again.
    pub(super) fn unwatched(&self) {
        self.update(|word| (word | READABLE | WRITABLE).wrapping_add(EVENT));
    }

    /// A living reactor watches again.
    pub(super) fn revive(&self) {
        self.update(|word| word & !SHUTDOWN);
    }

    /// Changes the word, and tells what it is then.
    #[inline]
    fn update(&self, change: impl Fn(u64) -> u64) -> u64 {
        let mut word = self.0.load(Acquire);
        loop {
            let next = change(word);
            if next == word {
                return word;
            }
            match self.0.compare_exchange_weak(word, next, AcqRel, Acquire) {
                Ok(_) => return next,
                Err(now) => word = now,
            }
        }
    }
}

#[inline]
fn hung_up(word: u64) -> bool {
    // Either direction may end alone: that of reading when the peer sends no more, that of writing
    // when we do not, as kqueue tells, or where only an error was queued.
    let both = READ_CLOSED | WRITE_CLOSED;
    word & both == both
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_event_after_the_look_is_not_cleared() {
        let word = Readiness::new();
        let seen = word.look(Direction::Read).unwrap();
        word.set(News::of(Direction::Read));
        word.disprove(Direction::Read, seen);
        assert!(word.look(Direction::Read).is_some());
        let seen = word.look(Direction::Read).unwrap();
        word.disprove(Direction::Read, seen);
        assert!(word.look(Direction::Read).is_none());
        assert!(word.look(Direction::Write).is_some(), "the other direction is not concerned");
    }

    #[test]
    fn a_write_event_says_nothing_about_reading() {
        let word = Readiness::new();
        word.disprove(Direction::Read, word.look(Direction::Read).unwrap());
        word.set(News::of(Direction::Write));
        assert!(word.look(Direction::Read).is_none());
        word.set(News::of(Direction::Read));
        word.disprove(Direction::Write, word.look(Direction::Write).unwrap());
        assert!(word.look(Direction::Read).is_some());
    }

    #[test]
    fn the_end_stays_known_after_a_short_read_but_not_after_a_refusal() {
        let word = Readiness::new();
        word.set(News(READABLE | READ_CLOSED));
        let seen = word.look(Direction::Read).unwrap();
        word.exhaust(Direction::Read, seen);
        assert!(word.look(Direction::Read).is_some());
        word.disprove(Direction::Read, seen);
        assert!(word.look(Direction::Read).is_none());
    }

    #[test]
    fn an_end_on_one_side_is_no_hangup() {
        for (first, second) in [(READ_CLOSED, WRITE_CLOSED), (WRITE_CLOSED, READ_CLOSED)] {
            let word = Readiness::new();
            word.set(News(first));
            assert!(!word.is_hung_up());
            word.set(News(second));
            assert!(word.is_hung_up());
        }
    }

    #[test]
    fn after_urgent_data_a_short_read_says_nothing() {
        let word = Readiness::new();
        word.set(News(READABLE | URGENT));
        let seen = word.look(Direction::Read).unwrap();
        word.exhaust(Direction::Read, seen);
        assert!(word.look(Direction::Read).is_some());
        word.exhaust(Direction::Write, seen);
        assert!(word.look(Direction::Write).is_none());
        word.disprove(Direction::Read, seen);
        assert!(word.look(Direction::Read).is_none());
    }

    #[test]
    fn the_count_wraps_without_touching_the_flags() {
        let word = Readiness(AtomicU64::new(u64::MAX << 32));
        let before = Seen(u64::MAX << 32);
        word.set(News::of(Direction::Read));
        assert!(word.look(Direction::Read).is_some());
        assert!(word.look(Direction::Write).is_none());
        word.disprove(Direction::Read, before);
        assert!(word.look(Direction::Read).is_some());
    }
}
