//! The tree that tokens stand in: whose end is whose.
//!
//! A token is a [`Node`]: an event, which is set when the token is cancelled, and a place in a
//! [`Tree`]. The tree is a slab of entries that point at each other by number, under one lock.
//!
//! # What the tree looks like
//!
//! 1. An entry is *alive* while its node is: a token or a future of it is still around. The node
//!    takes itself out under the lock when it goes.
//! 2. An entry whose node is gone stays only where two or more branches hang from it: they are still
//!    cancelled with what is above it. With one branch left, the branch takes its place; with none,
//!    it goes. So there are never more dead entries than alive ones, a token that goes changes the
//!    links of a few neighbours, and nothing is handed on from generation to generation.
//! 3. A node that is cancelled has no entry, and neither has anything below it.
//!
//! So whoever makes a token a child of its child and forgets the parent, for ever, keeps one entry;
//! and nothing here recurses, however deep a tree is.
//!
//! # Why this is sound
//!
//! *The pointer in an entry.* It points at the event of a node, and is followed only under the lock
//! of the tree. A node takes the lock before it goes, and removes the pointer if a cancel has not;
//! so under the lock the node is there. That is why a node takes the lock also when it knows that it
//! is cancelled: the one who set its event may still be about to let go of it. A node is `!Unpin`,
//! so the `&mut` of its drop claims no exclusive use of the event in the meantime.
//!
//! *Locks.* Under the lock of a tree the lock of an event's queue is taken, one at a time. Under
//! that one none is taken. Wakers are collected under both, and woken under neither.
//!
//! *Order.* A branch is cancelled from its tips to its foot. So who sees a token cancelled sees
//! everything below it cancelled; a second `cancel` that finds the flag set has nothing to do. A
//! child is entered under the same lock: either before a cancel, which then finds it, or after, and
//! then it finds that its parent is cancelled.

use crate::primitives::{Arc, AtomicUsize, Mutex, Ordering};
use crate::sync::Event;
use crate::util::WakeList;
use slab::Slab;
use std::marker::PhantomPinned;
use std::ptr::NonNull;

/// No entry.
const NONE: usize = usize::MAX;

/// What all clones of a token share.
#[derive(Debug)]
pub(super) struct Node {
    event: Event,
    // INVARIANT: `None` only where the event is set.
    tree: Option<Arc<Tree>>,
    // INVARIANT: the number of the entry of this node, as long as the event is not set. Written
    // under the lock of the tree, before anybody else has the node.
    key: AtomicUsize,
    _pinned: PhantomPinned,
}

#[derive(Debug)]
struct Tree {
    shape: Mutex<Shape>,
}

/// The entries, and what may be done to them.
#[derive(Debug)]
struct Shape {
    entries: Slab<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    // INVARIANT: the event of a node that exists while the lock is held; `None` once it went.
    event: Option<NonNull<Event>>,
    parent: usize,
    // The children are a list in both directions, the youngest first.
    first_child: usize,
    prev: usize,
    next: usize,
}

// SAFETY: the pointer is to an `Event`, which is `Sync`; it is followed only while it is good (see
// above).
unsafe impl Send for Entry {}

impl Node {
    /// A node that nothing is above.
    pub(super) fn root() -> Arc<Self> {
        let tree = Arc::new(Tree { shape: Mutex::new(Shape { entries: Slab::new() }) });
        let node = Self::unplaced(Some(Arc::clone(&tree)));
        tree.shape.lock().enter(&node, NONE);
        node
    }

    /// A node that is cancelled when this one is.
    pub(super) fn child(&self) -> Arc<Self> {
        let tree = self.tree.as_ref().filter(|_| !self.event.is_set());
        let child = Self::unplaced(tree.map(Arc::clone));
        let Some(tree) = tree else {
            child.event.set();
            return child;
        };
        let mut shape = tree.shape.lock();
        if self.event.is_set() {
            child.event.set();
        } else {
            shape.enter(&child, self.key.load(Ordering::Relaxed));
        }
        drop(shape);
        child
    }

    fn unplaced(tree: Option<Arc<Tree>>) -> Arc<Self> {
        Arc::new(Self {
            event: Event::new(),
            tree,
            key: AtomicUsize::new(NONE),
            _pinned: PhantomPinned,
        })
    }

    /// Cancels this node and everything below it.
    pub(super) fn cancel(&self) {
        let Some(tree) = self.tree.as_ref().filter(|_| !self.event.is_set()) else { return };
        let mut wakers = WakeList::new();
        let mut shape = tree.shape.lock();
        if !self.event.is_set() {
            shape.cancel(self.key.load(Ordering::Relaxed), &mut wakers);
        }
        drop(shape);
        wakers.wake_all();
    }

    /// What is set when this node is cancelled.
    #[inline]
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// How many entries the tree has.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.tree.as_ref().map_or(0, |tree| tree.shape.lock().entries.len())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(tree) = &self.tree else { return };
        let mut shape = tree.shape.lock();
        if !self.event.is_set() {
            shape.leave(self.key.load(Ordering::Relaxed));
        }
    }
}

impl Shape {
    /// Makes an entry for `node` below `parent`.
    fn enter(&mut self, node: &Node, parent: usize) {
        let event = Some(NonNull::from(&node.event));
        let next = if parent == NONE { NONE } else { self.entries[parent].first_child };
        let entry = Entry { event, parent, first_child: NONE, prev: NONE, next };
        let key = self.entries.insert(entry);
        self.repoint(key);
        node.key.store(key, Ordering::Relaxed);
    }

    /// Takes out `foot` and everything below it, from the tips down, and sets their events.
    fn cancel(&mut self, foot: usize, wakers: &mut WakeList) {
        let above = self.entries[foot].parent;
        let mut at = foot;
        loop {
            let tip = self.entries[at].first_child;
            if tip != NONE {
                at = tip;
                continue;
            }
            let entry = self.take(at);
            if let Some(event) = entry.event {
                // SAFETY: the lock is held (`&mut self`), so the node is there.
                unsafe { event.as_ref() }.set_quietly(wakers);
            }
            if at == foot {
                break;
            }
            at = entry.parent;
        }
        self.tidy(above);
    }

    /// Notes that the node of `key` is going.
    fn leave(&mut self, key: usize) {
        self.entries[key].event = None;
        self.tidy(key);
    }

    /// Makes good rule 2 for `key`, where it is dead.
    fn tidy(&mut self, mut key: usize) {
        while key != NONE {
            let Entry { event, parent, first_child, prev, next } = self.entries[key];
            if event.is_some() {
                return;
            }
            if first_child == NONE {
                self.take(key);
                // The one above may have been kept for this one, and one more.
                key = parent;
                continue;
            }
            if self.entries[first_child].next == NONE {
                let only = &mut self.entries[first_child];
                (only.parent, only.prev, only.next) = (parent, prev, next);
                self.repoint(first_child);
                self.entries.remove(key);
            }
            return;
        }
    }

    /// Takes out one entry that nothing is below.
    fn take(&mut self, key: usize) -> Entry {
        let entry = self.entries.remove(key);
        if entry.prev != NONE {
            self.entries[entry.prev].next = entry.next;
        } else if entry.parent != NONE {
            self.entries[entry.parent].first_child = entry.next;
        }
        if entry.next != NONE {
            self.entries[entry.next].prev = entry.prev;
        }
        entry
    }

    /// Makes the neighbours of the place of `key` point at it.
    fn repoint(&mut self, key: usize) {
        let Entry { parent, prev, next, .. } = self.entries[key];
        if prev != NONE {
            self.entries[prev].next = key;
        } else if parent != NONE {
            self.entries[parent].first_child = key;
        }
        if next != NONE {
            self.entries[next].prev = key;
        }
    }
}
