//! What both kinds of channel share: the messages, and who waits for what.

use super::batch::{Batch, trim};
use super::popped::{Count, Popped};
use crate::primitives::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::sync::event::Event;
use crate::sync::waiters::{Queue, Standing, Waiter};
use crate::util::{WakeList, drop_quietly, wake_quietly};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// The most messages that a channel can be asked to hold: an eighth of `usize::MAX`, so that sums
/// of places do not overflow.
pub(super) const MAX_CAPACITY: usize = usize::MAX >> 3;

/// The capacity of a channel without bounds.
const UNBOUNDED: usize = usize::MAX;

/// What a channel's handles share.
pub(super) struct Chan<T> {
    shared: Mutex<Shared<T>>,
    popped: Popped,
    // INVARIANT: written under the lock, and never cleared: the receiver takes no new messages.
    closed: AtomicBool,
    capacity: usize,
    /// Set after `closed`, for those who wait for that.
    end: Event,
    // INVARIANT: the handles that send. Once it is 0 it stays so.
    pub(super) senders: AtomicUsize,
    /// The handles that can become such.
    pub(super) weak: AtomicUsize,
}

/// What one lock guards. It is held for a few moves at a time.
struct Shared<T> {
    /// Messages in order; those that the receiver took with it are before them.
    buffer: VecDeque<T>,
    /// The places that were ever taken, less those given back unused. It wraps.
    taken: usize,
    /// What `Chan::popped` said when somebody last looked.
    popped: Count,
    // INVARIANT: whenever the lock is free, there was no room for the first of these at a moment
    // after `Chan::popped` told of a queue. The item is how many places are wanted, at least one.
    queue: Queue<usize>,
    // INVARIANT: `Some` only while the buffer is empty.
    receiver: Option<Waker>,
    /// Nobody will receive. Implies `Chan::closed`.
    gone: bool,
    /// No sender is left.
    abandoned: bool,
}

/// What came of an attempt to take places or to send without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Done,
    /// No room, or others came first.
    Full,
    /// The receiver takes no more.
    Closed,
}

// How places are counted. Each message needs a place in the channel. `taken` counts places as they
// are taken, by messages and by permits, under the lock. The receiver counts in `popped` what it
// receives, without the lock: it takes the whole buffer with it, and the messages in there leave
// the channel one by one. So `taken - popped` places are in use; what a sender finds is never less
// than that, as `popped` only grows. A permit that is used turns into a message, and changes
// neither number.
//
// Why nobody sleeps while there is room. That somebody waits is a bit in the word of `popped`, and
// both sides change that word by read-modify-writes. A sender that finds no room, under the lock,
// sets the bit, and enqueues if there is no room by the count it finds with it. The receiver counts
// each message, and hands out places under the lock if it finds the bit with the count. One comes
// first: either the sender finds the message counted, and takes its place, or the receiver finds the
// bit, takes the lock after the sender has released it, and finds it in the queue. The same holds
// for whoever is the first in the queue later on: the bit stays as long as there is a queue, and who
// makes another the first (one that was served, or that gave up) looks at the count again under the
// lock.
//
// Why the receiver does not sleep while there is a message, or the end. Its waker is stored under
// the lock, when the buffer is empty and the end has not come; whoever changes that takes the waker
// under the lock, and wakes it after.
//
// What orders memory. Messages go through the lock; for the rest see `popped`.
impl<T> Chan<T> {
    /// A channel with one sender and one receiver.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        let shared = Shared {
            buffer: VecDeque::new(),
            taken: 0,
            popped: Count::NONE,
            queue: Queue::new(),
            receiver: None,
            gone: false,
            abandoned: false,
        };
        Self {
            shared: Mutex::new(shared),
            popped: Popped::new(),
            closed: AtomicBool::new(false),
            capacity: capacity.unwrap_or(UNBOUNDED),
            end: Event::new(),
            senders: AtomicUsize::new(1),
            weak: AtomicUsize::new(0),
        }
    }

    pub(super) fn max_capacity(&self) -> usize {
        self.capacity
    }

    /// The places that somebody who comes now would find.
    pub(super) fn capacity(&self) -> usize {
        let mut shared = self.shared.lock();
        shared.popped = self.popped.load();
        if shared.queue.is_empty() { self.room(&shared) } else { 0 }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) async fn closed(&self) {
        self.end.wait().await;
    }

    /// Sends what is in `message`, which is left empty if that is done.
    #[inline]
    pub(super) fn try_send(&self, message: &mut Option<T>) -> Tried {
        let mut shared = self.shared.lock();
        match self.take(&mut shared, 1) {
            Tried::Done => self.push(shared, message),
            refused => return refused,
        }
        Tried::Done
    }

    /// Sends what is in `message` in a place that was taken before; not if nobody will receive.
    #[inline]
    pub(super) fn send_reserved(&self, message: &mut Option<T>) -> Tried {
        let shared = self.shared.lock();
        if shared.gone {
            return Tried::Closed;
        }
        self.push(shared, message);
        Tried::Done
    }

    /// Takes `n` places, if there are as many and nobody came first.
    #[inline]
    pub(super) fn try_take(&self, n: usize) -> Tried {
        let mut shared = self.shared.lock();
        self.take(&mut shared, n)
    }

    /// Gives back `n` places that were taken.
    pub(super) fn give_back(&self, n: usize) {
        if n == 0 {
            return;
        }
        let mut shared = self.shared.lock();
        shared.taken = shared.taken.wrapping_sub(n);
        if self.closed.load(Ordering::Relaxed) {
            // It may have been the last that the receiver waited for.
            Self::call(shared);
        } else {
            self.hand_out(shared);
        }
    }

    /// Polls one that wants `n` places.
    ///
    /// # Safety
    ///
    /// The waiter was made for `n` and is used with this channel only. Unless this returned
    /// `Ready`, [`cancel`](Self::cancel) is called before it is dropped.
    #[inline]
    pub(super) unsafe fn poll_take(
        &self,
        waiter: Pin<&Waiter<usize>>,
        n: usize,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        if waiter.standing() == Standing::New {
            match self.try_take(n) {
                Tried::Done => return Poll::Ready(true),
                Tried::Closed => return Poll::Ready(false),
                Tried::Full => {}
            }
        }
        // SAFETY: passed on to the caller.
        unsafe { self.poll_wait(waiter, n, cx) }
    }

    /// Polls one that wants `n` places and found none; whether it has them now.
    ///
    /// # Safety
    ///
    /// As [`poll_take`](Self::poll_take).
    pub(super) unsafe fn poll_wait(
        &self,
        waiter: Pin<&Waiter<usize>>,
        n: usize,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let standing = match waiter.standing() {
            // SAFETY: passed on to the caller.
            Standing::New => ready!(unsafe { self.enqueue(waiter, n, cx) }),
            // SAFETY: it was queued by the line above, in the queue of this lock.
            _ => ready!(unsafe { waiter.poll_queued(&self.shared, cx) }),
        };
        Poll::Ready(standing == Standing::Granted)
    }

    /// # Safety
    ///
    /// As [`poll_take`](Self::poll_take), and the waiter is new.
    unsafe fn enqueue(
        &self,
        waiter: Pin<&Waiter<usize>>,
        n: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Standing> {
        let waker = cx.waker().clone();
        let mut shared = self.shared.lock();
        let first = shared.queue.is_empty();
        if first {
            shared.popped = self.popped.announce();
        }
        let settled = match self.take(&mut shared, n) {
            Tried::Done => Standing::Granted,
            Tried::Closed => Standing::Refused,
            Tried::Full => {
                // SAFETY: the waiter is new, has only this queue, and leaves it in `cancel`.
                unsafe { waiter.enqueue(&mut shared.queue, waker, |_| ()) };
                return Poll::Pending;
            }
        };
        if first {
            self.popped.retract();
        }
        drop(shared);
        // Only now, as dropping a waker runs code of its owner.
        drop_quietly(Some(waker));
        Poll::Ready(settled)
    }

    /// Ends the wait of one that will not be polled again, and passes on what it has.
    ///
    /// # Safety
    ///
    /// As [`poll_take`](Self::poll_take), which has not returned `Ready`.
    pub(super) unsafe fn cancel(&self, waiter: Pin<&Waiter<usize>>, n: usize) {
        match waiter.standing() {
            Standing::New | Standing::Refused => {}
            // Nobody looked at what was handed over.
            Standing::Granted => self.give_back(n),
            Standing::Queued => {
                let mut shared = self.shared.lock();
                // SAFETY: it was queued in this queue.
                let Some(waker) = (unsafe { waiter.leave(&mut shared.queue) }) else {
                    drop(shared);
                    // SAFETY: passed on; it was resolved just now, so this ends.
                    return unsafe { self.cancel(waiter, n) };
                };
                // Who wanted fewer may be the first now.
                self.hand_out(shared);
                drop_quietly(Some(waker));
            }
        }
    }

    /// Gives places to those who wait, in their order, as far as there is room for them.
    #[cold]
    fn hand_out(&self, mut shared: MutexGuard<'_, Shared<T>>) {
        let mut wakers = WakeList::new();
        shared.popped = self.popped.load();
        while let Some(n) = shared.queue.with_front(|n| *n) {
            if self.room(&shared) < n {
                break;
            }
            shared.taken = shared.taken.wrapping_add(n);
            shared.queue.resolve_front(Standing::Granted, &mut wakers);
        }
        if shared.queue.is_empty() {
            // Also where the last one gave up, or each message would be counted with the lock.
            self.popped.retract();
        }
        drop(shared);
        wakers.wake_all();
    }

    #[inline]
    fn take(&self, shared: &mut Shared<T>, n: usize) -> Tried {
        if self.closed.load(Ordering::Relaxed) {
            return Tried::Closed;
        }
        if n > 0 && (!shared.queue.is_empty() || !self.fits(shared, n)) {
            return Tried::Full;
        }
        shared.taken = shared.taken.wrapping_add(n);
        Tried::Done
    }

    #[inline]
    fn fits(&self, shared: &mut Shared<T>, n: usize) -> bool {
        if self.room(shared) >= n {
            return true;
        }
        shared.popped = self.popped.load();
        self.room(shared) >= n
    }

    /// The places that were free at the last look, and perhaps more now.
    #[inline]
    fn room(&self, shared: &Shared<T>) -> usize {
        self.capacity - shared.popped.in_use(shared.taken)
    }

    /// Adds a message, in a place that was taken for it.
    #[inline]
    fn push(&self, mut shared: MutexGuard<'_, Shared<T>>, message: &mut Option<T>) {
        if let Some(message) = message.take() {
            shared.buffer.push_back(message);
        }
        Self::call(shared);
    }

    /// Wakes the receiver.
    #[inline]
    fn call(mut shared: MutexGuard<'_, Shared<T>>) {
        let waker = shared.receiver.take();
        drop(shared);
        if let Some(waker) = waker {
            wake_quietly(waker);
        }
    }

    /// Notes that the last sender went.
    pub(super) fn abandon(&self) {
        let mut shared = self.shared.lock();
        shared.abandoned = true;
        Self::call(shared);
    }

    /// Lets no new message come; those that have a place still may.
    pub(super) fn close(&self) {
        self.shut(false);
    }

    /// The same, but what has a place and was not received is given out, and nothing more comes.
    pub(super) fn leave(&self) -> VecDeque<T> {
        self.shut(true)
    }

    fn shut(&self, gone: bool) -> VecDeque<T> {
        let mut wakers = WakeList::new();
        let mut rest = VecDeque::new();
        let mut shared = self.shared.lock();
        self.closed.store(true, Ordering::Release);
        while shared.queue.resolve_front(Standing::Refused, &mut wakers) {}
        self.popped.retract();
        let mut own = shared.receiver.take();
        if gone {
            shared.gone = true;
            rest = std::mem::take(&mut shared.buffer);
        } else if let Some(waker) = own.take() {
            // The end may be there now, and who closes need not be who waits for it.
            wakers.push(waker);
        }
        drop(shared);
        wakers.wake_all();
        self.end.set();
        drop_quietly(own);
        rest
    }

    /// How many messages wait that the receiver has not taken with it.
    pub(super) fn waiting_messages(&self) -> usize {
        self.shared.lock().buffer.len()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn waiting_room(&self) -> usize {
        self.shared.lock().buffer.capacity()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn begin_at(&self, n: usize) {
        let mut shared = self.shared.lock();
        self.popped.set(n);
        (shared.taken, shared.popped) = (n, self.popped.load());
    }

    /// Whether the receiver is told that somebody waits.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_announced(&self) -> bool {
        let _shared = self.shared.lock();
        self.popped.is_announced()
    }

    /// Tells the senders that `n` messages more were received.
    #[inline]
    pub(super) fn publish(&self, batch: &mut Batch<T>, n: usize) {
        if self.count(batch, n) {
            self.hand_out(self.shared.lock());
        }
    }

    /// The same, but who waits is not served, if this says that somebody does.
    #[inline]
    fn count(&self, batch: &mut Batch<T>, n: usize) -> bool {
        batch.popped = batch.popped.wrapping_add(n);
        if self.capacity == UNBOUNDED {
            self.popped.set(batch.popped);
            return false;
        }
        self.popped.add(n)
    }

    /// Takes all messages that wait into `batch`, which is empty, and lets up to `limit` of them
    /// count as received; how many, 0 if no message will come. `Pending` if one may come later.
    pub(super) fn refill(&self, batch: &mut Batch<T>, limit: usize) -> Poll<usize> {
        self.fill(self.shared.lock(), batch, limit).map_or(Poll::Pending, Poll::Ready)
    }

    /// The same, and where it is `Pending`, the task of `cx` is woken when that changes.
    pub(super) fn poll_refill(
        &self,
        batch: &mut Batch<T>,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        // A waker is cloned before the lock is taken. If that turns out to be for nothing it costs
        // about as much as to take the lock once more, which is the other way.
        let mut fresh = batch.is_dry().then(|| cx.waker().clone());
        loop {
            let mut shared = match self.fill(self.shared.lock(), batch, limit) {
                Ok(found) => {
                    batch.found();
                    // What was counted as received has to be received, so no panic may come between.
                    drop_quietly(fresh);
                    return Poll::Ready(found);
                }
                Err(shared) => shared,
            };
            let mut old = None;
            let present = shared.receiver.as_ref();
            if !present.is_some_and(|waker| waker.will_wake(cx.waker())) {
                let Some(fresh) = fresh.take() else {
                    drop(shared);
                    fresh = Some(cx.waker().clone());
                    continue;
                };
                old = shared.receiver.replace(fresh);
            }
            trim(&mut shared.buffer, 0);
            drop(shared);
            drop(old);
            batch.found_nothing();
            return Poll::Pending;
        }
    }

    /// As [`refill`](Self::refill), under the lock, which comes back where that is `Pending`.
    fn fill<'a>(
        &'a self,
        mut shared: MutexGuard<'a, Shared<T>>,
        batch: &mut Batch<T>,
        limit: usize,
    ) -> Result<usize, MutexGuard<'a, Shared<T>>> {
        debug_assert!(batch.messages.is_empty());
        if shared.buffer.is_empty() {
            // What has a place and is not here yet may come as long as there are senders.
            let closed = self.closed.load(Ordering::Relaxed);
            let over = shared.abandoned || (closed && shared.taken == batch.popped);
            return if over { Ok(0) } else { Err(shared) };
        }
        std::mem::swap(&mut shared.buffer, &mut batch.messages);
        trim(&mut shared.buffer, batch.messages.len());
        let n = limit.min(batch.messages.len());
        if self.count(batch, n) {
            self.hand_out(shared);
        }
        Ok(n)
    }
}
