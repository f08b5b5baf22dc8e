//! Models of a mutex: who has it has its value alone, and nobody who waits is forgotten.

use super::Mutex;
use crate::primitives::{Arc, AtomicUsize, Ordering, thread};
use crate::sync::loom_tests::{Count, give_up, model};
use loom::future::block_on;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

// The value lies in a cell of loom, which notices each use beside another: so the models need only
// use it.

fn spawn(mutex: &Arc<Mutex<u32>>, f: impl FnOnce(&Mutex<u32>) + 'static) -> thread::JoinHandle<()> {
    let mutex = mutex.clone();
    thread::spawn(move || f(&mutex))
}

#[test]
fn loom_mutex_unlock_meets_one_that_begins_to_wait() {
    model(3, || {
        let mutex = Arc::new(Mutex::new(0));
        let other = spawn(&mutex, |mutex| *block_on(mutex.lock()) += 1);
        *block_on(mutex.lock()) += 1;
        drop(give_up(mutex.lock()));
        other.join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), 2);
    });
}

#[test]
fn loom_mutex_two_wait_and_one_gives_up() {
    model(3, || {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.try_lock().unwrap();
        let quitter = spawn(&mutex, |mutex| drop(give_up(mutex.lock())));
        let waiter = spawn(&mutex, |mutex| *block_on(mutex.lock()) += 1);
        drop(held);
        *block_on(mutex.lock()) += 1;
        quitter.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), 2);
    });
}

#[test]
fn loom_mutex_newcomer_comes_past_the_front_and_hands_over() {
    model(3, || {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.try_lock().unwrap();
        let mut front = pin!(mutex.lock());
        assert!(front.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(held);
        let newcomer = spawn(&mutex, |mutex| {
            if let Ok(mut value) = mutex.try_lock() {
                *value += 1;
            }
            drop(give_up(mutex.lock()));
        });
        // The front was woken, and tries; where it finds the mutex taken it is woken once more.
        *block_on(front.as_mut()) += 1;
        newcomer.join().unwrap();
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn loom_mutex_front_gives_up_between_the_wake_and_the_hand_over() {
    model(3, || {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.try_lock().unwrap();
        let noop = Waker::noop();
        let mut front = Box::pin(mutex.lock());
        assert!(front.as_mut().poll(&mut Context::from_waker(noop)).is_pending());
        drop(held);
        let newcomer = spawn(&mutex, |mutex| {
            if let Ok(mut value) = mutex.try_lock() {
                *value += 1;
            }
        });
        let waiter = spawn(&mutex, |mutex| *block_on(mutex.lock()) += 1);
        drop(front);
        newcomer.join().unwrap();
        waiter.join().unwrap();
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn loom_mutex_wake_of_one_that_gives_up_goes_on_beside_a_newcomer() {
    model(3, || {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.try_lock().unwrap();
        let noop = Waker::noop();
        let mut front = Box::pin(mutex.lock());
        assert!(front.as_mut().poll(&mut Context::from_waker(noop)).is_pending());
        let second = std::sync::Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(second.clone());
        let mut next = Box::pin(mutex.lock());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let newcomer = spawn(&mutex, |mutex| {
            if let Ok(mut value) = mutex.try_lock() {
                *value += 1;
            }
        });
        drop(held);
        drop(front);
        newcomer.join().unwrap();
        assert!(second.0.load(Ordering::SeqCst) >= 1, "the next is woken, or has it");
        let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_ready());
    });
}
