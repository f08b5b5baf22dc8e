//! The entries of the slab, and the doubly linked lists that they form by their indices.

use super::levels::Slot;
use std::num::NonZeroU32;

/// No entry: the end of a list. One index is given up for it.
pub(super) const NIL: u32 = u32::MAX;

/// One timer, or a place for one.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) deadline: u64,
    /// The neighbours: in the list of `slot`, or among the free entries.
    pub(super) next: u32,
    pub(super) prev: u32,
    /// What the keys of the timer that lives here, or of the next one, bear.
    pub(super) generation: NonZeroU32,
    pub(super) slot: Slot,
    /// `Some` exactly while a timer lives here.
    pub(super) value: Option<T>,
}

/// The two ends of a list; both are `NIL` if it is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NIL, tail: NIL };

    #[inline]
    pub(super) fn push_front<T>(&mut self, entries: &mut [Entry<T>], index: u32) {
        let after = std::mem::replace(&mut self.head, index);
        let entry = &mut entries[index as usize];
        entry.prev = NIL;
        entry.next = after;
        if after == NIL {
            self.tail = index;
        } else {
            entries[after as usize].prev = index;
        }
    }

    #[inline]
    pub(super) fn push_back<T>(&mut self, entries: &mut [Entry<T>], index: u32) {
        let before = std::mem::replace(&mut self.tail, index);
        let entry = &mut entries[index as usize];
        entry.prev = before;
        entry.next = NIL;
        if before == NIL {
            self.head = index;
        } else {
            entries[before as usize].next = index;
        }
    }

    /// Takes out an entry that is in this list; its own links stay as they were.
    #[inline]
    pub(super) fn unlink<T>(&mut self, entries: &mut [Entry<T>], index: u32) {
        let entry = &entries[index as usize];
        let (prev, next) = (entry.prev, entry.next);
        if prev == NIL {
            self.head = next;
        } else {
            entries[prev as usize].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            entries[next as usize].prev = prev;
        }
    }
}
