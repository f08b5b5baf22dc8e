//! What wakers do as they are cloned and dropped: they use the primitive, and panic.

use super::test_kit::Task;
use super::{Barrier, CapacityLimiter, Mutex, Notify, OnceCell, Semaphore};
use std::cell::Cell;
use std::future::pending;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// What is done as a waker is cloned, once.
type OnClone<'a> = Cell<Option<Box<dyn FnOnce() + 'a>>>;

static CLUMSY: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: it was made from such a reference, which outlives the wakers of a poll; these
        // tests have one thread each.
        let on_clone = unsafe { &*data.cast::<OnClone<'_>>() };
        if let Some(on_clone) = on_clone.take() {
            on_clone();
        }
        RawWaker::new(data, &CLUMSY)
    },
    |_| (),
    |_| (),
    |_| panic!("the waker that panics"),
);

/// Polls with a waker that does something as it is cloned, so that a future that has looked and not
/// yet taken the lock finds things changed, and that panics as it is dropped.
///
/// The future must not wait after that.
fn poll_clumsily<F: Future>(future: Pin<&mut F>, on_clone: impl FnOnce()) {
    let on_clone: OnClone<'_> = Cell::new(Some(Box::new(on_clone)));
    let data = std::ptr::from_ref(&on_clone).cast();
    // SAFETY: as the table says; nothing else is asked of it.
    let waker = ManuallyDrop::new(unsafe { Waker::new(data, &CLUMSY) });
    let mut cx = Context::from_waker(&waker);
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(&mut cx).is_ready()));
    assert_ne!(polled.ok(), Some(false), "it waits, with a waker that does not live");
    assert!(on_clone.take().is_none(), "it was cloned");
}

#[test]
fn a_mutex_is_not_lost() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    poll_clumsily(pin!(mutex.lock()), || drop(held));
    assert!(mutex.try_lock().is_ok());
    // And by one that waited, and is polled with another waker than before.
    let held = mutex.try_lock().unwrap();
    let mut waiting = Box::pin(mutex.lock());
    assert!(Task::new(waiting.as_mut()).poll().is_pending());
    poll_clumsily(waiting.as_mut(), || drop(held));
    drop(waiting);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_permit_is_not_lost() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    poll_clumsily(pin!(semaphore.acquire()), || drop(held));
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_token_is_not_lost() {
    let limiter = CapacityLimiter::new(1);
    let held = limiter.try_acquire_on_behalf_of(1).unwrap();
    poll_clumsily(pin!(limiter.acquire_on_behalf_of(2)), || drop(held));
    assert_eq!(limiter.borrowed_tokens(), 0);
}

#[test]
fn a_notification_is_not_lost() {
    let notify = Notify::new();
    let mut notified = pin!(notify.notified());
    poll_clumsily(notified.as_mut(), || notify.notify_one());
    assert!(notified.enable(), "it was received");
}

#[test]
fn a_turn_is_not_lost() {
    let cell = OnceCell::new();
    let making = Task::waiting(cell.get_or_try_init(pending::<Result<u32, ()>>));
    let failing = cell.get_or_try_init(async || Err::<u32, _>(()));
    poll_clumsily(pin!(failing), || drop(making));
    assert_eq!(Task::new(cell.get_or_init(async || 1)).poll(), Poll::Ready(&1));
}

#[test]
fn a_leader_is_not_lost() {
    let barrier = Barrier::new(2);
    let first = Cell::new(None);
    let mut last = pin!(barrier.wait());
    poll_clumsily(last.as_mut(), || first.set(Some(Task::waiting(barrier.wait()))));
    assert!(!first.take().unwrap().woken().is_leader());
    let again = catch_unwind(AssertUnwindSafe(|| Task::new(last.as_mut()).poll()));
    assert!(again.is_err(), "it was ready, as the leader");
}
