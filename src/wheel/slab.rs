//! Where timers live: entries found by a `u32`, reused, and never mistaken for one another.

use super::levels::Slot;
use super::list::{Entry, List, NIL};
use std::num::{NonZeroU32, NonZeroU64};

/// A generation that no key bears: an entry that reaches it is never used again.
const RETIRED: NonZeroU32 = NonZeroU32::MAX;

/// Entries that have lived through this many uses keep their place when memory is given back.
const AGED: NonZeroU32 = NonZeroU32::new(1 << 31).unwrap();

/// Entries whose memory is kept however few are in use: 5 KiB with a waker in each.
const KEPT: u32 = 128;

/// Names one timer for as long as the wheel lives.
///
/// A key whose timer has fired or been removed is stale, and finds nothing for ever after.
///
/// The upper half is the index, the lower the generation. They are one word because a key is often
/// read right after it was written, and a read that spans two writes has to wait for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey(NonZeroU64);

impl TimerKey {
    #[inline]
    fn new(index: u32, generation: NonZeroU32) -> Self {
        Self(NonZeroU64::from(generation) | u64::from(index) << 32)
    }

    #[inline]
    pub(super) fn index(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    #[inline]
    fn generation(self) -> u32 {
        self.0.get() as u32
    }
}

/// The wheel holds as many timers as it can; here is the value that found no place.
#[derive(Debug)]
pub(crate) struct Full<T>(pub(crate) T);

/// The entries of all timers.
///
/// # Generations
///
/// A key holds an index and the generation that the entry had when the timer was inserted.
/// Freeing an entry raises its generation, so older keys stop matching. Generations do not wrap:
/// an entry whose generation reaches its maximum is retired and stays empty, which costs its 40
/// bytes once in 2³² uses of one entry.
///
/// # What happens to memory after a peak
///
/// Entries cannot move, since keys name their place, so only free entries at the end can be given
/// back. That happens as soon as fewer than a quarter of all are in use; the first 128 are always
/// kept. A timer that lives on at the end holds what lies before it, until it fires. New timers do
/// not prolong that: free entries of the lower half are handed out before those of the upper half,
/// which so runs dry. Every step is constant in time, except that the `Vec` moves its entries when
/// it grows or shrinks.
///
/// New entries start from the highest generation ever given back, so that no key of an entry that
/// was there before can match. To leave them a long life, an entry which has been used 2³¹ times
/// is not given back, nor are those before it.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    /// The free entries: in front those of the lower half, behind those of the upper.
    free: List,
    live: u32,
    /// Where the generation of a new entry starts; at most `AGED`.
    floor: NonZeroU32,
    /// How many entries there may be; less than `NIL` in tests only.
    limit: u32,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        let (free, floor) = (List::EMPTY, NonZeroU32::MIN);
        Self { entries: Vec::new(), free, live: 0, floor, limit: NIL }
    }

    /// Takes a free entry; linking it into the list of `slot` is the caller's.
    #[inline]
    pub(super) fn insert(
        &mut self,
        deadline: u64,
        slot: Slot,
        value: T,
    ) -> Result<TimerKey, Full<T>> {
        let index = self.free.head;
        if index == NIL {
            return self.insert_new(deadline, slot, value);
        }
        self.free.unlink(&mut self.entries, index);
        self.live += 1;
        let entry = &mut self.entries[index as usize];
        entry.deadline = deadline;
        entry.slot = slot;
        entry.value = Some(value);
        Ok(TimerKey::new(index, entry.generation))
    }

    #[cold]
    fn insert_new(&mut self, deadline: u64, slot: Slot, value: T) -> Result<TimerKey, Full<T>> {
        let index = self.bound();
        if index >= self.limit {
            return Err(Full(value));
        }
        let generation = self.floor;
        let value = Some(value);
        self.entries.push(Entry { deadline, next: NIL, prev: NIL, generation, slot, value });
        self.live += 1;
        Ok(TimerKey::new(index, generation))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index() as usize)?;
        if entry.generation.get() != key.generation() {
            return None;
        }
        entry.value.as_mut()
    }

    /// Empties an entry that has been taken out of its list.
    #[inline]
    pub(super) fn free(&mut self, index: u32) -> Option<T> {
        let bound = self.bound();
        let entry = &mut self.entries[index as usize];
        let value = entry.value.take()?;
        entry.generation = entry.generation.saturating_add(1);
        if entry.generation == RETIRED {
            // In no list from here on.
        } else if index < bound / 2 {
            self.free.push_front(&mut self.entries, index);
        } else {
            self.free.push_back(&mut self.entries, index);
        }
        self.live -= 1;
        if bound > KEPT && self.live < bound / 4 {
            self.give_back();
        }
        Some(value)
    }

    /// An entry by its index, which comes from a list or a key that matched.
    #[inline]
    pub(super) fn entry(&self, index: u32) -> &Entry<T> {
        &self.entries[index as usize]
    }

    /// All entries, for a list to link.
    #[inline]
    pub(super) fn entries(&mut self) -> &mut [Entry<T>] {
        &mut self.entries
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.live as usize
    }

    /// One more than the highest index.
    #[inline]
    pub(super) fn bound(&self) -> u32 {
        // At most `limit`, which is a u32.
        self.entries.len() as u32
    }

    /// Drops the free entries at the end. Each was pushed once, which pays for it.
    #[inline(never)]
    fn give_back(&mut self) {
        while self.bound() > KEPT
            && let Some(last) = self.entries.last()
            && last.value.is_none()
            && last.generation < AGED
        {
            self.floor = self.floor.max(last.generation);
            let index = self.bound() - 1;
            self.free.unlink(&mut self.entries, index);
            self.entries.pop();
        }
        if self.bound() <= KEPT {
            self.entries.shrink_to(KEPT as usize);
        } else if self.entries.capacity() / 4 >= self.entries.len() {
            // Room for twice as many, so that the next timers do not make it grow at once.
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Panics unless each entry is live, free or retired, and counted as such.
    #[cfg(any(all(test, not(loom)), fuzzing))]
    pub(super) fn check(&self) {
        let mut free = 0;
        let mut index = self.free.head;
        while index != NIL {
            let entry = self.entry(index);
            assert!(entry.value.is_none() && entry.generation < RETIRED, "{index} is not free");
            free += 1;
            assert!(free <= self.entries.len(), "the free entries go round in a circle");
            index = entry.next;
        }
        let live = self.entries.iter().filter(|entry| entry.value.is_some()).count();
        let retired = self.entries.iter().filter(|entry| entry.generation == RETIRED).count();
        assert_eq!(live, self.len(), "live entries");
        assert_eq!(live + free + retired, self.entries.len(), "an entry is lost");
    }

    /// Bytes of heap memory, for tests.
    #[cfg(all(test, not(loom)))]
    pub(super) fn heap(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<T>>()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
