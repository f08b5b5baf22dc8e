//! Who of many is to be looked at: what a group polls instead of all its members.

use crate::primitives::{AtomicBool, Mutex, Ordering};
use crate::util::{drop_quietly, wake_quietly};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// The members of a group that were woken since they were last looked at, in the order of the wakes.
///
/// Each member has a [`Ticket`], which is its waker. A wake puts the member's key at the end of the
/// list, unless it is there, and wakes the group. So a poll of the group costs as much as what was
/// woken, not as much as there are members, and the list is never longer than there are tickets.
///
/// One at a time may poll it: the waker of the last poll is the one that is woken.
pub(super) struct ReadyList {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
}

struct Inner {
    keys: VecDeque<usize>,
    waker: Option<Waker>,
}

/// A member's waker, and its place in the list.
pub(super) struct Ticket {
    list: Arc<Shared>,
    key: usize,
    // INVARIANT: set while the key is in the list, or among those that were taken from it and not
    // looked at.
    queued: AtomicBool,
    /// A note for the group, with a meaning of its own.
    marked: AtomicBool,
}

// No wake is lost. Who wakes swaps `queued` to true; whoever is about to look at the member swaps it
// to false first. If the wake finds it true, that look is still to come, and reads the swap (both are
// AcqRel), so that it sees what happened before the wake. If it finds false, the key goes into the
// list; keys and waker are under one lock, so either the group sees the key before it leaves its
// waker, or the wake finds the waker.
impl ReadyList {
    pub(super) fn new() -> Self {
        let inner = Inner { keys: VecDeque::new(), waker: None };
        Self { shared: Arc::new(Shared { inner: Mutex::new(inner) }) }
    }

    /// The ticket of a member that is looked at when it is woken.
    pub(super) fn ticket(&self, key: usize) -> Arc<Ticket> {
        self.make(key, false)
    }

    /// The ticket of a member that is about to be looked at already.
    pub(super) fn queued_ticket(&self, key: usize) -> Arc<Ticket> {
        self.make(key, true)
    }

    fn make(&self, key: usize, queued: bool) -> Arc<Ticket> {
        let list = Arc::clone(&self.shared);
        let (queued, marked) = (AtomicBool::new(queued), AtomicBool::new(false));
        Arc::new(Ticket { list, key, queued, marked })
    }

    /// The member that was woken first.
    pub(super) fn pop(&self) -> Option<usize> {
        self.shared.inner.lock().keys.pop_front()
    }

    /// As [`pop`](Self::pop), but waits for a wake where there is none.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.poll_with(cx, |keys| keys.pop_front())
    }

    /// Waits until a member was woken.
    pub(super) fn poll_any(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_with(cx, |keys| (!keys.is_empty()).then_some(()))
    }

    /// Moves all keys into `batch`, which is empty.
    pub(super) fn take_all(&self, batch: &mut VecDeque<usize>) {
        std::mem::swap(&mut self.shared.inner.lock().keys, batch);
    }

    fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        look: impl Fn(&mut VecDeque<usize>) -> Option<R>,
    ) -> Poll<R> {
        let mut inner = self.shared.inner.lock();
        if let Some(found) = look(&mut inner.keys) {
            return Poll::Ready(found);
        }
        if inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(inner);
        // Cloned and dropped while the lock is free, as both run code of the waker's owner.
        let new = cx.waker().clone();
        let mut inner = self.shared.inner.lock();
        if let Some(found) = look(&mut inner.keys) {
            drop(inner);
            drop_quietly(Some(new));
            return Poll::Ready(found);
        }
        let old = inner.waker.replace(new);
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// Wakes the group itself.
    pub(super) fn wake(&self) {
        let waker = self.shared.inner.lock().waker.take();
        if let Some(waker) = waker {
            wake_quietly(waker);
        }
    }

    /// Forgets whom to wake, as nobody polls the group any more.
    pub(super) fn leave(&self) {
        let waker = self.shared.inner.lock().waker.take();
        drop_quietly(waker);
    }
}

impl Drop for ReadyList {
    fn drop(&mut self) {
        // Tickets may live on in the hands of those whom the members wait for.
        self.leave();
    }
}

impl fmt::Debug for ReadyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyList").finish_non_exhaustive()
    }
}

impl Ticket {
    /// Notes that the member is looked at now: a wake from here on puts it into the list again.
    pub(super) fn begin(&self) {
        self.queued.swap(false, Ordering::AcqRel);
    }

    /// Leaves the note that [`is_marked`](Self::is_marked) tells of.
    pub(super) fn mark(&self) {
        self.marked.store(true, Ordering::Release);
    }

    pub(super) fn is_marked(&self) -> bool {
        self.marked.load(Ordering::Acquire)
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut inner = self.list.inner.lock();
        inner.keys.push_back(self.key);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            wake_quietly(waker);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("key", &self.key).finish_non_exhaustive()
    }
}
