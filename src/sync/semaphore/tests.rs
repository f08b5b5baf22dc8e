use super::{Closed, Semaphore, TryAcquireError};
use crate::coop;
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;

static STATIC: Semaphore = Semaphore::new(1);

#[test]
fn permits_are_taken_and_given_back() {
    let semaphore = Semaphore::new(3);
    let one = block_on(semaphore.acquire()).unwrap();
    let two = block_on(semaphore.acquire_many(2)).unwrap();
    assert_eq!((one.num_permits(), two.num_permits()), (1, 2));
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    drop(two);
    assert_eq!(semaphore.available_permits(), 2);
    assert_eq!(semaphore.try_acquire_many(3).unwrap_err(), TryAcquireError::NoPermits);
    drop(one);
    drop(semaphore.try_acquire_many(3).unwrap());
    assert_eq!(semaphore.available_permits(), 3);
    assert!(STATIC.try_acquire().is_ok());
}

#[test]
fn owned_permits_keep_the_semaphore_alive() {
    let semaphore = Arc::new(Semaphore::new(4));
    let weak = Arc::downgrade(&semaphore);
    let one = block_on(semaphore.clone().acquire_owned()).unwrap();
    let two = block_on(semaphore.clone().acquire_many_owned(2)).unwrap();
    let last = semaphore.clone().try_acquire_owned().unwrap();
    assert_eq!(semaphore.clone().try_acquire_owned().unwrap_err(), TryAcquireError::NoPermits);
    drop(last);
    assert!(Arc::ptr_eq(one.semaphore(), &semaphore));
    let refused = semaphore.clone().try_acquire_many_owned(2).unwrap_err();
    assert_eq!(refused, TryAcquireError::NoPermits);
    drop(two);
    let mut waiting = Task::waiting(semaphore.clone().acquire_many_owned(4));
    assert!(waiting.poll().is_pending());
    drop(semaphore);
    drop(one);
    let all = waiting.woken().unwrap();
    assert_eq!(all.num_permits(), 4);
    all.forget();
    assert!(weak.upgrade().is_none());
}

#[test]
fn those_who_wait_are_served_in_order_and_nobody_passes_them() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let first = Task::waiting(semaphore.acquire());
    let second = Task::waiting(semaphore.acquire());
    drop(held);
    assert_eq!(second.bell.rings(), 0);
    // The permit is the first's already, and neither a newcomer's nor anybody's who tries.
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    let third = Task::waiting(semaphore.acquire());
    drop(first.woken().unwrap());
    drop(second.woken().unwrap());
    drop(third.woken().unwrap());
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn who_wants_many_collects_and_is_not_starved() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire_many(2).unwrap();
    let many = Task::waiting(semaphore.acquire_many(3));
    let few = Task::waiting(semaphore.acquire());
    drop(held);
    assert_eq!((many.bell.rings(), few.bell.rings()), (0, 0));
    assert_eq!(semaphore.available_permits(), 0, "both were collected");
    semaphore.add_permits(2);
    let many = many.woken().unwrap();
    drop(few.woken().unwrap());
    assert_eq!(semaphore.available_permits(), 1);
    drop(many);
    assert_eq!(semaphore.available_permits(), 4);
}

#[test]
fn what_is_there_is_collected_on_arrival() {
    let semaphore = Semaphore::new(2);
    let many = Task::waiting(semaphore.acquire_many(3));
    assert_eq!(semaphore.available_permits(), 0);
    semaphore.add_permits(1);
    assert_eq!(many.woken().unwrap().num_permits(), 3);
}

#[test]
fn a_waiter_that_is_dropped_gives_back_what_it_collected_to_the_next() {
    let semaphore = Semaphore::new(2);
    let many = Task::waiting(semaphore.acquire_many(5));
    let second = Task::waiting(semaphore.acquire());
    let third = Task::waiting(semaphore.acquire_many(2));
    let fourth = Task::waiting(semaphore.acquire());
    drop(many);
    drop(third);
    drop(second.woken().unwrap());
    drop(fourth.woken().unwrap());
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_waiter_that_is_dropped_after_it_was_served_passes_the_permit_on() {
    let semaphore = Semaphore::new(0);
    let first = Task::waiting(semaphore.acquire_many(2));
    let second = Task::waiting(semaphore.acquire());
    semaphore.add_permits(2);
    assert_eq!((first.bell.rings(), second.bell.rings()), (1, 0));
    drop(first);
    drop(second.woken().unwrap());
    assert_eq!(semaphore.available_permits(), 2);
    drop(semaphore.acquire());
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn the_last_waiter_to_leave_reopens_the_short_way() {
    let semaphore = Semaphore::new(1);
    drop(Task::waiting(semaphore.acquire_many(2)));
    assert_eq!(semaphore.available_permits(), 1);
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn closing_refuses_those_who_wait_and_those_who_come() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire().unwrap();
    let many = Task::waiting(semaphore.acquire_many(4));
    let next = Task::waiting(semaphore.acquire());
    assert!(!semaphore.is_closed());
    semaphore.close();
    semaphore.close();
    assert!(semaphore.is_closed());
    assert_eq!(many.woken().unwrap_err(), Closed(()));
    assert!(next.woken().is_err());
    assert_eq!(semaphore.available_permits(), 2, "what was collected is free");
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    assert!(block_on(semaphore.acquire()).is_err());
    assert!(block_on(semaphore.acquire_many(0)).is_err());
    drop(held);
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn a_permit_that_was_served_before_the_close_stays_good() {
    let semaphore = Semaphore::new(0);
    let served = Task::waiting(semaphore.acquire());
    let dropped = Task::waiting(semaphore.acquire());
    semaphore.add_permits(2);
    semaphore.close();
    drop(dropped);
    assert_eq!(semaphore.available_permits(), 1);
    drop(served.woken().unwrap());
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn no_permits_are_there_at_once() {
    let semaphore = Semaphore::new(0);
    let _waiting = Task::waiting(semaphore.acquire());
    assert_eq!(block_on(semaphore.acquire_many(0)).unwrap().num_permits(), 0);
    assert!(semaphore.try_acquire_many(0).is_ok());
}

#[test]
fn more_than_there_are_wait_without_harm() {
    let semaphore = Semaphore::new(1);
    assert_eq!(semaphore.try_acquire_many(usize::MAX).unwrap_err(), TryAcquireError::NoPermits);
    let waiting = Task::waiting(semaphore.acquire_many(usize::MAX));
    semaphore.add_permits(1);
    drop(waiting);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn permits_are_split_and_merged() {
    let semaphore = Arc::new(Semaphore::new(6));
    let mut three = semaphore.try_acquire_many(3).unwrap();
    assert!(three.split(4).is_none());
    let two = three.split(2).unwrap();
    assert_eq!((three.num_permits(), two.num_permits()), (1, 2));
    drop(three.split(1));
    assert_eq!(semaphore.available_permits(), 4);
    three.merge(two);
    assert_eq!(three.num_permits(), 2);

    let mut owned = semaphore.clone().try_acquire_many_owned(3).unwrap();
    assert!(owned.split(4).is_none());
    let one = owned.split(1).unwrap();
    owned.merge(one);
    drop(owned);
    drop(three);
    assert_eq!(semaphore.available_permits(), 6);
}

#[test]
fn permits_of_two_semaphores_do_not_merge() {
    let (a, b) = (Semaphore::new(1), Semaphore::new(1));
    let merge = || a.try_acquire().unwrap().merge(b.try_acquire().unwrap());
    assert!(std::panic::catch_unwind(merge).is_err());
    assert_eq!((a.available_permits(), b.available_permits()), (1, 1));
}

#[test]
fn forgotten_permits_make_room_for_new_ones() {
    let max = Semaphore::MAX_PERMITS;
    let semaphore = Semaphore::new(max);
    let add = || semaphore.add_permits(1);
    assert!(std::panic::catch_unwind(add).is_err());
    let held = semaphore.try_acquire_many(10).unwrap();
    assert!(std::panic::catch_unwind(add).is_err(), "those that are held count");
    held.forget();
    semaphore.add_permits(4);
    assert_eq!(semaphore.available_permits(), max - 6);
    assert_eq!(semaphore.forget_permits(5), 5);
    semaphore.add_permits(11);
    assert_eq!(semaphore.available_permits(), max);
    assert_eq!(semaphore.forget_permits(usize::MAX), max);
    assert_eq!(semaphore.forget_permits(1), 0);
    assert!(std::panic::catch_unwind(|| Semaphore::new(max + 1)).is_err());
}

#[test]
fn permits_that_were_collected_are_not_forgotten() {
    let semaphore = Semaphore::new(2);
    let many = Task::waiting(semaphore.acquire_many(3));
    assert_eq!(semaphore.forget_permits(2), 0);
    semaphore.add_permits(1);
    assert!(many.woken().is_ok());
}

#[test]
fn only_the_last_waker_is_woken() {
    let semaphore = Semaphore::new(0);
    let mut task = Task::waiting(semaphore.acquire());
    let old = std::mem::replace(&mut task.bell, Bell::new());
    assert!(task.poll().is_pending());
    assert_eq!((old.clones(), task.bell.clones()), (0, 1));
    assert!(task.poll().is_pending());
    assert_eq!(task.bell.clones(), 1, "the same waker is not cloned again");
    semaphore.add_permits(1);
    assert_eq!(old.rings(), 0);
    drop(task.woken().unwrap());
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn an_acquire_that_is_over_is_not_polled_again() {
    let semaphore = Semaphore::new(2);
    let mut task = Task::new(semaphore.acquire());
    assert!(task.poll().is_ready());
    let _ = task.poll();
}

#[test]
fn acquiring_takes_part_in_the_budget_when_it_makes_progress() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let _budget = coop::start();
    let mut idle = Task::waiting(semaphore.acquire());
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
    drop((idle, held));
    for _ in 0..coop::BUDGET {
        assert!(Task::new(semaphore.acquire()).poll().is_ready());
    }
    let mut over = Task::new(semaphore.acquire());
    assert!(over.poll().is_pending());
    assert_eq!(over.bell.rings(), 1, "it yields, it does not wait");
}

#[test]
fn a_waker_may_use_the_semaphore_that_wakes_or_drops_it() {
    struct Nosy(Arc<Semaphore>);
    impl Nosy {
        // Each would hang if the lock of the queue were held.
        fn look(&self) {
            let _ = Task::new(self.0.acquire_many(100)).poll();
        }
    }
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.look();
        }
    }
    let semaphore = Arc::new(Semaphore::new(0));
    let poll = |acquire: &mut Pin<Box<super::Acquire<'_>>>| {
        let waker = Arc::new(Nosy(semaphore.clone())).into();
        acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
    };
    let mut replaced = Box::pin(semaphore.acquire());
    assert!(poll(&mut replaced) && poll(&mut replaced));
    let mut dropped = Box::pin(semaphore.acquire());
    assert!(poll(&mut dropped));
    drop(dropped);
    semaphore.add_permits(1);
    let Poll::Ready(Ok(permit)) = Bell::new().poll(&mut replaced) else { panic!("not served") };
    drop(permit);
    let _held = semaphore.try_acquire().unwrap();
    let mut refused = Box::pin(semaphore.acquire());
    assert!(poll(&mut refused));
    semaphore.close();
}

#[test]
fn permits_are_exclusive_and_none_is_lost_between_threads() {
    const PERMITS: usize = 3;
    const ROUNDS: usize = 1_500;
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    // One token for each permit: whoever holds a permit must find its token.
    let (put, tokens) = std::sync::mpsc::sync_channel(PERMITS);
    (0..PERMITS).for_each(|n| put.send(n).unwrap());
    let tokens = Arc::new(crate::primitives::Mutex::new(tokens));
    let threads: Vec<_> = (0..4)
        .map(|me| {
            let (semaphore, tokens, put) = (semaphore.clone(), tokens.clone(), put.clone());
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    let n = 1 + (me + round) % PERMITS;
                    // One that gives up, served or not, stands beside the one that waits.
                    let mut quitter = Task::new(semaphore.acquire_many(n));
                    drop(quitter.poll());
                    drop(quitter);
                    let permit = block_on(semaphore.acquire_many(n)).unwrap();
                    let taken: Vec<_> = (0..n)
                        .map(|_| tokens.lock().try_recv().expect("a permit too many"))
                        .collect();
                    taken.into_iter().for_each(|token| put.try_send(token).unwrap());
                    drop(permit);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(semaphore.available_permits(), PERMITS);
}
