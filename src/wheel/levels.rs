//! Which timers are due when: eleven levels of 64 lists, and a bit for each list that has one.

use super::list::{List, NIL};
use super::slab::Slab;

/// Bits of one digit: 64 slots to a level, as many as a word of occupancy has bits.
const BITS: u32 = 6;
const SLOTS: u32 = 1 << BITS;
/// Digits of a `u64` tick; the highest has four bits, so its level uses 16 slots.
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;

/// The place of a list: `level × 64 + index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    /// Timers that were late when they were inserted, see the module's page.
    pub(super) const LATE: Self = Self(0);

    /// Where a timer belongs while time stands at `elapsed`.
    #[inline]
    pub(super) fn of(elapsed: u64, deadline: u64) -> Self {
        if deadline < elapsed {
            return Self::LATE;
        }
        let level = ((elapsed ^ deadline) | 1).ilog2() / BITS;
        let index = (deadline >> (level * BITS)) as u32 % SLOTS;
        Self(level * SLOTS + index)
    }

    #[inline]
    pub(super) fn level(self) -> u32 {
        self.0 / SLOTS
    }

    #[inline]
    fn index(self) -> u32 {
        self.0 % SLOTS
    }

    /// The tick at which time enters this slot, or `elapsed` if it is there already.
    #[inline]
    pub(super) fn start(self, elapsed: u64) -> u64 {
        let shift = self.level() * BITS;
        // Two shifts, because on the top level they add up to more than 63.
        let above = elapsed >> shift >> BITS << BITS;
        ((above | u64::from(self.index())) << shift).max(elapsed)
    }
}

/// The lists of all levels.
#[derive(Debug)]
pub(super) struct Levels {
    /// Per level a word, in it per slot a bit: set exactly while the slot's list has a timer.
    occupied: [u64; LEVELS],
    /// A bit for each level: set exactly while one of its slots is.
    in_use: u32,
    /// Whole levels, from 0 to the highest ever used.
    lists: Vec<List>,
}

impl Levels {
    pub(super) const fn new() -> Self {
        Self { occupied: [0; LEVELS], in_use: 0, lists: Vec::new() }
    }

    /// The slot that holds the earliest timer.
    #[inline]
    pub(super) fn first(&self) -> Option<Slot> {
        let level = self.in_use.trailing_zeros();
        let word = self.occupied.get(level as usize)?;
        Some(Slot(level * SLOTS + word.trailing_zeros()))
    }

    /// The first timer of a list.
    #[inline]
    pub(super) fn head(&self, slot: Slot) -> Option<u32> {
        self.lists.get(slot.0 as usize).map(|list| list.head).filter(|head| *head != NIL)
    }

    /// The last timer of a list.
    #[inline]
    pub(super) fn last(&self, slot: Slot) -> Option<u32> {
        self.lists.get(slot.0 as usize).map(|list| list.tail).filter(|tail| *tail != NIL)
    }

    /// The timer of a list that has exactly one.
    #[inline]
    pub(super) fn only(&self, slot: Slot) -> Option<u32> {
        self.head(slot).filter(|head| self.last(slot) == Some(*head))
    }

    /// The deadlines of a list.
    pub(super) fn deadlines<T>(&self, slab: &Slab<T>, slot: Slot) -> impl Iterator<Item = u64> {
        let head = self.head(slot);
        let next = |index: &u32| Some(slab.entry(*index).next).filter(|next| *next != NIL);
        std::iter::successors(head, next).map(|index| slab.entry(index).deadline)
    }

    /// Puts a timer, which says that it is in `slot`, at the end of its list.
    #[inline]
    pub(super) fn push_back<T>(&mut self, slab: &mut Slab<T>, slot: Slot, index: u32) {
        let at = slot.0 as usize;
        if at >= self.lists.len() {
            self.grow(slot);
        }
        self.lists[at].push_back(slab.entries(), index);
        self.occupied[slot.level() as usize] |= 1 << slot.index();
        self.in_use |= 1 << slot.level();
    }

    /// Takes a timer out of the list that it is in.
    #[inline]
    pub(super) fn unlink<T>(&mut self, slab: &mut Slab<T>, index: u32) {
        let slot = slab.entry(index).slot;
        let list = &mut self.lists[slot.0 as usize];
        list.unlink(slab.entries(), index);
        if list.head == NIL {
            self.vacate(slot);
        }
    }

    /// Files the timers of a list anew, in their order, now that time has entered its slot.
    pub(super) fn break_up<T>(&mut self, slab: &mut Slab<T>, slot: Slot, elapsed: u64) {
        let mut index = self.detach(slot);
        while index != NIL {
            let entry = slab.entry(index);
            let (next, slot) = (entry.next, Slot::of(elapsed, entry.deadline));
            slab.entries()[index as usize].slot = slot;
            self.push_back(slab, slot, index);
            index = next;
        }
    }

    /// Sorts a list by deadline; equal ones keep their order.
    ///
    /// The only place that allocates in proportion to the timers: linked lists sort badly, and
    /// late timers that are out of order are rare.
    pub(super) fn sort<T>(&mut self, slab: &mut Slab<T>, slot: Slot) {
        let mut index = self.detach(slot);
        let mut order = Vec::new();
        while index != NIL {
            let entry = slab.entry(index);
            order.push((entry.deadline, index));
            index = entry.next;
        }
        order.sort_by_key(|(deadline, _)| *deadline);
        for (_, index) in order {
            self.push_back(slab, slot, index);
        }
    }

    /// Empties a list, and gives the head of the chain that it was.
    fn detach(&mut self, slot: Slot) -> u32 {
        self.vacate(slot);
        std::mem::replace(&mut self.lists[slot.0 as usize], List::EMPTY).head
    }

    /// Notes that a list has become empty.
    #[inline]
    fn vacate(&mut self, slot: Slot) {
        let word = &mut self.occupied[slot.level() as usize];
        *word &= !(1 << slot.index());
        if *word == 0 {
            self.in_use &= !(1 << slot.level());
        }
    }

    #[cold]
    fn grow(&mut self, slot: Slot) {
        let len = (slot.level() as usize + 1) * SLOTS as usize;
        self.lists.reserve_exact(len - self.lists.len());
        self.lists.resize(len, List::EMPTY);
    }

    /// Panics unless lists, bits and the filing of each timer agree.
    #[cfg(any(all(test, not(loom)), fuzzing))]
    pub(super) fn check<T>(&self, slab: &Slab<T>, elapsed: u64) {
        for (level, word) in self.occupied.iter().enumerate() {
            assert_eq!(self.in_use >> level & 1 == 1, *word != 0, "the bit of level {level}");
        }
        let mut seen = 0;
        for (slot, list) in (0..).map(Slot).zip(&self.lists) {
            let bit = self.occupied[slot.level() as usize] >> slot.index() & 1;
            assert_eq!(bit == 1, list.head != NIL, "the bit of {slot:?}");
            let (mut prev, mut index) = (NIL, list.head);
            while index != NIL {
                let entry = slab.entry(index);
                assert!(entry.value.is_some(), "a free entry in the list of {slot:?}");
                assert_eq!((entry.slot, entry.prev), (slot, prev), "the links of {index}");
                assert_eq!(slot, Slot::of(elapsed, entry.deadline), "the filing of {index}");
                seen += 1;
                (prev, index) = (index, entry.next);
            }
            assert_eq!(list.tail, prev, "the tail of {slot:?}");
        }
        assert_eq!(seen, slab.len(), "a timer in no list");
    }

    /// Bytes of heap memory, for tests.
    #[cfg(all(test, not(loom)))]
    pub(super) fn heap(&self) -> usize {
        self.lists.capacity() * size_of::<List>()
    }
}
