//! The queue that everything in this room waits in: intrusive, first come first served.
//!
//! A primitive owns a `Queue<T>` in a `Mutex`; each of its futures holds one [`Waiter`]. `T` is what the
//! primitive wants to know of one that waits (the permits it still lacks, or nothing). The side
//! that grants calls [`Queue::resolve_front`] under the lock and wakes what it collected after;
//! the side that waits calls [`Waiter::enqueue`] once, [`Waiter::poll_queued`] from then on, and
//! [`Waiter::leave`] in its `Drop`. Where the one that waits longest is to help itself, it is woken
//! by [`Queue::take_front_waker`], and polls with [`Waiter::poll_queued_or`].
//!
//! # Why this is sound
//!
//! A waiter's *standing* moves one way: `New` → `Queued` (by its owner, under the lock) → `Granted`
//! or `Refused` (by the granting side, under the lock), or back to `New` when it leaves.
//!
//! *Who may touch what.* The waker and the item are reached only under the lock of the queue, by
//! either side. The standing is written only under the lock, and may be read without it.
//!
//! *Who lives how long.* A `Queued` waiter is in the list and stays alive, as its owner leaves under
//! the lock before it goes. A waiter whose owner reads `Granted` or `Refused` is in no list and may
//! go at once, without the lock: so the store of the outcome is the last thing that the granting
//! side does to it, when the waker has been taken out and the node unlinked.
//!
//! *Order.* The store of the outcome releases, and every read of the standing acquires: what the
//! granting side did before, its own earlier work included, happened before the waiter goes on.
//!
//! *User code.* Cloning, waking and dropping a waker run code of its owner. None of them happens
//! under the lock: wakers are cloned before it is taken, and handed out of it to be woken or
//! dropped. [`Waker::will_wake`] compares two pointers, and may run under it.

use crate::primitives::{AtomicUsize, Mutex, Ordering, UnsafeCell};
use crate::util::{List, Node, WakeList, contain};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// Those who wait, in the order in which they came.
#[derive(Debug)]
pub(super) struct Queue<T> {
    list: List<Entry<T>>,
}

/// A place in a [`Queue`], inside the future that waits.
///
/// It never moves once it was queued, and it leaves before it is dropped.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    node: Node<Entry<T>>,
}

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Standing {
    /// In no queue: it never was, or it left.
    New = 0,
    /// In the queue.
    Queued = 1,
    /// Out of the queue, with what it waited for.
    Granted = 2,
    /// Out of the queue, with nothing: what it waited for will not come.
    Refused = 3,
}

#[derive(Debug)]
struct Entry<T> {
    // INVARIANT: a `Standing`. Written only under the lock of the queue; once it says `Granted` or
    // `Refused`, nobody but the owner touches the entry.
    //
    // As wide as what is beside it: a new waiter is moved into its future at once, in pieces that
    // would otherwise span stores of several widths, and wait for those (6 of 30 ns in mpsc's send).
    standing: AtomicUsize,
    // INVARIANT: reached only under the lock of the queue, or by the owner through `&mut`.
    inner: UnsafeCell<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    // INVARIANT: `None` unless the waiter is queued. `Some` while it is, except between
    // `take_front_waker` and the next poll: a wake is under way then.
    waker: Option<Waker>,
    item: T,
}

// SAFETY: the cell is reached only under the lock of the queue, which lends it to one thread at a
// time; so that it may be lent to another thread at all, `T: Send` (wakers always are).
unsafe impl<T: Send> Sync for Entry<T> {}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { list: List::new() }
    }

    /// Whether nobody waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Shows the item of the one that waits longest.
    #[inline]
    pub(super) fn with_front<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let entry = self.list.front()?;
        // SAFETY: `&mut self` is the lock, or proof that nobody shares the queue.
        Some(entry.inner.with_mut(|inner| f(unsafe { &mut (*inner).item })))
    }

    /// Takes out the one that waits longest, tells it `outcome`, and collects its waker.
    ///
    /// `outcome` is `Granted` or `Refused`. Says whether there was one.
    pub(super) fn resolve_front(&mut self, outcome: Standing, wakers: &mut WakeList) -> bool {
        debug_assert!(matches!(outcome, Standing::Granted | Standing::Refused));
        let Some(entry) = self.list.pop_front() else { return false };
        // SAFETY: it was in the list, and is out of it now.
        unsafe { self.resolve(entry, outcome, wakers) };
        true
    }

    /// Shows the item of the one that came last.
    pub(super) fn with_back<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let entry = self.list.back()?;
        // SAFETY: `&mut self` is the lock, or proof that nobody shares the queue.
        Some(entry.inner.with_mut(|inner| f(unsafe { &mut (*inner).item })))
    }

    /// As [`resolve_front`](Self::resolve_front), with the one that came last.
    pub(super) fn resolve_back(&mut self, outcome: Standing, wakers: &mut WakeList) -> bool {
        debug_assert!(matches!(outcome, Standing::Granted | Standing::Refused));
        let Some(entry) = self.list.pop_back() else { return false };
        // SAFETY: it was in the list, and is out of it now.
        unsafe { self.resolve(entry, outcome, wakers) };
        true
    }

    /// # Safety
    ///
    /// The entry was just taken out of this list.
    #[inline]
    unsafe fn resolve(
        &mut self,
        entry: NonNull<Entry<T>>,
        outcome: Standing,
        wakers: &mut WakeList,
    ) {
        let entry = entry.as_ptr();
        // SAFETY: the entry is alive until its owner learns the outcome, which is the last thing
        // done to it here; `&mut self` is the lock.
        unsafe {
            let waker = (*entry).inner.with_mut(|inner| (*inner).waker.take());
            (*entry).standing.store(outcome as usize, Ordering::Release);
            if let Some(waker) = waker {
                wakers.push(waker);
            }
        }
    }

    /// Takes the waker of the one that waits longest, which keeps its place and has to be polled.
    ///
    /// `None` also when it was taken before, and the waiter was not polled since.
    pub(super) fn take_front_waker(&mut self) -> Option<Waker> {
        let entry = self.list.front()?;
        // SAFETY: `&mut self` is the lock.
        entry.inner.with_mut(|inner| unsafe { (*inner).waker.take() })
    }

    /// Whether `waiter` is the one that waits longest.
    pub(super) fn is_front(&self, waiter: &Waiter<T>) -> bool {
        self.list.front().is_some_and(|entry| std::ptr::eq(entry, waiter.entry()))
    }
}

impl<T> Waiter<T> {
    pub(super) fn new(item: T) -> Self {
        let inner = UnsafeCell::new(Inner { waker: None, item });
        let standing = AtomicUsize::new(Standing::New as usize);
        Self { node: Node::new(Entry { standing, inner }) }
    }

    /// Where the waiter stands; without the lock, `Queued` may be out of date.
    #[inline]
    pub(super) fn standing(&self) -> Standing {
        match self.entry().standing.load(Ordering::Acquire) {
            0 => Standing::New,
            1 => Standing::Queued,
            2 => Standing::Granted,
            _ => Standing::Refused,
        }
    }

    /// Puts the waiter at the end of the queue, after `prepare` saw its item.
    ///
    /// # Safety
    ///
    /// The waiter is `New`. It is used with this queue only, which lies in a lock that all its
    /// users take. It [leaves](Self::leave) before it is dropped, unless it was resolved.
    pub(super) unsafe fn enqueue(
        self: Pin<&Self>,
        queue: &mut Queue<T>,
        waker: Waker,
        prepare: impl FnOnce(&mut T),
    ) {
        debug_assert_eq!(self.standing(), Standing::New);
        let old = self.entry().inner.with_mut(|inner| {
            // SAFETY: the caller holds the lock of the queue.
            let inner = unsafe { &mut *inner };
            prepare(&mut inner.item);
            inner.waker.replace(waker)
        });
        debug_assert!(old.is_none());
        self.entry().standing.store(Standing::Queued as usize, Ordering::Relaxed);
        // SAFETY: a `New` waiter is in no list; it leaves before it is dropped.
        unsafe { queue.list.push_back(self.node()) };
    }

    /// Sees whether a waiter that was queued is resolved; if not, sees to it that the task of `cx`
    /// is woken when it is.
    ///
    /// # Safety
    ///
    /// The waiter was queued in a queue that is, or is part of, what this lock guards.
    pub(super) unsafe fn poll_queued<L>(
        self: Pin<&Self>,
        lock: &Mutex<L>,
        cx: &mut Context<'_>,
    ) -> Poll<Standing> {
        // SAFETY: passed on to the caller.
        unsafe { self.poll_queued_or(lock, cx, |_| ControlFlow::Continue(())) }
    }

    /// As [`poll_queued`](Self::poll_queued), but lets a waiter that is still queued serve itself.
    ///
    /// `take` runs under the lock. It breaks, with what [`leave`](Self::leave) returned, when it
    /// took the waiter out of the queue with what it waits for: the answer is `Granted` then.
    ///
    /// # Safety
    ///
    /// The waiter was queued in a queue that is, or is part of, what this lock guards.
    pub(super) unsafe fn poll_queued_or<L>(
        self: Pin<&Self>,
        lock: &Mutex<L>,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut L) -> ControlFlow<Option<Waker>>,
    ) -> Poll<Standing> {
        let mut fresh: Option<Waker> = None;
        loop {
            let standing = self.standing();
            if standing != Standing::Queued {
                return Poll::Ready(standing);
            }
            let mut guard = lock.lock();
            let standing = self.standing();
            if standing != Standing::Queued {
                drop(guard);
                return Poll::Ready(standing);
            }
            if let ControlFlow::Break(old) = take(&mut guard) {
                drop(guard);
                // A panic there must not cost what was taken.
                contain(|| drop(old));
                contain(|| drop(fresh));
                return Poll::Ready(Standing::Granted);
            }
            let (settled, old) = self.entry().inner.with_mut(|inner| {
                // SAFETY: the lock of the queue is held.
                let slot = unsafe { &mut (*inner).waker };
                if slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    (true, None)
                } else if let Some(fresh) = fresh.take() {
                    (true, slot.replace(fresh))
                } else {
                    (false, None)
                }
            });
            drop(guard);
            // From here on wakers may be dropped and cloned again.
            drop(old);
            if settled {
                return Poll::Pending;
            }
            fresh = Some(cx.waker().clone());
        }
    }

    /// Takes the waiter out of the queue, and returns its waker, to be dropped after the lock.
    ///
    /// `None` when the waiter is not queued any more, as it was resolved in the meantime; and when
    /// its waker was [taken](Queue::take_front_waker).
    ///
    /// # Safety
    ///
    /// The waiter was queued in this queue.
    pub(super) unsafe fn leave(self: Pin<&Self>, queue: &mut Queue<T>) -> Option<Waker> {
        if self.standing() != Standing::Queued {
            return None;
        }
        // SAFETY: a `Queued` waiter is in the list of the queue that it was queued in.
        unsafe { queue.list.remove(self.node()) };
        self.entry().standing.store(Standing::New as usize, Ordering::Relaxed);
        // SAFETY: `&mut Queue` is the lock.
        self.entry().inner.with_mut(|inner| unsafe { (*inner).waker.take() })
    }

    /// Shows the item of a waiter that is queued no more: it [left](Self::leave), or was resolved.
    ///
    /// # Safety
    ///
    /// `_queue` is the queue that the waiter was queued in.
    pub(super) unsafe fn with_item<R>(
        self: Pin<&Self>,
        _queue: &mut Queue<T>,
        f: impl FnOnce(&mut T) -> R,
    ) -> R {
        // SAFETY: `&mut Queue` is the lock.
        self.entry().inner.with_mut(|inner| f(unsafe { &mut (*inner).item }))
    }

    #[inline]
    fn entry(&self) -> &Entry<T> {
        self.node.value()
    }

    fn node(self: Pin<&Self>) -> Pin<&Node<Entry<T>>> {
        // SAFETY: the node is pinned with the waiter: nothing moves it out.
        unsafe { self.map_unchecked(|waiter| &waiter.node) }
    }
}
