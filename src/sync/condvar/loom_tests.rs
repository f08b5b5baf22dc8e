//! Models of those who wait until something has changed: none is forgotten, whoever gives up.

use super::Condvar;
use crate::primitives::{Arc, AtomicUsize, Ordering, thread};
use crate::sync::Mutex;
use crate::sync::loom_tests::{Count, give_up, model};
use loom::future::block_on;
use std::future::Future;
use std::task::{Context, Poll, Waker};

type Shared = Arc<(Mutex<u32>, Condvar)>;

fn shared() -> Shared {
    Arc::new((Mutex::new(0), Condvar::new()))
}

fn spawn(
    shared: &Shared,
    f: impl FnOnce(&Mutex<u32>, &Condvar) + 'static,
) -> thread::JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || f(&shared.0, &shared.1))
}

/// Waits until there is a token, and takes it.
fn take(tokens: &Mutex<u32>, changed: &Condvar) {
    *block_on(async { changed.wait_while(tokens.lock().await, |tokens| *tokens == 0).await }) -= 1;
}

fn put(tokens: &Mutex<u32>, changed: &Condvar) {
    *block_on(tokens.lock()) += 1;
    changed.notify_one();
}

#[test]
fn loom_condvar_notify_meets_one_that_begins_to_wait_and_one_that_gives_up() {
    model(3, || {
        let shared = shared();
        let putter = spawn(&shared, put);
        if let Ok(guard) = shared.0.try_lock() {
            drop(give_up(shared.1.wait(guard)));
        }
        take(&shared.0, &shared.1);
        putter.join().unwrap();
        assert_eq!(*shared.0.try_lock().unwrap(), 0);
    });
}

#[test]
fn loom_condvar_notification_of_one_that_gives_up_goes_on() {
    model(3, || {
        let shared = shared();
        let (tokens, changed) = (&shared.0, &shared.1);
        let noop = Waker::noop();
        let mut quitter = Box::pin(changed.wait(tokens.try_lock().unwrap()));
        assert!(quitter.as_mut().poll(&mut Context::from_waker(noop)).is_pending());
        let count = std::sync::Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut next = Box::pin(changed.wait(tokens.try_lock().unwrap()));
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let notifier = spawn(&shared, |_, changed| changed.notify_one());
        // It gives up before it is notified, or after, or on its way to the mutex.
        let polled = quitter.as_mut().poll(&mut Context::from_waker(noop));
        let used = polled.is_ready();
        drop(polled);
        drop(quitter);
        notifier.join().unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), usize::from(!used));
        let next = next.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(next.is_ready(), !used);
    });
}

#[test]
fn loom_condvar_notify_empties_the_queue_as_another_begins_to_wait() {
    model(3, || {
        let shared = shared();
        let (tokens, changed) = (&shared.0, &shared.1);
        let mut quitter = Box::pin(changed.wait(tokens.try_lock().unwrap()));
        assert!(quitter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let notifier = spawn(&shared, |_, changed| changed.notify_one());
        let count = std::sync::Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut next = Box::pin(changed.wait(tokens.try_lock().unwrap()));
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        notifier.join().unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "it was for the first");
        drop(quitter);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "the next is found");
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}

#[test]
fn loom_condvar_two_take_what_is_put_past_one_that_gives_up() {
    model(2, || {
        let shared = shared();
        *shared.0.try_lock().unwrap() = 1;
        let taker = spawn(&shared, take);
        let putter = spawn(&shared, put);
        if let Ok(guard) = shared.0.try_lock() {
            drop(give_up(shared.1.wait(guard)));
        }
        take(&shared.0, &shared.1);
        taker.join().unwrap();
        putter.join().unwrap();
        assert_eq!(*shared.0.try_lock().unwrap(), 0);
    });
}

#[test]
fn loom_condvar_notify_all_while_the_mutex_is_held_meets_one_that_gives_up() {
    model(3, || {
        let shared = shared();
        let (tokens, changed) = (&shared.0, &shared.1);
        let noop = Waker::noop();
        let mut quitter = Box::pin(changed.wait(tokens.try_lock().unwrap()));
        assert!(quitter.as_mut().poll(&mut Context::from_waker(noop)).is_pending());
        let notifier = spawn(&shared, |tokens, changed| {
            let mut guard = block_on(tokens.lock());
            *guard += 1;
            changed.notify_all();
        });
        // Maybe as far as the queue of the mutex, or with the mutex handed to it.
        if let Poll::Ready(guard) = quitter.as_mut().poll(&mut Context::from_waker(noop)) {
            assert_eq!(*guard, 1);
        }
        drop(quitter);
        take(tokens, changed);
        notifier.join().unwrap();
    });
}
