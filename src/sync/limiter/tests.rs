use super::{AcquireError, Borrower, CapacityLimiter, TryAcquireError};
use crate::coop;
use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::test_kit::Task;
use futures::executor::block_on;
use std::sync::Arc;
use std::thread;

static STATIC: CapacityLimiter = CapacityLimiter::new(1);

#[test]
fn tokens_are_borrowed_and_given_back() {
    let limiter = CapacityLimiter::new(2);
    let one = block_on(limiter.acquire_on_behalf_of(1)).unwrap();
    let two = limiter.try_acquire_on_behalf_of(2).unwrap();
    assert_eq!((one.borrower(), two.borrower()), (Borrower::from(1), Borrower::from(2)));
    assert_eq!((limiter.borrowed_tokens(), limiter.available_tokens()), (2, 0));
    let refused = limiter.try_acquire_on_behalf_of(3).unwrap_err();
    assert_eq!(refused, TryAcquireError::NoTokens);
    drop(one);
    assert_eq!((limiter.borrowed_tokens(), limiter.available_tokens()), (1, 1));
    assert!(STATIC.try_acquire_on_behalf_of(1).is_ok());
}

#[test]
fn a_borrower_has_one_token_and_is_told_at_once() {
    let limiter = CapacityLimiter::new(5);
    let already = AcquireError::AlreadyBorrows(Borrower::from(1));
    let one = limiter.try_acquire_on_behalf_of(1).unwrap();
    assert_eq!(block_on(limiter.acquire_on_behalf_of(1)).unwrap_err(), already);
    assert_eq!(limiter.try_acquire_on_behalf_of(1).unwrap_err(), already.into());
    // Also where there is none: one that waits is told too.
    limiter.set_total_tokens(0);
    assert_eq!(limiter.try_acquire_on_behalf_of(1).unwrap_err(), already.into());
    drop(one);
    let waiting = Task::waiting(limiter.acquire_on_behalf_of(1));
    assert_eq!(block_on(limiter.acquire_on_behalf_of(1)).unwrap_err(), already);
    assert_eq!(limiter.try_acquire_on_behalf_of(1).unwrap_err(), already.into());
    // One that has left may come again.
    drop(waiting);
    let waiting = Task::waiting(limiter.acquire_on_behalf_of(1));
    limiter.set_total_tokens(1);
    // Handed out, though nobody looked.
    assert_eq!(block_on(limiter.acquire_on_behalf_of(1)).unwrap_err(), already);
    drop(waiting.woken().unwrap());
    assert!(block_on(limiter.acquire_on_behalf_of(1)).is_ok());
}

#[test]
fn those_who_wait_are_served_in_order_and_nobody_passes_them() {
    let limiter = CapacityLimiter::new(1);
    let held = limiter.try_acquire_on_behalf_of(0).unwrap();
    let first = Task::waiting(limiter.acquire_on_behalf_of(1));
    let second = Task::waiting(limiter.acquire_on_behalf_of(2));
    drop(held);
    assert_eq!(second.bell.rings(), 0);
    // The token is the first's already.
    assert_eq!(limiter.statistics().borrowers, [Borrower::from(1)]);
    assert_eq!(limiter.try_acquire_on_behalf_of(3).unwrap_err(), TryAcquireError::NoTokens);
    drop(first.woken().unwrap());
    drop(second.woken().unwrap());
    assert_eq!(limiter.available_tokens(), 1);
}

#[test]
fn raising_the_total_serves_as_many_as_it_reaches() {
    let limiter = CapacityLimiter::new(0);
    let tasks: Vec<_> = (0..4).map(|n| Task::waiting(limiter.acquire_on_behalf_of(n))).collect();
    limiter.set_total_tokens(2);
    let rings: Vec<_> = tasks.iter().map(|task| task.bell.rings()).collect();
    assert_eq!(rings, [1, 1, 0, 0]);
    limiter.set_total_tokens(usize::MAX);
    let rings: Vec<_> = tasks.iter().map(|task| task.bell.rings()).collect();
    assert_eq!(rings, [0, 0, 1, 1]);
    drop(tasks);
    assert_eq!((limiter.borrowed_tokens(), limiter.available_tokens()), (0, usize::MAX));
}

#[test]
fn lowering_the_total_gives_out_nothing_until_enough_came_back() {
    let limiter = CapacityLimiter::new(3);
    let mut held: Vec<_> = (0..3).map(|n| limiter.try_acquire_on_behalf_of(n).unwrap()).collect();
    let waiting = Task::waiting(limiter.acquire_on_behalf_of(3));
    limiter.set_total_tokens(1);
    assert_eq!((limiter.borrowed_tokens(), limiter.available_tokens()), (3, 0));
    held.pop();
    held.pop();
    assert_eq!(waiting.bell.rings(), 0);
    // A newcomer does not pass.
    assert_eq!(limiter.try_acquire_on_behalf_of(4).unwrap_err(), TryAcquireError::NoTokens);
    held.pop();
    assert!(waiting.woken().is_ok());
}

#[test]
fn a_token_that_was_handed_over_and_not_seen_goes_to_the_next() {
    let limiter = CapacityLimiter::new(1);
    let held = limiter.try_acquire_on_behalf_of(0).unwrap();
    let first = Task::waiting(limiter.acquire_on_behalf_of(1));
    let gone = Task::waiting(limiter.acquire_on_behalf_of(2));
    let third = Task::waiting(limiter.acquire_on_behalf_of(3));
    drop(held);
    drop(gone);
    drop(first);
    drop(third.woken().unwrap());
    assert_eq!(limiter.statistics().borrowers, []);
    // One that was never polled has no place.
    drop(Task::new(limiter.acquire_on_behalf_of(4)));
    assert!(limiter.try_acquire_on_behalf_of(4).is_ok());
}

#[test]
fn the_statistics_are_of_one_moment() {
    let limiter = CapacityLimiter::new(2);
    let held = [5, 3].map(|n| limiter.try_acquire_on_behalf_of(n).unwrap());
    let waiting = Task::waiting(limiter.acquire_on_behalf_of(4));
    let statistics = limiter.statistics();
    assert_eq!((statistics.borrowed_tokens, statistics.total_tokens), (2, 2));
    assert_eq!(statistics.borrowers, [3, 5].map(Borrower::from));
    assert_eq!(statistics.tasks_waiting, 1);
    drop((held, waiting));
    let statistics = limiter.statistics();
    assert_eq!((statistics.borrowed_tokens, statistics.tasks_waiting), (0, 0));
}

#[test]
fn outside_a_task_a_borrower_must_be_named() {
    let limiter = Arc::new(CapacityLimiter::new(1));
    assert_eq!(block_on(limiter.acquire()).unwrap_err(), AcquireError::NotInTask);
    let owned = block_on(limiter.clone().acquire_owned());
    assert_eq!(owned.unwrap_err(), AcquireError::NotInTask);
    assert_eq!(limiter.try_acquire().unwrap_err(), TryAcquireError::NotInTask);
    assert_eq!(limiter.clone().try_acquire_owned().unwrap_err(), TryAcquireError::NotInTask);
    assert_eq!(limiter.available_tokens(), 1);
}

#[test]
fn owned_tokens_keep_the_limiter_alive() {
    let limiter = Arc::new(CapacityLimiter::new(1));
    let weak = Arc::downgrade(&limiter);
    let one = block_on(limiter.clone().acquire_owned_on_behalf_of(1)).unwrap();
    assert_eq!(one.borrower(), Borrower::from(1));
    assert!(Arc::ptr_eq(one.limiter(), &limiter));
    let refused = limiter.clone().try_acquire_owned_on_behalf_of(2).unwrap_err();
    assert_eq!(refused, TryAcquireError::NoTokens);
    let mut waiting = Task::waiting(limiter.clone().acquire_owned_on_behalf_of(2));
    assert!(waiting.poll_anew().is_pending());
    drop(limiter);
    drop(one);
    drop(waiting.woken().unwrap());
    assert!(weak.upgrade().is_none());
    let limiter = Arc::new(CapacityLimiter::new(1));
    assert!(limiter.try_acquire_owned_on_behalf_of(1).is_ok());
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_future_that_was_ready_is_not_polled_again() {
    let mut task = Task::new(STATIC.acquire());
    assert!(task.poll().is_ready());
    let _ = task.poll();
}

#[test]
fn waiting_takes_part_in_the_budget() {
    let limiter = CapacityLimiter::new(1);
    let _budget = coop::start();
    let received = (0..2 * coop::BUDGET)
        .take_while(|_| Task::new(limiter.acquire_on_behalf_of(1)).poll().is_ready())
        .count();
    assert_eq!(received, usize::from(coop::BUDGET));
    assert_eq!(limiter.available_tokens(), 1);
}

#[test]
fn threads_never_hold_more_tokens_than_there_are() {
    const ROUNDS: u64 = 1_000;
    let limiter = Arc::new(CapacityLimiter::new(2));
    let inside = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4_u64)
        .map(|n| {
            let (limiter, inside) = (limiter.clone(), inside.clone());
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    // One that gives up, waiting or not.
                    let _ = Task::new(limiter.acquire_on_behalf_of(n)).poll();
                    let token = block_on(limiter.acquire_on_behalf_of(n)).unwrap();
                    assert!(inside.fetch_add(1, Ordering::Relaxed) < 3);
                    if n == 0 {
                        limiter.set_total_tokens(2 + (round % 2) as usize);
                    }
                    inside.fetch_sub(1, Ordering::Relaxed);
                    drop(token);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let statistics = limiter.statistics();
    assert_eq!((statistics.borrowed_tokens, statistics.tasks_waiting), (0, 0));
}
