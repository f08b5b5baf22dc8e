use super::{MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard};
use crate::coop;
use crate::sync::test_kit::{Bell, Task, brittle};
use futures::executor::block_on;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;

static STATIC: Mutex<u32> = Mutex::new(7);

#[test]
fn it_is_locked_by_one_at_a_time() {
    let mutex = Mutex::new(1);
    let mut guard = block_on(mutex.lock());
    *guard += 1;
    assert!(mutex.try_lock().is_err());
    assert!(std::ptr::eq(MutexGuard::mutex(&guard), &mutex));
    drop(guard);
    assert_eq!(*mutex.try_lock().unwrap(), 2);
    assert_eq!(*STATIC.try_lock().unwrap(), 7);
}

#[test]
fn the_value_is_reached_without_locking_by_one_who_has_the_mutex_alone() {
    let mut mutex = Mutex::from(String::from("a"));
    mutex.get_mut().push('b');
    assert_eq!(mutex.into_inner(), "ab");
    assert_eq!(*Mutex::<u32>::default().try_lock().unwrap(), 0);
}

#[test]
fn a_value_without_a_size_is_locked_too() {
    let mutex: Arc<Mutex<[u32]>> = Arc::new(Mutex::new([1, 2, 3]));
    mutex.try_lock().unwrap()[1] = 5;
    assert_eq!(mutex.clone().try_lock_owned().unwrap().iter().sum::<u32>(), 9);
    let part = MutexGuard::map(mutex.try_lock().unwrap(), |all| &mut all[1..]);
    assert_eq!(*part, [5, 3]);
}

#[test]
fn an_owned_guard_keeps_the_mutex_alive() {
    let mutex = Arc::new(Mutex::new(1));
    let weak = Arc::downgrade(&mutex);
    let guard = block_on(mutex.clone().lock_owned());
    assert!(mutex.clone().try_lock_owned().is_err());
    let waiting = Task::waiting(mutex.clone().lock_owned());
    assert!(Arc::ptr_eq(OwnedMutexGuard::mutex(&guard), &mutex));
    drop((mutex, guard));
    let mut guard = waiting.woken();
    *guard += 1;
    let guard = OwnedMutexGuard::map(guard, |value| value);
    assert!(weak.upgrade().unwrap().try_lock().is_err());
    drop(guard);
    assert!(weak.upgrade().is_none());
}

#[test]
fn mapped_guards_hold_the_lock_and_change_the_part() {
    let mutex = Arc::new(Mutex::new((1, [Some(2), None])));
    let part = MutexGuard::map(mutex.try_lock().unwrap(), |all| &mut all.1);
    let part = MappedMutexGuard::filter_map(part, |part| part[1].as_mut()).unwrap_err();
    let mut part = MappedMutexGuard::map(part, |part| &mut part[0]);
    assert!(mutex.try_lock().is_err());
    *part = Some(3);
    let mut number = MappedMutexGuard::filter_map(part, Option::as_mut).unwrap();
    *number += 1;
    drop(number);
    let guard = MutexGuard::filter_map(mutex.try_lock().unwrap(), |all| all.1[1].as_mut());
    assert_eq!(guard.unwrap_err().1, [Some(4), None]);

    let part = OwnedMutexGuard::map(mutex.clone().try_lock_owned().unwrap(), |all| &mut all.1);
    let part = OwnedMappedMutexGuard::filter_map(part, |part| part[1].as_mut()).unwrap_err();
    let mut part = OwnedMappedMutexGuard::map(part, |part| &mut part[0]);
    assert!(mutex.try_lock().is_err());
    *part = Some(5);
    let mut number = OwnedMappedMutexGuard::filter_map(part, Option::as_mut).unwrap();
    *number += 1;
    drop(number);
    let guard = OwnedMutexGuard::filter_map(mutex.clone().try_lock_owned().unwrap(), |all| {
        all.1[0].as_mut()
    });
    assert_eq!(*guard.unwrap(), 6);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_panic_unlocks_also_while_a_guard_is_mapped() {
    let mutex = Mutex::new(1);
    let hurt = |f: &dyn Fn()| {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err());
        assert!(mutex.try_lock().is_ok());
    };
    hurt(&|| {
        let mut guard = mutex.try_lock().unwrap();
        *guard = 2;
        panic!("while it is held");
    });
    hurt(&|| drop(MutexGuard::map(mutex.try_lock().unwrap(), |_| -> &mut u32 { panic!("map") })));
    assert_eq!(*mutex.try_lock().unwrap(), 2);
}

#[test]
fn who_waits_is_woken_once_when_it_is_free() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let first = Task::waiting(mutex.lock());
    let second = Task::waiting(mutex.lock());
    drop(held);
    assert_eq!(second.bell.rings(), 0);
    let held = first.woken();
    assert_eq!(second.bell.rings(), 0);
    drop(held);
    drop(second.woken());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_newcomer_passes_the_front_once_and_then_hands_over() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let mut front = Task::waiting(mutex.lock());
    let mut second = Task::waiting(mutex.lock());
    drop(held);
    let newcomer = mutex.try_lock().expect("the front is on its way, the mutex is free");
    assert_eq!(front.bell.rings(), 1);
    assert!(front.poll().is_pending());
    drop(newcomer);
    assert!(mutex.try_lock().is_err(), "it was handed over");
    let held = front.woken();
    assert!(second.poll().is_pending());
    drop(held);
    let newcomer = mutex.try_lock().expect("the next front may be passed too");
    drop(newcomer);
    // It was not polled in between, so one wake is enough.
    drop(second.woken());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn the_holder_alone_goes_on_where_the_front_left() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let front = Task::waiting(mutex.lock());
    drop(held);
    let newcomer = mutex.try_lock().unwrap();
    drop(front);
    let waiting = Task::waiting(mutex.lock());
    drop(newcomer);
    // Nobody had come past this one.
    let held = mutex.try_lock().unwrap();
    drop(held);
    drop(waiting.woken());
}

#[test]
fn a_waiter_that_is_dropped_passes_on_the_wake_or_the_mutex() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let [first, second, third] = [(); 3].map(|()| Task::waiting(mutex.lock()));
    drop(held);
    drop(first);
    assert_eq!(second.bell.rings(), 1, "the wake goes on");
    let mut second = second;
    drop(mutex.try_lock().unwrap());
    assert_eq!(second.bell.rings(), 0, "it is awake");
    assert!(mutex.try_lock().is_err(), "it was handed over");
    drop(second.poll());
    assert_eq!(third.bell.rings(), 1);
    drop(mutex.try_lock().unwrap());
    drop(third);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn one_in_the_middle_gives_up_its_place_alone() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let [first, second, third] = [(); 3].map(|()| Task::waiting(mutex.lock()));
    drop(second);
    drop(held);
    assert_eq!(third.bell.rings(), 0);
    drop(first.woken());
    drop(third.woken());
}

#[test]
fn one_that_is_not_first_does_not_take_a_free_mutex() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let first = Task::waiting(mutex.lock());
    let mut second = Task::waiting(mutex.lock());
    drop(held);
    assert!(second.poll().is_pending());
    drop(first.woken());
    drop(second.woken());
}

#[test]
fn only_the_last_waker_is_woken() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let mut task = Task::waiting(mutex.lock());
    let old = std::mem::replace(&mut task.bell, Bell::new());
    assert!(task.poll().is_pending());
    assert_eq!((old.clones(), task.bell.clones()), (0, 1));
    drop(held);
    assert_eq!(old.rings(), 0);
    drop(task.woken());
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_lock_that_is_over_is_not_polled_again() {
    let mutex = Mutex::new(0);
    let mut task = Task::new(mutex.lock());
    drop(task.poll());
    drop(task.poll());
}

#[test]
fn locking_takes_part_in_the_budget_when_it_makes_progress() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let _budget = coop::start();
    let mut idle = Task::waiting(mutex.lock());
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
    drop((idle, held));
    for _ in 0..coop::BUDGET {
        assert!(Task::new(mutex.lock()).poll().is_ready());
    }
    let mut over = Task::new(mutex.lock());
    assert!(over.poll().is_pending());
    assert_eq!(over.bell.rings(), 1, "it yields, it does not wait");
}

#[test]
fn a_waker_may_use_the_mutex_that_wakes_or_drops_it() {
    struct Nosy(Arc<Mutex<u32>>);
    impl Nosy {
        // Each would hang if the lock of the queue were held.
        fn look(&self) {
            let _held = self.0.try_lock();
            let _ = Task::new(self.0.lock()).poll();
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
    let mutex = Arc::new(Mutex::new(0));
    let poll = |lock: &mut Pin<Box<super::Lock<'_, u32>>>| {
        let waker = Arc::new(Nosy(mutex.clone())).into();
        lock.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
    };
    let held = mutex.try_lock().unwrap();
    let mut replaced = Box::pin(mutex.lock());
    assert!(poll(&mut replaced) && poll(&mut replaced));
    let mut dropped = Box::pin(mutex.lock());
    assert!(poll(&mut dropped));
    drop(dropped);
    drop(held);
    let Poll::Ready(held) = Bell::new().poll(&mut replaced) else { panic!("it is not locked") };
    let mut woken = Box::pin(mutex.lock());
    let mut next = Box::pin(mutex.lock());
    assert!(poll(&mut woken) && poll(&mut next));
    drop(held);
    drop(woken);
    drop(next);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_waker_that_panics_when_it_is_dropped_loses_nothing() {
    let mutex = Arc::new(Mutex::new(0));
    let unlocks = || {
        let held = Cell::new(mutex.clone().try_lock_owned().ok());
        brittle(move || drop(held.take()))
    };
    // As it comes, and is about to wait.
    let mut lock = Box::pin(mutex.lock());
    assert!(lock.as_mut().poll(&mut Context::from_waker(&unlocks())).is_ready());
    drop(lock);
    // As it waits already, and is polled by another task.
    let mut lock = Box::pin(mutex.lock());
    let waker = unlocks();
    assert!(Bell::new().poll(&mut lock).is_pending());
    assert!(lock.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    drop(lock);
    // As it gives up.
    let held = mutex.try_lock().unwrap();
    let mut lock = Box::pin(mutex.lock());
    assert!(lock.as_mut().poll(&mut Context::from_waker(&brittle(|| ()))).is_pending());
    let next = Task::waiting(mutex.lock());
    drop(lock);
    drop(held);
    drop(next.woken());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_thread_blocks_until_it_has_the_mutex_and_a_task_must_not() {
    let mutex = Arc::new(Mutex::new(0));
    let held = mutex.try_lock().unwrap();
    let threads = [(); 2].map(|()| {
        let mutex = mutex.clone();
        thread::spawn(move || {
            *mutex.blocking_lock() += 1;
            *mutex.blocking_lock_owned() += 1;
        })
    });
    drop(held);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*mutex.blocking_lock(), 4);
    let _task = coop::start();
    let refused = |f: &dyn Fn()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
        *panic.downcast::<String>().unwrap()
    };
    let text = refused(&|| drop(mutex.blocking_lock()));
    assert!(text.contains("Mutex::blocking_lock was") && text.contains("await `lock()`"), "{text}");
    let text = refused(&|| drop(mutex.clone().blocking_lock_owned()));
    assert!(text.contains("await `lock_owned()`"), "{text}");
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn threads_exclude_each_other_and_no_wake_is_lost() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 3_000;
    // Two numbers that are changed one after the other: torn if two are at it.
    let mutex = Arc::new(Mutex::new((0, 0)));
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let mutex = mutex.clone();
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    // One that gives up, served or not, stands beside the one that waits.
                    let mut quitter = Task::new(mutex.lock());
                    drop(quitter.poll());
                    let mut next = Task::new(mutex.lock());
                    drop(next.poll());
                    drop(quitter);
                    drop(next);
                    let mut guard = block_on(mutex.lock());
                    assert_eq!(guard.0, guard.1);
                    guard.0 += 1;
                    if (me + round) % 8 == 0 {
                        thread::yield_now();
                    }
                    guard.1 += 1;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*mutex.try_lock().unwrap(), (THREADS * ROUNDS, THREADS * ROUNDS));
}
