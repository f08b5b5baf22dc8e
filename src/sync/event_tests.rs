use super::Event;
use crate::coop;
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

#[test]
fn a_set_event_lets_everybody_pass_until_it_is_cleared() {
    let event = Event::default();
    assert!(!event.is_set());
    event.set();
    assert!(event.is_set());
    block_on(event.wait());
    block_on(event.wait());
    event.clear();
    assert!(!event.is_set());
    assert!(Task::new(event.wait()).poll().is_pending());
}

#[test]
fn set_wakes_all_that_wait_and_wakes_them_once() {
    let event = Event::new();
    let tasks: Vec<_> = (0..5).map(|_| Task::waiting(event.wait())).collect();
    event.set();
    event.set();
    for task in tasks {
        task.woken();
    }
}

#[test]
fn who_waits_when_it_is_set_goes_on_though_it_is_cleared_at_once() {
    let event = Event::new();
    let early = Task::waiting(event.wait());
    let unpolled = Task::new(event.wait());
    event.set();
    event.clear();
    let mut late = Task::waiting(event.wait());
    early.woken();
    assert_eq!(late.bell.rings(), 0);
    assert!(late.poll().is_pending());
    // One that was never polled was not waiting yet.
    let mut unpolled = unpolled;
    assert!(unpolled.poll().is_pending());
    event.set();
    late.woken();
    unpolled.woken();
}

#[test]
fn wakes_are_first_come_first_served() {
    let event = Event::new();
    let (sender, order) = std::sync::mpsc::channel();
    struct Name(std::sync::mpsc::Sender<u32>, u32);
    impl std::task::Wake for Name {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(self.1);
        }
    }
    let mut waits: Vec<_> = (0..4).map(|_| Box::pin(event.wait())).collect();
    for (n, wait) in (0..).zip(&mut waits) {
        let waker = Arc::new(Name(sender.clone(), n)).into();
        assert!(wait.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    }
    drop(waits.remove(1));
    event.set();
    assert_eq!(order.try_iter().collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn a_dropped_wait_leaves_and_its_waker_goes_with_it() {
    let event = Event::new();
    let first = Task::waiting(event.wait());
    let second = Task::waiting(event.wait());
    let bell = {
        let mut task = Task::new(event.wait());
        assert!(task.poll().is_pending());
        assert_eq!(task.bell.clones(), 1);
        let bell = std::mem::replace(&mut task.bell, Bell::new());
        drop(task);
        bell
    };
    assert_eq!(bell.clones(), 0);
    drop(first);
    event.set();
    second.woken();
    assert_eq!(bell.rings(), 0);
    // The queue is empty again: this takes the short way, and must not forget the flag.
    event.clear();
    drop(Task::waiting(event.wait()));
    event.set();
    block_on(event.wait());
}

#[test]
fn only_the_last_waker_is_woken() {
    let event = Event::new();
    let mut task = Task::waiting(event.wait());
    let old = std::mem::replace(&mut task.bell, Bell::new());
    assert!(task.poll().is_pending());
    assert_eq!((old.clones(), task.bell.clones()), (0, 1));
    assert!(task.poll().is_pending());
    assert_eq!(task.bell.clones(), 1, "the same waker is not cloned again");
    event.set();
    assert_eq!(old.rings(), 0);
    task.woken();
}

#[test]
#[should_panic(expected = "polled after it was over")]
fn a_wait_that_is_over_is_not_polled_again() {
    let event = Event::new();
    event.set();
    let mut task = Task::new(event.wait());
    assert!(task.poll().is_ready());
    let _ = task.poll();
}

#[test]
fn waiting_takes_part_in_the_budget_when_it_makes_progress() {
    let event = Event::new();
    let _budget = coop::start();
    let mut idle = Task::waiting(event.wait());
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
    event.set();
    for _ in 0..coop::BUDGET {
        assert!(Task::new(event.wait()).poll().is_ready());
    }
    let mut over = Task::new(event.wait());
    assert_eq!(over.poll(), Poll::Pending);
    assert_eq!(over.bell.rings(), 1, "it yields, it does not wait");
}

#[test]
fn a_panicking_waker_keeps_nobody_from_being_woken() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a bad waker");
        }
    }
    let event = Event::new();
    let mut bad = Box::pin(event.wait());
    let waker = Arc::new(Bad).into();
    assert!(bad.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    let good = Task::waiting(event.wait());
    event.set();
    good.woken();
}

#[test]
fn a_waker_may_use_the_event_that_wakes_or_drops_it() {
    struct Nosy(Arc<Event>);
    impl std::task::Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.0.clear();
            self.0.set();
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            // Would hang if a lock of the event were held.
            drop(Task::new(self.0.wait()));
            self.0.clear();
            drop(Task::waiting(self.0.wait()));
            self.0.set();
        }
    }
    let event = Arc::new(Event::new());
    let poll = |wait: &mut std::pin::Pin<Box<super::Wait<'_>>>| {
        let waker = Arc::new(Nosy(event.clone())).into();
        wait.as_mut().poll(&mut std::task::Context::from_waker(&waker))
    };
    let mut replaced = Box::pin(event.wait());
    assert!(poll(&mut replaced).is_pending());
    // Its drop clears and sets the event, and with that resolves the wait itself.
    let _ = poll(&mut replaced);
    drop(replaced);
    event.clear();
    let mut woken = Box::pin(event.wait());
    assert!(poll(&mut woken).is_pending());
    event.set();
    let mut dropped = Box::pin(event.wait());
    event.clear();
    assert!(poll(&mut dropped).is_pending());
    drop(dropped);
    drop(woken);
}

#[test]
fn no_wake_is_lost_between_threads() {
    const ROUNDS: usize = 2_000;
    let events: Arc<Vec<Event>> = Arc::new((0..ROUNDS).map(|_| Event::new()).collect());
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let events = events.clone();
            thread::spawn(move || {
                for event in events.iter() {
                    // One that gives up stands beside the one that waits.
                    let mut quitter = Task::new(event.wait());
                    let _ = quitter.poll();
                    drop(quitter);
                    block_on(event.wait());
                }
            })
        })
        .collect();
    events.iter().for_each(Event::set);
    for waiter in waiters {
        waiter.join().unwrap();
    }
}
