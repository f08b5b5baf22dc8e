//! An intrusive doubly linked list: the nodes live in what waits, the list only points at them.
//!
//! # Why this is sound
//!
//! A [`Node`] is part of a future that waits; a [`List`] is part of what it waits for, usually
//! behind a lock. No allocation is made to wait, and a node leaves from anywhere in O(1).
//!
//! *Who may touch what.* The links of a node are reached only by methods of `List` that hold
//! `&mut List` (or `&List` and only read). Each node is in at most one list, so `&mut List` is
//! exclusive over the links of all its nodes. A list that several threads share lies in a
//! [`Mutex`](crate::primitives::Mutex), which is where `&mut List` comes from. The value of a node
//! is only ever lent out as `&T`: what must change in it has a cell of its own, with a rule of its
//! own.
//!
//! *Why no pointer dangles.* Three promises that the callers of the unsafe methods make:
//!
//! 1. A node that is pushed is pinned, and is not dropped before it was popped or removed. Being
//!    pinned it does not move; whoever holds it removes it in its `Drop`. A pinned node that is
//!    leaked instead stays valid for ever, which is as good.
//! 2. A node that is pushed is in no list at that moment.
//! 3. A node that is removed is in this list at that moment.
//!
//! The list itself may go while nodes are linked (only leaked ones can be, where each holder
//! borrows or shares the list): nobody follows links without the list.
//!
//! *Aliasing.* Nodes are handled through pointers made from `&Node`, and written only inside the
//! `UnsafeCell` of their links. A node is `!Unpin`, so a `&mut` to the future around it claims no
//! exclusive use of the node.

use crate::primitives::UnsafeCell;
use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::NonNull;

/// A list, in the order in which they came, of nodes that others own.
pub(crate) struct List<T> {
    // INVARIANT: `None` exactly when `tail` is; else a live, pinned node whose `prev` is `None`.
    head: Option<NonNull<Node<T>>>,
    // INVARIANT: the last node that is reached from `head` over `next`; its own `next` is `None`.
    tail: Option<NonNull<Node<T>>>,
}

/// A value that can stand in one [`List`] at a time.
pub(crate) struct Node<T> {
    // INVARIANT: reached only through the list that the node is in, by one that holds it
    // exclusively. What they say while the node is in no list means nothing.
    links: UnsafeCell<Links<T>>,
    value: T,
    _pinned: PhantomPinned,
}

struct Links<T> {
    // INVARIANT: in a list, `a.next == Some(b)` exactly when `b.prev == Some(a)`.
    prev: Option<NonNull<Node<T>>>,
    next: Option<NonNull<Node<T>>>,
}

// SAFETY: a list is pointers to nodes; through it one thread gets `&T` to values that another
// thread owns and also sees (`T: Sync`), and hands them on (`T: Send`). The links are reached only
// with exclusive use of the list.
unsafe impl<T: Send + Sync> Send for List<T> {}
// SAFETY: as above; `&List` reads links, which change only under `&mut List`.
unsafe impl<T: Send + Sync> Sync for List<T> {}
// SAFETY: the links belong to the list, not to the owner of the node, and say nothing about the
// thread of the owner; the rest is the value.
unsafe impl<T: Send> Send for Node<T> {}
// SAFETY: `&Node` gives `&T` and nothing else; the links are reached through the list alone.
unsafe impl<T: Sync> Sync for Node<T> {}

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self { head: None, tail: None }
    }

    /// Whether no node is in the list.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// The value of the node that came first of those in the list.
    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        // SAFETY: the head is alive (promise 1), and cannot leave while `self` is borrowed.
        self.head.map(|head| unsafe { &(*head.as_ptr()).value })
    }

    /// The value of the node that came last of those in the list.
    #[inline]
    pub(crate) fn back(&self) -> Option<&T> {
        // SAFETY: the tail is alive (promise 1), and cannot leave while `self` is borrowed.
        self.tail.map(|tail| unsafe { &(*tail.as_ptr()).value })
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    ///
    /// The node is in no list, and is not dropped before it was popped or removed.
    pub(crate) unsafe fn push_back(&mut self, node: Pin<&Node<T>>) {
        let node = NonNull::from(node.get_ref());
        // SAFETY: the node is alive and in no list, so its links are nobody's: ours from now on.
        unsafe { set_links(node, Links { prev: self.tail, next: None }) };
        match self.tail {
            // SAFETY: the tail is in the list, hence alive, and `&mut self` covers its links.
            Some(tail) => unsafe { with_links(tail, |links| links.next = Some(node)) },
            None => self.head = Some(node),
        }
        self.tail = Some(node);
    }

    /// Takes out the node that came first, and points at its value.
    ///
    /// The pointer is good for as long as the owner of the node does not learn that it was popped:
    /// while the lock around the list is held, or until the value is told.
    pub(crate) fn pop_front(&mut self) -> Option<NonNull<T>> {
        let head = self.head?;
        // SAFETY: the head is in this list.
        unsafe { self.unlink(head) };
        // SAFETY: the node is alive: its owner keeps it until it learns that it was popped.
        Some(NonNull::from(unsafe { &(*head.as_ptr()).value }))
    }

    /// As [`pop_front`](Self::pop_front), with the node that came last.
    pub(crate) fn pop_back(&mut self) -> Option<NonNull<T>> {
        let tail = self.tail?;
        // SAFETY: the tail is in this list.
        unsafe { self.unlink(tail) };
        // SAFETY: the node is alive: its owner keeps it until it learns that it was popped.
        Some(NonNull::from(unsafe { &(*tail.as_ptr()).value }))
    }

    /// Takes a node out, wherever it stands.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    pub(crate) unsafe fn remove(&mut self, node: Pin<&Node<T>>) {
        // SAFETY: passed on to the caller.
        unsafe { self.unlink(NonNull::from(node.get_ref())) };
    }

    /// # Safety
    ///
    /// The node is in this list.
    unsafe fn unlink(&mut self, node: NonNull<Node<T>>) {
        // SAFETY: the node is in this list, so `&mut self` covers its links; its neighbours are
        // then in this list too, hence alive.
        unsafe {
            let (prev, next) = with_links(node, |links| (links.prev.take(), links.next.take()));
            match prev {
                Some(prev) => with_links(prev, |links| {
                    debug_assert_eq!(links.next, Some(node), "a node of another list");
                    links.next = next;
                }),
                None => {
                    debug_assert_eq!(self.head, Some(node), "a node of another list, or of none");
                    self.head = next;
                }
            }
            match next {
                Some(next) => with_links(next, |links| links.prev = prev),
                None => self.tail = prev,
            }
        }
    }
}

impl<T> Node<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            links: UnsafeCell::new(Links { prev: None, next: None }),
            value,
            _pinned: PhantomPinned,
        }
    }

    /// The value, in a list or out of one.
    #[inline]
    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

/// # Safety
///
/// The node is alive, and the caller holds its list exclusively, or it is in none.
#[inline]
unsafe fn with_links<T, R>(node: NonNull<Node<T>>, f: impl FnOnce(&mut Links<T>) -> R) -> R {
    // SAFETY: promised by the caller; `f` is one of the closures above, none of which reaches the
    // links of the same node again.
    unsafe { (*node.as_ptr()).links.with_mut(|links| f(&mut *links)) }
}

/// # Safety
///
/// As [`with_links`].
#[inline]
unsafe fn set_links<T>(node: NonNull<Node<T>>, new: Links<T>) {
    // SAFETY: passed on to the caller.
    unsafe { with_links(node, |links| *links = new) };
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{List, Node};
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::pin::Pin;

    fn pop(list: &mut List<u32>) -> Option<u32> {
        // SAFETY: the nodes of these tests outlive their lists.
        list.pop_front().map(|value| unsafe { *value.as_ptr() })
    }

    fn pop_back(list: &mut List<u32>) -> Option<u32> {
        // SAFETY: as above.
        list.pop_back().map(|value| unsafe { *value.as_ptr() })
    }

    #[test]
    fn nodes_leave_in_the_order_in_which_they_came() {
        let nodes: Vec<_> = (0..3).map(|n| Box::pin(Node::new(n))).collect();
        let mut list = List::new();
        assert!(list.is_empty() && list.front().is_none());
        for node in &nodes {
            // SAFETY: each is pushed once, pinned, and outlives the list.
            unsafe { list.push_back(node.as_ref()) };
        }
        assert_eq!(list.front(), Some(&0));
        assert_eq!([pop(&mut list), pop(&mut list)], [Some(0), Some(1)]);
        // SAFETY: it was popped, so it is in no list.
        unsafe { list.push_back(nodes[0].as_ref()) };
        assert_eq!([pop(&mut list), pop(&mut list), pop(&mut list)], [Some(2), Some(0), None]);
        assert!(list.is_empty());
    }

    #[test]
    fn a_node_leaves_from_the_front_the_middle_and_the_end() {
        for gone in 0..3_u32 {
            let nodes: Vec<_> = (0..3).map(|n| Box::pin(Node::new(n))).collect();
            let mut list = List::new();
            // SAFETY: as above; the removed one is in the list.
            unsafe {
                nodes.iter().for_each(|node| list.push_back(node.as_ref()));
                list.remove(nodes[gone as usize].as_ref());
            }
            let left: Vec<_> = std::iter::from_fn(|| pop(&mut list)).collect();
            assert_eq!(left, (0..3).filter(|n| *n != gone).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nodes_leave_from_the_back_too() {
        let nodes: Vec<_> = (0..3).map(|n| Box::pin(Node::new(n))).collect();
        let mut list = List::new();
        assert_eq!(list.back(), None);
        assert_eq!(pop_back(&mut list), None);
        for node in &nodes {
            // SAFETY: each is pushed once, pinned, and outlives the list.
            unsafe { list.push_back(node.as_ref()) };
        }
        assert_eq!(list.back(), Some(&2));
        assert_eq!(pop_back(&mut list), Some(2));
        assert_eq!((pop(&mut list), pop_back(&mut list)), (Some(0), Some(1)));
        assert!(list.is_empty() && list.back().is_none());
    }

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Push(usize),
        Pop,
        PopBack,
        Remove(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..8_usize).prop_map(Op::Push),
            Just(Op::Pop),
            Just(Op::PopBack),
            (0..8_usize).prop_map(Op::Remove)
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_deque(ops in proptest::collection::vec(op(), 0..64)) {
            let nodes: Vec<Pin<Box<Node<u32>>>> =
                (0..8).map(|n| Box::pin(Node::new(n))).collect();
            let mut list = List::new();
            let mut model = VecDeque::new();
            for op in ops {
                match op {
                    Op::Push(n) if !model.contains(&(n as u32)) => {
                        // SAFETY: the model says that it is in no list.
                        unsafe { list.push_back(nodes[n].as_ref()) };
                        model.push_back(n as u32);
                    }
                    Op::Pop => prop_assert_eq!(pop(&mut list), model.pop_front()),
                    Op::PopBack => prop_assert_eq!(pop_back(&mut list), model.pop_back()),
                    Op::Remove(n) if model.contains(&(n as u32)) => {
                        // SAFETY: the model says that it is in the list.
                        unsafe { list.remove(nodes[n].as_ref()) };
                        model.retain(|m| *m != n as u32);
                    }
                    Op::Push(_) | Op::Remove(_) => {}
                }
                prop_assert_eq!(list.front(), model.front());
                prop_assert_eq!(list.back(), model.back());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
            let left: Vec<_> = std::iter::from_fn(|| pop(&mut list)).collect();
            prop_assert_eq!(left, Vec::from(model));
        }
    }
}
