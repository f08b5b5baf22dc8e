//! Who waits for a descriptor, and in which place.

use super::readiness::Direction;
use crate::util::WakeList;
use std::task::Waker;

/// All of them. The caller holds the lock, so what comes back is for dropping after that.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    read: Side,
    write: Side,
    hangup: Option<Waker>,
    last_key: u64,
}

/// The place in which a waker waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitKey {
    /// That of the `poll_…` functions.
    Poll,
    /// That of one future; 0 until it first waits.
    Future(u64),
    /// That of whoever waits for the end of both directions, and for nothing else.
    Hangup,
}

impl Waiters {
    /// How many places are taken, that for the end of both directions apart.
    pub(super) fn len(&self) -> usize {
        self.read.len() + self.write.len()
    }

    /// Empties the place of a future.
    pub(super) fn remove(&mut self, direction: Direction, number: u64) -> Option<Waker> {
        self.side(direction).remove(number)
    }

    /// Empties all places in one direction.
    #[inline]
    pub(super) fn take(&mut self, direction: Direction, wakes: &mut WakeList) {
        self.side(direction).take(wakes);
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    pub(super) fn take_hangup(&mut self, wakes: &mut WakeList) {
        if let Some(waker) = self.hangup.take() {
            wakes.push(waker);
        }
    }

    /// Puts `waker` in its place; returns the one that was there.
    pub(super) fn put(
        &mut self,
        direction: Direction,
        key: &mut WaitKey,
        waker: Waker,
    ) -> Option<Waker> {
        if *key == WaitKey::Future(0) {
            self.last_key += 1;
            *key = WaitKey::Future(self.last_key);
        }
        let number = match *key {
            WaitKey::Poll => POLL,
            WaitKey::Hangup => return self.hangup.replace(waker),
            WaitKey::Future(number) => number,
        };
        self.side(direction).put(number, waker)
    }
}

/// Those who wait in one direction, each in a place with a number.
///
/// The `poll_…` functions of a socket share one place, as their contract is that the last caller is
/// woken. Futures that borrow a socket have a place each, which they give up when they are dropped;
/// so there are never more than there are such futures. Most often there is one, which needs no room
/// elsewhere.
#[derive(Debug, Default)]
struct Side {
    number: u64,
    first: Option<Waker>,
    others: Option<Box<Others>>,
}

type Others = Vec<(u64, Waker)>;

/// That of the `poll_…` functions; those of futures are counted from 1.
const POLL: u64 = 0;

impl Side {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }

    /// Puts `waker` in a place; returns the one that was there.
    #[inline]
    fn put(&mut self, number: u64, waker: Waker) -> Option<Waker> {
        match &mut self.first {
            Some(first) if self.number == number => Some(std::mem::replace(first, waker)),
            None if self.others.is_none() => {
                self.number = number;
                self.first = Some(waker);
                None
            }
            _ => self.put_among_others(number, waker),
        }
    }

    #[cold]
    fn put_among_others(&mut self, number: u64, waker: Waker) -> Option<Waker> {
        let others = self.others.get_or_insert_default();
        match others.iter_mut().find(|(present, _)| *present == number) {
            Some((_, present)) => Some(std::mem::replace(present, waker)),
            None => {
                others.push((number, waker));
                None
            }
        }
    }

    /// Empties a place.
    fn remove(&mut self, number: u64) -> Option<Waker> {
        if self.number == number && self.first.is_some() {
            return self.first.take();
        }
        let others = self.others.as_mut()?;
        let at = others.iter().position(|(present, _)| *present == number)?;
        Some(others.swap_remove(at).1)
    }

    /// Empties all places.
    #[inline]
    fn take(&mut self, wakes: &mut WakeList) {
        if let Some(waker) = self.first.take() {
            wakes.push(waker);
        }
        if let Some(others) = self.others.take() {
            others.into_iter().for_each(|(_, waker)| wakes.push(waker));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Nothing;

    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn each_has_a_place_of_its_own() {
        let mut waiters = Waiters::default();
        let wakers: [Waker; 4] = std::array::from_fn(|_| Waker::from(Arc::new(Nothing)));
        let mut keys = [WaitKey::Poll, WaitKey::Future(0), WaitKey::Future(0)];
        for (key, waker) in keys.iter_mut().zip(&wakers) {
            assert!(waiters.put(Direction::Read, key, waker.clone()).is_none());
        }
        assert_eq!(keys[1..], [WaitKey::Future(1), WaitKey::Future(2)]);
        for (key, waker) in keys.iter_mut().zip(&wakers) {
            let old = waiters.put(Direction::Read, key, waker.clone());
            assert!(old.unwrap().will_wake(waker), "its own, and no other's");
        }
        assert_eq!(waiters.len(), 3);
        assert!(waiters.remove(Direction::Write, 1).is_none());
        assert!(waiters.remove(Direction::Read, 1).unwrap().will_wake(&wakers[1]));
        let old = waiters.put(Direction::Read, &mut keys[0], wakers[3].clone());
        assert!(old.unwrap().will_wake(&wakers[0]));
        let mut wakes = WakeList::new();
        waiters.take(Direction::Read, &mut wakes);
        assert_eq!((wakes.len(), waiters.len()), (2, 0));
    }

    #[test]
    fn a_place_among_others_stays_there_when_the_first_is_empty() {
        let mut waiters = Waiters::default();
        let mut keys = [WaitKey::Future(0), WaitKey::Future(0)];
        for key in &mut keys {
            waiters.put(Direction::Write, key, Waker::from(Arc::new(Nothing)));
        }
        assert!(waiters.remove(Direction::Write, 1).is_some());
        assert!(
            waiters.put(Direction::Write, &mut keys[1], Waker::from(Arc::new(Nothing))).is_some()
        );
        assert_eq!(waiters.len(), 1, "one place for one who waits");
        assert!(waiters.remove(Direction::Write, 2).is_some());
        assert!(waiters.remove(Direction::Write, 2).is_none());
    }
}
