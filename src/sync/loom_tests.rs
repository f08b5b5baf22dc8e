//! Models of those who wait in a queue: an event's and a semaphore's. Each has one among them that
//! gives up. What all models of this room share is here too.

use super::{Event, Semaphore};
use crate::primitives::{Arc, AtomicUsize, Ordering, UnsafeCell, thread};
use loom::future::block_on;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Wake, Waker};

/// A waker that counts.
pub(super) struct Count(pub(super) AtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls `future` once and drops it.
pub(super) fn give_up<F: Future>(future: F) -> Option<F::Output> {
    let waker = Waker::from(std::sync::Arc::new(Count(AtomicUsize::new(0))));
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Checks `f` with that many preemptions.
pub(super) fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

#[test]
fn loom_event_set_meets_wait() {
    model(3, || {
        let event = Arc::new(Event::new());
        let data = Arc::new(UnsafeCell::new(0));
        let setter = {
            let (event, data) = (event.clone(), data.clone());
            thread::spawn(move || {
                // SAFETY: nobody reads it before the event is set.
                data.with_mut(|data| unsafe { *data = 7 });
                event.set();
            })
        };
        block_on(event.wait());
        // SAFETY: the event was set, so the writer is done with it.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        setter.join().unwrap();
    });
}

#[test]
fn loom_event_set_past_a_queue_is_seen_by_a_newcomer() {
    model(3, || {
        let event = Arc::new(Event::new());
        let data = Arc::new(UnsafeCell::new(0));
        let waker = Waker::from(std::sync::Arc::new(Count(AtomicUsize::new(0))));
        let mut queued = pin!(event.wait());
        assert!(queued.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let newcomer = {
            let (event, data) = (event.clone(), data.clone());
            thread::spawn(move || {
                if event.is_set() {
                    // SAFETY: the event was set, so the writer is done with it.
                    assert_eq!(data.with(|data| unsafe { *data }), 7);
                }
            })
        };
        // SAFETY: nobody reads it before the event is set.
        data.with_mut(|data| unsafe { *data = 7 });
        event.set();
        newcomer.join().unwrap();
    });
}

#[test]
fn loom_event_set_and_clear_meet_one_that_waits_and_one_that_gives_up() {
    model(3, || {
        let event = Arc::new(Event::new());
        let quitter = {
            let event = event.clone();
            thread::spawn(move || give_up(event.wait()))
        };
        let setter = {
            let event = event.clone();
            thread::spawn(move || {
                event.set();
                event.clear();
                event.set();
            })
        };
        block_on(event.wait());
        quitter.join().unwrap();
        setter.join().unwrap();
        assert!(event.is_set());
    });
}

#[test]
fn loom_event_two_set_at_once() {
    model(3, || {
        let event = Arc::new(Event::new());
        let setters: Vec<_> = (0..2)
            .map(|_| {
                let event = event.clone();
                thread::spawn(move || event.set())
            })
            .collect();
        give_up(event.wait());
        block_on(event.wait());
        for setter in setters {
            setter.join().unwrap();
        }
    });
}

#[test]
fn loom_semaphore_permit_comes_back_as_somebody_begins_to_wait() {
    model(3, || {
        let semaphore = Arc::new(Semaphore::new(1));
        let data = Arc::new(UnsafeCell::new(0));
        let other = {
            let (semaphore, data) = (semaphore.clone(), data.clone());
            thread::spawn(move || {
                let permit = block_on(semaphore.acquire()).unwrap();
                // SAFETY: whoever has the permit has the data.
                data.with_mut(|data| unsafe { *data += 1 });
                drop(permit);
            })
        };
        let permit = block_on(semaphore.acquire()).unwrap();
        // SAFETY: as above.
        data.with_mut(|data| unsafe { *data += 1 });
        drop(permit);
        other.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn loom_semaphore_one_gives_up_and_the_next_is_served() {
    model(3, || {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.try_acquire().unwrap();
        let quitter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || drop(give_up(semaphore.acquire())))
        };
        let waiter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || drop(block_on(semaphore.acquire()).unwrap()))
        };
        drop(held);
        quitter.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn loom_semaphore_many_are_collected_from_two_sides_past_one_that_gives_up() {
    model(3, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let adders: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = semaphore.clone();
                thread::spawn(move || semaphore.add_permits(1))
            })
            .collect();
        let quit = give_up(semaphore.acquire_many(2));
        drop(quit);
        block_on(semaphore.acquire_many(2)).unwrap().forget();
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn loom_semaphore_close_meets_release_and_those_who_wait() {
    model(3, || {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.try_acquire().unwrap();
        let closer = {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.close())
        };
        let waiter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || {
                drop(give_up(semaphore.acquire_many(2)));
                drop(block_on(semaphore.acquire()));
            })
        };
        drop(held);
        closer.join().unwrap();
        waiter.join().unwrap();
        assert!(semaphore.is_closed());
        assert_eq!(semaphore.available_permits(), 1);
    });
}
