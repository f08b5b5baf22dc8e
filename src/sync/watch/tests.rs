use super::{RecvError, Sender, channel, channel_at};
use crate::coop;
use crate::sync::sequence::Mark;
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

#[test]
fn receivers_see_the_latest_value_and_each_change_once() {
    let (sender, mut one) = channel(0);
    let mut two = one.clone();
    assert_eq!(one.has_changed(), Ok(false), "the first value counts as seen");
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(block_on(one.changed()), Ok(()));
    assert_eq!(*one.borrow_and_update(), 2);
    assert!(Task::new(one.changed()).poll().is_pending());
    assert_eq!(two.has_changed(), Ok(true));
    assert_eq!(*two.borrow(), 2);
    let mut three = two.clone();
    assert_eq!(block_on(two.changed()), Ok(()));
    assert_eq!(block_on(three.changed()), Ok(()), "a clone has not seen what the original had not");
    let mut late = sender.subscribe();
    assert_eq!((*late.borrow(), late.has_changed()), (2, Ok(false)));
    assert!(Task::new(late.changed()).poll().is_pending());
}

#[test]
fn send_wakes_all_that_wait_once_and_one_that_gave_up_never() {
    let (sender, receiver) = channel(0);
    let mut receivers: Vec<_> = (0..4).map(|_| receiver.clone()).collect();
    let mut tasks: Vec<_> = receivers.iter_mut().map(|r| Task::waiting(r.changed())).collect();
    let mut quitter = tasks.remove(1);
    let bell = std::mem::replace(&mut quitter.bell, Bell::new());
    assert_eq!(bell.clones(), 1);
    drop(quitter);
    assert_eq!(bell.clones(), 0);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    tasks.into_iter().for_each(|task| assert_eq!(task.woken(), Ok(())));
    assert_eq!(bell.rings(), 0);
    assert_eq!(receivers[0].has_changed(), Ok(false));
    // What was granted and not looked at is kept.
    receivers[1].mark_changed();
    let task = Task::new(receivers[0].changed());
    drop(task);
    let mut task = Task::waiting(receivers[0].changed());
    sender.send(3).unwrap();
    assert_eq!(task.bell.rings(), 1);
    task.bell = Bell::new();
    drop(task);
    assert_eq!(receivers[0].has_changed(), Ok(true));
    assert_eq!(block_on(receivers[0].changed()), Ok(()));
}

#[test]
fn a_value_that_nobody_receives_comes_back_and_is_not_kept() {
    let (sender, receiver) = channel(0);
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1).unwrap_err().0, 1);
    assert_eq!(*sender.borrow(), 0);
    assert_eq!(*sender.send_replace(2), 0);
    sender.send_modify(|value| *value += 1);
    assert_eq!(*sender.borrow(), 3);
    let receiver = sender.subscribe();
    assert_eq!((*receiver.borrow(), receiver.has_changed()), (3, Ok(false)));
    assert!(!sender.is_closed());
    sender.send(4).unwrap();
}

#[test]
fn senders_wait_until_nobody_receives() {
    let sender = Sender::<u32>::default();
    block_on(sender.closed());
    let one = sender.subscribe();
    let other = sender.clone();
    let waiting = Task::waiting(other.closed());
    let two = one.clone();
    assert_eq!((sender.receiver_count(), sender.sender_count()), (2, 2));
    drop(one);
    assert_eq!(waiting.bell.rings(), 0);
    drop(two);
    let again = sender.subscribe();
    waiting.woken();
    let mut still = Task::waiting(sender.closed());
    assert!(still.poll().is_pending());
    drop(again);
    still.woken();
    assert_eq!(sender.receiver_count(), 0);
}

#[test]
fn the_last_value_is_seen_before_the_end() {
    let (sender, mut receiver) = channel(0);
    let other = sender.clone();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.has_changed(), Ok(true));
    assert_eq!(block_on(receiver.changed()), Ok(()));
    let waiting = Task::waiting(receiver.changed());
    drop(other);
    assert_eq!(waiting.woken(), Err(RecvError));
    assert_eq!(receiver.has_changed(), Err(RecvError));
    assert_eq!(block_on(receiver.changed()), Err(RecvError));
    assert_eq!(*receiver.borrow_and_update(), 1);
    receiver.mark_changed();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert_eq!(block_on(receiver.changed()), Ok(()));
}

#[test]
fn what_was_seen_can_be_marked() {
    let (sender, mut receiver) = channel(0);
    receiver.mark_changed();
    assert!(receiver.borrow().has_changed());
    assert!(receiver.borrow_and_update().has_changed());
    assert!(!receiver.borrow_and_update().has_changed());
    sender.send(1).unwrap();
    receiver.mark_unchanged();
    assert_eq!(receiver.has_changed(), Ok(false));
    assert!(!sender.borrow().has_changed());
}

#[test]
fn wait_for_takes_what_there_is_or_what_comes() {
    let (sender, mut receiver) = channel(1);
    assert!(!block_on(receiver.wait_for(|n| *n == 1)).unwrap().has_changed());
    sender.send(2).unwrap();
    assert!(block_on(receiver.wait_for(|n| *n == 2)).unwrap().has_changed());
    let mut waiting = Task::waiting(receiver.wait_for(|n| *n == 4));
    sender.send(3).unwrap();
    assert_eq!(waiting.bell.rings(), 1);
    assert!(waiting.poll().is_pending());
    sender.send(4).unwrap();
    assert_eq!(*waiting.woken().unwrap(), 4);
    // What it refused counts as seen.
    sender.send(5).unwrap();
    drop(Task::waiting(receiver.wait_for(|n| *n == 6)));
    assert_eq!(receiver.has_changed(), Ok(false));
    sender.send(6).unwrap();
    drop(sender);
    assert_eq!(*block_on(receiver.wait_for(|n| *n == 6)).unwrap(), 6);
    assert_eq!(*block_on(receiver.wait_for(|n| *n == 6)).unwrap(), 6);
    assert!(block_on(receiver.wait_for(|n| *n == 7)).is_err());
}

#[test]
fn a_value_at_which_the_predicate_panics_is_not_seen() {
    let (sender, mut receiver) = channel(0);
    sender.send(1).unwrap();
    let waited = catch_unwind(AssertUnwindSafe(|| {
        block_on(receiver.wait_for(|_| panic!("a bad predicate"))).is_ok()
    }));
    assert!(waited.is_err());
    assert_eq!(receiver.has_changed(), Ok(true));
    sender.send(2).unwrap();
}

#[test]
fn a_value_that_wait_for_waited_for_is_not_seen_before_the_predicate_saw_it() {
    let (sender, mut receiver) = channel(0);
    let mut waiting = Task::waiting(receiver.wait_for(|n| *n == 1));
    sender.send(1).unwrap();
    assert!(waiting.poll().map(|got| got.unwrap().has_changed()) == Poll::Ready(true));
    drop(waiting);
    let mut waiting = Task::waiting(receiver.wait_for(|n| {
        assert_ne!(*n, 2, "a bad predicate");
        false
    }));
    sender.send(2).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| waiting.poll().is_ready())).is_err());
    drop(waiting);
    assert_eq!(receiver.has_changed(), Ok(true));
    // The budget suffices to learn that there is a value, and not to look at it.
    receiver.mark_unchanged();
    let mut waiting = Task::waiting(receiver.wait_for(|n| *n == 3));
    sender.send(3).unwrap();
    let _budget = coop::start();
    (1..coop::BUDGET).for_each(|_| block_on(coop::consume_budget()));
    assert!(waiting.poll().is_pending());
    drop(waiting);
    assert_eq!(receiver.has_changed(), Ok(true));
}

#[test]
fn a_snapshot_keeps_its_value_and_no_lock() {
    let (sender, receiver) = channel(Arc::new(0));
    let first = Arc::downgrade(&receiver.borrow());
    let snapshot = receiver.borrow();
    sender.send(Arc::new(1)).unwrap();
    sender.send_modify(|value| *value = Arc::new(2));
    assert_eq!((**snapshot, **receiver.borrow()), (0, 2));
    assert_eq!(first.strong_count(), 1);
    let arc = snapshot.clone().into_arc();
    drop(snapshot);
    assert_eq!(first.strong_count(), 1);
    drop(arc);
    assert_eq!(first.strong_count(), 0, "nobody else keeps it");
    assert_eq!(format!("{:?} {}", receiver.borrow(), receiver.borrow()), "Ref(2) 2");
}

#[test]
fn modify_begins_anew_when_another_value_was_sent_meanwhile() {
    let (sender, receiver) = channel(0);
    let mut calls = 0;
    sender.send_modify(|value| {
        calls += 1;
        if calls <= 2 {
            // Would hang if a lock were held.
            sender.send(10 * calls).unwrap();
        }
        *value += 1;
    });
    assert_eq!((calls, *receiver.borrow()), (3, 21));
    let unchanged = receiver.clone();
    receiver.borrow();
    assert!(!sender.send_if_modified(|value| {
        *value = 7;
        false
    }));
    assert_eq!(*unchanged.borrow(), 21);
    let modified = catch_unwind(AssertUnwindSafe(|| sender.send_modify(|_| panic!("bad"))));
    assert!(modified.is_err());
    assert_eq!(*unchanged.borrow(), 21);
    sender.send(22).unwrap();
}

#[test]
fn numbers_of_values_wrap_around() {
    let (sender, mut receiver) = channel_at(0, Mark::at(u64::MAX - 1));
    for n in 1..=4 {
        assert_eq!(receiver.has_changed(), Ok(false));
        let waiting = Task::waiting(receiver.changed());
        sender.send(n).unwrap();
        assert_eq!(waiting.woken(), Ok(()));
        sender.send(n).unwrap();
        assert_eq!(receiver.has_changed(), Ok(true));
        receiver.mark_unchanged();
        receiver.mark_changed();
        assert_eq!(block_on(receiver.changed()), Ok(()));
    }
    let waiting = Task::waiting(receiver.changed());
    drop(sender);
    assert_eq!(waiting.woken(), Err(RecvError));
}

#[test]
fn values_and_wakers_may_use_the_channel_that_drops_clones_or_wakes_them() {
    struct Nosy(mpsc::Sender<i32>, Option<Sender<Nosy>>, i32);
    impl Nosy {
        fn look(&self) {
            if let Some(sender) = &self.1 {
                // Would hang if a lock of the channel were held.
                let receiver = sender.subscribe();
                let _ = self.0.send(receiver.borrow().2);
            }
        }
    }
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            self.look();
            Self(self.0.clone(), self.1.clone(), self.2)
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.look();
        }
    }
    impl std::task::Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }
    let (seen, looks) = mpsc::channel();
    let (sender, mut receiver) = channel(Nosy(seen.clone(), None, 0));
    let nosy = |n| Nosy(seen.clone(), Some(sender.clone()), n);
    assert!(sender.send(nosy(1)).is_ok());
    sender.send_modify(|value| value.2 = 2);
    // The clone saw 1, and then the old value was dropped when 2 was there.
    assert_eq!(looks.try_iter().collect::<Vec<_>>(), [1, 2]);
    receiver.mark_unchanged();
    let mut waiting = Box::pin(receiver.changed());
    let waker = Arc::new(nosy(0)).into();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert!(sender.send(Nosy(seen.clone(), None, 3)).is_ok());
    assert_eq!(looks.try_iter().collect::<Vec<_>>(), [3, 3], "the waker, then the old value");
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn waiting_takes_part_in_the_budget_when_it_makes_progress() {
    let (sender, mut receiver) = channel(0);
    let mut other = receiver.clone();
    let _budget = coop::start();
    let mut idle = Task::waiting(other.wait_for(|n| *n == 1));
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
    drop(idle);
    for n in 0..coop::BUDGET / 2 {
        sender.send(n).unwrap();
        assert!(Task::new(receiver.changed()).poll().is_ready());
        assert!(Task::new(receiver.wait_for(|_| true)).poll().is_ready());
    }
    let mut over = Task::new(receiver.wait_for(|_| true));
    assert!(over.poll().is_pending());
    assert_eq!(over.bell.rings(), 1, "it yields, it does not wait");
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_change_that_was_told_is_not_told_again() {
    let (sender, mut receiver) = channel(0);
    sender.send(1).unwrap();
    let mut task = Task::new(receiver.changed());
    assert_eq!(task.poll(), Poll::Ready(Ok(())));
    let _ = task.poll();
}

#[test]
fn channels_are_told_apart() {
    let (sender, receiver) = channel(0);
    let (other, stranger) = channel(0);
    assert!(sender.same_channel(&sender.clone()) && !sender.same_channel(&other));
    assert!(receiver.same_channel(&sender.subscribe()) && !receiver.same_channel(&stranger));
}

#[test]
fn between_threads_no_change_is_missed_and_none_is_seen_backwards() {
    const SENDS: u64 = 5_000;
    let (sender, receiver) = channel([0_u64; 2]);
    let receivers: Vec<_> = (0..2)
        .map(|_| {
            let mut receiver = receiver.clone();
            thread::spawn(move || {
                let mut last = 0;
                loop {
                    // One that gives up stands beside the one that waits.
                    let mut beside = receiver.clone();
                    let _ = Task::new(beside.changed()).poll();
                    if block_on(receiver.changed()).is_err() {
                        return last;
                    }
                    let value = receiver.borrow_and_update();
                    assert!(value[0] + value[1] >= last);
                    last = value[0] + value[1];
                }
            })
        })
        .collect();
    drop(receiver);
    let senders: Vec<_> = (0..2)
        .map(|n| {
            let sender = sender.clone();
            thread::spawn(move || {
                for _ in 0..SENDS {
                    sender.send_modify(|value| value[n] += 1);
                }
            })
        })
        .collect();
    drop(sender);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    for receiver in receivers {
        assert_eq!(receiver.join().unwrap(), 2 * SENDS, "the last value is always seen");
    }
}
