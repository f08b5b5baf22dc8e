use super::Condvar;
use crate::coop;
use crate::sync::Mutex;
use crate::sync::mutex::MutexGuard;
use crate::sync::test_kit::Task;
use futures::executor::block_on;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

static STATIC: Condvar = Condvar::new();

fn waiting<'a>(condvar: &'a Condvar, mutex: &'a Mutex<u32>) -> Task<'a, MutexGuard<'a, u32>> {
    Task::waiting(condvar.wait(mutex.try_lock().unwrap()))
}

#[test]
fn waiting_unlocks_and_being_notified_locks() {
    let mutex = Mutex::new(0);
    let wait = STATIC.wait(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_err(), "until the first poll");
    let mut task = Task::waiting(wait);
    *mutex.try_lock().expect("it is unlocked") = 5;
    assert!(task.poll().is_pending());
    STATIC.notify_one();
    let guard = task.woken();
    assert_eq!(*guard, 5);
    assert!(mutex.try_lock().is_err());
}

#[test]
fn one_that_was_never_polled_unlocks_when_it_is_dropped() {
    let (condvar, mutex) = (Condvar::default(), Arc::new(Mutex::new(0)));
    drop(condvar.wait(mutex.try_lock().unwrap()));
    drop(condvar.wait_owned(mutex.clone().try_lock_owned().unwrap()));
    assert!(mutex.try_lock().is_ok());
    assert_eq!(Arc::strong_count(&mutex), 1);
}

#[test]
fn a_notification_is_for_those_who_wait_now_in_their_order() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    condvar.notify_one();
    condvar.notify_all();
    let tasks = [(); 4].map(|()| waiting(&condvar, &mutex));
    let rings =
        |tasks: &[Task<'_, _>]| -> Vec<_> { tasks.iter().map(|task| task.bell.rings()).collect() };
    assert_eq!(rings(&tasks), [0; 4], "what came too early is not kept");
    condvar.notify_one();
    assert_eq!(rings(&tasks), [1, 0, 0, 0]);
    condvar.notify_one();
    assert_eq!(rings(&tasks), [0, 1, 0, 0]);
    condvar.notify_all();
    assert_eq!(rings(&tasks), [0, 0, 1, 1]);
    let late = waiting(&condvar, &mutex);
    for mut task in tasks {
        assert!(task.poll().is_ready());
    }
    assert_eq!(late.bell.rings(), 0);
}

#[test]
fn who_is_notified_while_the_mutex_is_locked_waits_for_it() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let mut first = waiting(&condvar, &mutex);
    let mut second = waiting(&condvar, &mutex);
    let held = mutex.try_lock().unwrap();
    condvar.notify_all();
    assert_eq!((first.bell.rings(), second.bell.rings()), (1, 1));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    drop(held);
    assert_eq!(second.bell.rings(), 0);
    drop(first.woken());
    drop(second.woken());
}

#[test]
fn a_notification_goes_on_where_it_was_not_used() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let mut tasks = Vec::from([(); 5].map(|()| waiting(&condvar, &mutex)));
    let last = tasks.pop().unwrap();
    let mut next = || tasks.remove(0);
    // In the queue: there is nothing to pass on.
    drop(next());
    // Notified, and not polled since.
    let unpolled = next();
    condvar.notify_one();
    assert_eq!(unpolled.bell.rings(), 1);
    drop(unpolled);
    // Notified, and waiting for the mutex.
    let mut locking = next();
    assert_eq!(locking.bell.rings(), 1);
    let held = mutex.try_lock().unwrap();
    assert!(locking.poll().is_pending());
    drop(locking);
    // Notified, with the mutex handed to it.
    let mut handed = next();
    assert_eq!(handed.bell.rings(), 1);
    assert!(handed.poll().is_pending());
    drop(held);
    drop(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_err());
    drop(handed);
    drop(last.woken());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn what_was_for_all_does_not_go_on_to_one_that_came_later() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let notified = waiting(&condvar, &mutex);
    condvar.notify_all();
    let late = waiting(&condvar, &mutex);
    drop(notified);
    assert_eq!(late.bell.rings(), 0);
    drop(late);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn waiting_for_a_condition_goes_on_until_it_is_met() {
    let (condvar, mutex) = (Condvar::new(), Arc::new(Mutex::new(0)));
    let met = block_on(condvar.wait_while(mutex.try_lock().unwrap(), |value| *value > 0));
    drop(met);
    let mut two = Task::waiting(condvar.wait_while(mutex.try_lock().unwrap(), |value| *value < 2));
    let guard = mutex.clone().try_lock_owned().unwrap();
    let mut one = Task::waiting(condvar.wait_while_owned(guard, |value| *value < 1));
    *mutex.try_lock().unwrap() = 1;
    condvar.notify_all();
    assert!(two.poll().is_pending());
    drop(one.poll());
    *mutex.try_lock().unwrap() = 2;
    condvar.notify_all();
    assert!(two.poll().is_ready());
}

#[test]
fn one_may_wait_with_different_mutexes() {
    let condvar = Condvar::new();
    let (a, b) = (Mutex::new(1), Mutex::new(2));
    let (first, second) = (waiting(&condvar, &a), waiting(&condvar, &b));
    condvar.notify_all();
    assert_eq!(*first.woken() + *second.woken(), 3);
}

#[test]
fn the_mutex_goes_to_who_waits_for_it_when_somebody_begins_to_wait_here() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let guard = mutex.try_lock().unwrap();
    let locking = Task::waiting(mutex.lock());
    let task = Task::waiting(condvar.wait(guard));
    drop(locking.woken());
    condvar.notify_one();
    drop(task.woken());
}

#[test]
fn a_condition_that_panics_unlocks() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let wait = || block_on(condvar.wait_while(mutex.try_lock().unwrap(), |_| panic!("oh")));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(wait()))).is_err());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn waiting_takes_part_in_the_budget_but_never_keeps_the_mutex_for_it() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let _budget = coop::start();
    for _ in 0..coop::BUDGET {
        drop(Task::new(mutex.lock()).poll());
    }
    let mut task = waiting(&condvar, &mutex);
    assert!(mutex.try_lock().is_ok());
    condvar.notify_one();
    assert!(task.poll().is_pending(), "nothing is left");
    assert_eq!(task.bell.rings(), 2, "it yields");
    let _more = coop::start();
    assert!(task.poll().is_ready());
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_wait_that_is_over_is_not_polled_again() {
    let (condvar, mutex) = (Condvar::new(), Mutex::new(0));
    let mut task = waiting(&condvar, &mutex);
    condvar.notify_one();
    assert!(task.poll().is_ready());
    drop(task.poll());
}

#[test]
fn threads_lose_no_notification() {
    const ROUNDS: u32 = 1_500;
    // Tokens that producers put and consumers take; each wait beside one that gives up.
    let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || {
                let (tokens, changed) = &*shared;
                for _ in 0..ROUNDS {
                    let mut quitter = Task::new(async {
                        drop(changed.wait(tokens.lock().await).await);
                    });
                    let _ = quitter.poll();
                    let _ = quitter.poll();
                    drop(quitter);
                    *block_on(async {
                        changed.wait_while(tokens.lock().await, |tokens| *tokens == 0).await
                    }) -= 1;
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..2)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    *block_on(shared.0.lock()) += 1;
                    shared.1.notify_one();
                }
            })
        })
        .collect();
    for thread in producers.into_iter().chain(consumers) {
        thread.join().unwrap();
    }
    assert_eq!(*shared.0.try_lock().unwrap(), 0);
}
