use super::Notify;
use crate::coop;
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

static STATIC: Notify = Notify::new();

#[test]
fn a_notification_is_kept_for_the_next_and_they_do_not_add_up() {
    STATIC.notify_one();
    STATIC.notify_last();
    block_on(STATIC.notified());
    assert!(Task::new(STATIC.notified()).poll().is_pending());
}

#[test]
fn notify_one_serves_in_the_order_of_coming() {
    let notify = Notify::default();
    let tasks: Vec<_> = (0..3).map(|_| Task::waiting(notify.notified())).collect();
    for task in tasks {
        notify.notify_one();
        task.woken();
    }
    notify.notify_one();
    block_on(notify.notified());
}

#[test]
fn notify_last_serves_in_the_opposite_order() {
    let notify = Notify::new();
    let tasks: Vec<_> = (0..3).map(|_| Task::waiting(notify.notified())).collect();
    for task in tasks.into_iter().rev() {
        notify.notify_last();
        task.woken();
    }
    // All have gone, so this one is kept, as `notify_one` would keep it.
    notify.notify_last();
    block_on(notify.notified());
}

#[test]
fn notify_waiters_reaches_all_that_wait_or_were_made_and_keeps_nothing() {
    let notify = Notify::new();
    let unpolled = Task::new(notify.notified());
    let tasks: Vec<_> = (0..3).map(|_| Task::waiting(notify.notified())).collect();
    notify.notify_waiters();
    for task in tasks {
        task.woken();
    }
    let mut late = Task::new(notify.notified());
    assert!(late.poll().is_pending());
    let mut unpolled = unpolled;
    assert!(unpolled.poll().is_ready());
    assert_eq!(late.bell.rings(), 0);
    // And with nobody in the queue.
    drop(late);
    let mut early = Task::new(notify.notified());
    notify.notify_waiters();
    assert!(Task::new(notify.notified()).poll().is_pending());
    assert!(early.poll().is_ready());
}

#[test]
fn notify_waiters_leaves_a_notification_that_is_kept() {
    let notify = Notify::new();
    let mut early = Task::new(notify.notified());
    notify.notify_one();
    notify.notify_waiters();
    // The early one takes the call to all, not what was kept.
    assert!(early.poll().is_ready());
    block_on(notify.notified());
    assert!(Task::new(notify.notified()).poll().is_pending());
}

#[test]
fn who_comes_while_all_are_being_woken_waits() {
    /// Begins to wait when woken.
    struct Returns(Arc<Notify>, std::sync::mpsc::Sender<Task<'static, ()>>);
    impl Wake for Returns {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(Task::waiting(self.0.clone().notified_owned()));
        }
    }
    let notify = Arc::new(Notify::new());
    let (sender, came) = std::sync::mpsc::channel();
    let mut waits: Vec<_> = (0..100).map(|_| Box::pin(notify.notified())).collect();
    for wait in &mut waits {
        let waker = Waker::from(Arc::new(Returns(notify.clone(), sender.clone())));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    notify.notify_waiters();
    let came: Vec<_> = came.try_iter().collect();
    assert_eq!(came.len(), 100);
    assert!(came.iter().all(|task| task.bell.rings() == 0));
    notify.notify_waiters();
    came.into_iter().for_each(Task::woken);
}

#[test]
fn what_was_given_and_not_seen_goes_to_the_next_in_the_same_direction() {
    let notify = Notify::new();
    let [first, second, third, fourth, fifth] =
        std::array::from_fn(|_| Task::waiting(notify.notified()));
    notify.notify_last();
    drop(fifth);
    // Others stand before it.
    fourth.woken();
    notify.notify_one();
    drop(first);
    // Another stands behind it.
    second.woken();
    drop(third);
    // Nobody is left: it is kept.
    let last = Task::waiting(notify.notified());
    notify.notify_last();
    drop(last);
    let other = Task::new(notify.notified());
    block_on(notify.notified());
    // But a call to all is not passed on.
    let waiting = Task::waiting(notify.notified());
    notify.notify_waiters();
    drop((waiting, other));
    assert!(Task::new(notify.notified()).poll().is_pending());
}

#[test]
fn who_leaves_keeps_the_order_of_the_others() {
    let notify = Notify::new();
    let first = Task::waiting(notify.notified());
    let second = Task::waiting(notify.notified());
    let third = Task::waiting(notify.notified());
    drop(second);
    notify.notify_one();
    assert_eq!(third.bell.rings(), 0);
    first.woken();
    notify.notify_one();
    third.woken();
    // The queue is empty: the next is kept, without the lock.
    notify.notify_one();
    block_on(notify.notified());
    // One that leaves an empty queue behind leaves nothing else.
    drop(Task::waiting(notify.notified()));
    notify.notify_waiters();
    assert!(Task::new(notify.notified()).poll().is_pending());
}

fn enable<N>(future: &mut Pin<Box<N>>, enable: fn(Pin<&mut N>) -> bool) -> bool {
    enable(future.as_mut())
}

#[test]
fn who_is_enabled_waits_without_being_polled() {
    let notify = Arc::new(Notify::new());
    let mut first = Box::pin(notify.notified());
    let mut second = Box::pin(notify.clone().notified_owned());
    assert!(!enable(&mut first, |future| future.enable()));
    assert!(!enable(&mut second, |future| future.enable()));
    notify.notify_one();
    assert!(enable(&mut first, |future| future.enable()));
    assert!(!enable(&mut second, |future| future.enable()));
    // It was told of it, so nobody else gets it.
    drop(first);
    let bell = Bell::new();
    assert!(bell.poll(&mut second).is_pending());
    assert!(!enable(&mut second, |future| future.enable()), "and the waker stays");
    notify.notify_one();
    assert_eq!(bell.rings(), 1);
    assert!(bell.poll(&mut second).is_ready());
    assert!(enable(&mut second, |future| future.enable()));
}

#[test]
fn enable_receives_what_is_there() {
    let notify = Notify::new();
    notify.notify_one();
    let mut kept = pin!(notify.notified());
    assert!(kept.as_mut().enable() && kept.as_mut().enable());
    assert!(Task::new(notify.notified()).poll().is_pending(), "it was taken");
    block_on(kept);
    let mut early = pin!(notify.notified());
    notify.notify_waiters();
    assert!(early.as_mut().enable());
    block_on(early);
}

#[test]
fn one_that_was_enabled_and_notified_and_is_dropped_untold_passes_it_on() {
    let notify = Notify::new();
    let mut enabled = Box::pin(notify.notified());
    assert!(!enabled.as_mut().enable());
    notify.notify_one();
    drop(enabled);
    block_on(notify.notified());
}

#[test]
fn owned_futures_keep_it_alive_and_need_nobody() {
    let notify = Arc::new(Notify::new());
    let weak = Arc::downgrade(&notify);
    let waiting = Task::waiting(notify.clone().notified_owned());
    drop(notify);
    weak.upgrade().expect("the future keeps it").notify_one();
    waiting.woken();
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_waker_that_notifies_from_within_does_not_lock_up() {
    struct Again(Arc<Notify>);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }
    let notify = Arc::new(Notify::new());
    let mut first = Box::pin(notify.notified());
    let waker = Waker::from(Arc::new(Again(notify.clone())));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let second = Task::waiting(notify.notified());
    notify.notify_one();
    second.woken();
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_future_that_was_ready_is_not_polled_again() {
    let notify = Notify::new();
    notify.notify_one();
    let mut task = Task::new(notify.notified());
    assert!(task.poll().is_ready());
    let _ = task.poll();
}

#[test]
fn waiting_takes_part_in_the_budget_when_it_makes_progress() {
    let notify = Notify::new();
    let _budget = coop::start();
    let mut idle = Task::waiting(notify.notified());
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
    drop(idle);
    let received = (0..2 * coop::BUDGET)
        .take_while(|_| {
            notify.notify_one();
            Task::new(notify.notified()).poll().is_ready()
        })
        .count();
    assert_eq!(received, usize::from(coop::BUDGET));
    // What the one that was turned away would have got is still there.
    let _unlimited = coop::unlimited();
    assert!(Task::new(notify.notified()).poll().is_ready());
}

#[test]
fn every_notification_arrives_once_among_threads_that_give_up() {
    const ITEMS: usize = 4_000;
    let notify = Arc::new(Notify::new());
    // A count that the notifications guard: whoever is notified takes all that is there.
    let (sender, receiver) = std::sync::mpsc::channel::<usize>();
    let items = Arc::new(crate::primitives::Mutex::new(receiver));
    let takers: Vec<_> = (0..3)
        .map(|n| {
            let (notify, items) = (notify.clone(), items.clone());
            thread::spawn(move || {
                let mut taken = 0;
                loop {
                    let mut quitter = Task::new(notify.notified());
                    let _: Poll<()> = if n == 0 { quitter.poll() } else { Poll::Pending };
                    let ended = loop {
                        match items.lock().try_recv() {
                            Ok(_) => taken += 1,
                            Err(error) => {
                                break error == std::sync::mpsc::TryRecvError::Disconnected;
                            }
                        }
                    };
                    drop(quitter);
                    if ended {
                        // The others are to see it too.
                        notify.notify_one();
                        return taken;
                    }
                    block_on(notify.notified());
                }
            })
        })
        .collect();
    for n in 0..ITEMS {
        sender.send(n).unwrap();
        if n % 3 == 0 { notify.notify_last() } else { notify.notify_one() }
    }
    drop(sender);
    notify.notify_one();
    let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
    assert_eq!(taken, ITEMS);
}

#[test]
fn notify_waiters_loses_nobody_between_threads() {
    const ROUNDS: u32 = 1_000;
    let notify = Arc::new(Notify::new());
    let round = Arc::new(crate::primitives::Mutex::new((0_u32, 0_u32)));
    let done = Arc::new(Notify::new());
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let (notify, round, done) = (notify.clone(), round.clone(), done.clone());
            thread::spawn(move || {
                for wanted in 1..=ROUNDS {
                    loop {
                        let notified = notify.notified();
                        if round.lock().0 >= wanted {
                            break;
                        }
                        // One that gives up stands beside the one that waits.
                        let _ = Task::new(notify.notified()).poll();
                        block_on(notified);
                    }
                    round.lock().1 += 1;
                    done.notify_one();
                }
            })
        })
        .collect();
    for n in 1..=ROUNDS {
        round.lock().0 = n;
        notify.notify_waiters();
        while round.lock().1 < 2 * n {
            block_on(done.notified());
        }
    }
    for waiter in waiters {
        waiter.join().unwrap();
    }
}
