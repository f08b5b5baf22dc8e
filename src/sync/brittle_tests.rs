//! What one gained just as it was about to wait is not lost where the waker, which it did not need
//! then, panics as it is dropped.

use super::test_kit::{Task, brittle};
use super::{Barrier, CapacityLimiter, Notify, OnceCell, RwLock, Semaphore, mpsc};
use futures::executor::block_on;
use std::cell::Cell;
use std::fmt::Debug;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The output of `future`, for which `held` makes room while the first poll clones its waker.
fn gained<F: Future<Output: Debug>>(future: F, held: impl Sized + 'static) -> F::Output {
    let held = Cell::new(Some(held));
    let waker = brittle(move || drop(held.take()));
    match pin!(future).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Calls when it is dropped.
#[derive(Debug)]
struct Then<F: Fn()>(F);

impl<F: Fn()> Drop for Then<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn permits_and_locks() {
    let semaphore = Arc::new(Semaphore::new(2));
    let held = semaphore.clone().try_acquire_many_owned(2).unwrap();
    drop(gained(semaphore.acquire(), held).unwrap());
    assert_eq!(semaphore.available_permits(), 2);
    let lock = Arc::new(RwLock::new(1));
    drop(gained(lock.write(), lock.clone().try_write_owned().unwrap()));
    drop(gained(lock.read(), lock.clone().try_write_owned().unwrap()));
    assert!(lock.try_write().is_ok());
}

#[test]
fn tokens() {
    let limiter = Arc::new(CapacityLimiter::new(1));
    let held = limiter.clone().try_acquire_owned_on_behalf_of(1).unwrap();
    drop(gained(limiter.acquire_on_behalf_of(2), held).unwrap());
    assert_eq!(limiter.available_tokens(), 1);
}

#[test]
fn notifications() {
    let notify = Arc::new(Notify::new());
    let notifier = notify.clone();
    gained(notify.notified(), Then(move || notifier.notify_one()));
}

#[test]
fn places_in_a_channel() {
    let (sender, mut receiver) = mpsc::channel(1);
    let held = sender.clone().try_reserve_owned().unwrap();
    gained(sender.send(7), held).unwrap();
    assert_eq!(block_on(receiver.recv()), Some(7));
    assert!(sender.try_reserve().is_ok());
}

#[test]
fn the_turn_to_make_a_value() {
    static CELL: OnceCell<u32> = OnceCell::new();
    let mut making = Box::pin(CELL.get_or_init(pending));
    let waker = std::task::Waker::noop();
    assert!(making.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    assert_eq!(*gained(CELL.get_or_init(|| async { 7 }), making), 7);
}

#[test]
fn the_lead_at_a_barrier() {
    static BARRIER: Barrier = Barrier::new(2);
    let first = Rc::new(Cell::new(None));
    let arrived = first.clone();
    let last =
        gained(BARRIER.wait(), Then(move || arrived.set(Some(Task::waiting(BARRIER.wait())))));
    assert!(last.is_leader());
    assert!(!first.take().unwrap().woken().is_leader());
}
