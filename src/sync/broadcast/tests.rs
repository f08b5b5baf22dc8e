use super::{RecvError, Sender, TryRecvError, channel, channel_at};
use crate::coop;
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::panic::catch_unwind;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

#[test]
fn every_receiver_gets_every_message_in_order() {
    let (sender, mut one) = channel(4);
    let mut two = sender.subscribe();
    assert_eq!(sender.send(1), Ok(2));
    let mut late = one.resubscribe();
    assert_eq!(sender.clone().send(2), Ok(3));
    assert_eq!([one.len(), two.len(), late.len()], [2, 2, 1]);
    assert_eq!([block_on(one.recv()), block_on(one.recv())], [Ok(1), Ok(2)]);
    assert_eq!([two.try_recv(), two.try_recv()], [Ok(1), Ok(2)]);
    assert_eq!(late.try_recv(), Ok(2));
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
    assert!(one.is_empty() && sender.is_empty());
}

#[test]
fn send_wakes_all_that_wait_once_and_one_that_gave_up_never() {
    let (sender, receiver) = channel(4);
    let mut receivers: Vec<_> = (0..4).map(|_| receiver.resubscribe()).collect();
    let mut tasks: Vec<_> = receivers.iter_mut().map(|r| Task::waiting(r.recv())).collect();
    let mut quitter = tasks.remove(1);
    let bell = std::mem::replace(&mut quitter.bell, Bell::new());
    assert_eq!(bell.clones(), 1);
    drop(quitter);
    assert_eq!(bell.clones(), 0);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    // One that was told and is not polled leaves the message where it is.
    let told = tasks.remove(0);
    assert_eq!(told.bell.rings(), 1);
    drop(told);
    tasks.into_iter().for_each(|task| assert_eq!(task.woken(), Ok(1)));
    assert_eq!(bell.rings(), 0);
    assert_eq!([receivers[0].try_recv(), receivers[1].try_recv()], [Ok(1), Ok(1)]);
    assert_eq!(receivers[2].try_recv(), Ok(2));
}

#[test]
fn one_that_is_too_slow_is_told_once_how_much_it_missed() {
    let (sender, mut slow) = channel(3);
    let mut fast = sender.subscribe();
    for n in 0..8 {
        sender.send(n).unwrap();
        assert_eq!(fast.try_recv(), Ok(n));
    }
    assert_eq!((slow.len(), sender.len(), sender.capacity()), (8, 3, 3));
    assert_eq!(block_on(slow.recv()), Err(RecvError::Lagged(5)));
    assert_eq!([slow.try_recv(), slow.try_recv()], [Ok(5), Ok(6)]);
    sender.send(8).unwrap();
    sender.send(9).unwrap();
    assert_eq!(slow.try_recv(), Ok(7), "the ring is full and nothing was lost");
    (10..14).for_each(|n| assert!(sender.send(n).is_ok()));
    // It falls further behind after it was told.
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(3)));
    sender.send(14).unwrap();
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(1)));
    assert_eq!(slow.try_recv(), Ok(12));
    drop(sender);
    assert_eq!(fast.try_recv(), Err(TryRecvError::Lagged(4)));
}

#[test]
fn messages_are_left_when_the_senders_are_gone() {
    let (sender, mut receiver) = channel(2);
    let mut other = sender.subscribe();
    (1..=3).for_each(|n| assert!(sender.send(n).is_ok()));
    drop(sender);
    assert!(receiver.is_closed() && !receiver.is_empty());
    assert_eq!(block_on(receiver.recv()), Err(RecvError::Lagged(1)));
    assert_eq!(block_on(receiver.recv()), Ok(2));
    assert_eq!(receiver.try_recv(), Ok(3));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
    assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
    assert_eq!(block_on(receiver.resubscribe().recv()), Err(RecvError::Closed));
    assert_eq!(other.try_recv(), Err(TryRecvError::Lagged(1)));
    let (sender, mut receiver) = channel::<u32>(1);
    let waiting = Task::waiting(receiver.recv());
    drop(sender);
    assert_eq!(waiting.woken(), Err(RecvError::Closed));
}

#[test]
fn a_message_that_nobody_receives_comes_back() {
    let (sender, receiver) = channel(2);
    drop(receiver);
    assert_eq!(sender.send(1).unwrap_err().0, 1);
    let mut receiver = sender.subscribe();
    assert_eq!(sender.send(2), Ok(1));
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_message_goes_as_soon_as_nobody_has_yet_to_see_it() {
    let (sender, mut one) = channel(4);
    let mut two = sender.subscribe();
    let slow = sender.subscribe();
    let message = Arc::new(());
    (0..3).for_each(|_| drop(sender.send(message.clone())));
    drop(one.try_recv());
    drop(slow);
    assert_eq!((Arc::strong_count(&message), sender.len()), (4, 3));
    drop(two.try_recv());
    assert_eq!((Arc::strong_count(&message), sender.len()), (3, 2));
    drop(two);
    assert_eq!((Arc::strong_count(&message), sender.len()), (3, 2));
    drop(one);
    assert_eq!((Arc::strong_count(&message), sender.len()), (1, 0));
    assert!(sender.send(message.clone()).is_err());
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn the_last_to_receive_gets_the_message_itself() {
    #[derive(Debug)]
    struct Counted(mpsc::Sender<()>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            let _ = self.0.send(());
            Self(self.0.clone())
        }
    }
    let (counter, clones) = mpsc::channel();
    let (sender, mut one) = channel(4);
    let mut two = sender.subscribe();
    (0..2).for_each(|_| assert!(sender.send(Counted(counter.clone())).is_ok()));
    (0..2).for_each(|_| assert!(one.try_recv().is_ok()));
    assert_eq!(clones.try_iter().count(), 2);
    (0..2).for_each(|_| assert!(two.try_recv().is_ok()));
    assert_eq!(clones.try_iter().count(), 0);
}

#[test]
fn senders_wait_until_nobody_receives() {
    let sender = Sender::<u32>::new(1);
    block_on(sender.closed());
    let (one, two) = (sender.subscribe(), sender.subscribe());
    let waiting = Task::waiting(sender.closed());
    drop(one);
    assert_eq!((waiting.bell.rings(), sender.receiver_count()), (0, 1));
    drop(two);
    let three = sender.subscribe();
    waiting.woken();
    assert!(!sender.is_closed());
    assert!(Task::new(sender.closed()).poll().is_pending());
    drop(three);
    assert!(sender.is_closed());
}

#[test]
fn weak_senders_keep_no_channel_open() {
    let (sender, mut receiver) = channel(2);
    let weak = sender.downgrade();
    let other = weak.clone().upgrade().unwrap();
    assert_eq!((sender.strong_count(), sender.weak_count()), (2, 1));
    assert_eq!((receiver.sender_strong_count(), receiver.sender_weak_count()), (2, 1));
    assert!(other.same_channel(&sender) && !other.same_channel(&Sender::new(2)));
    other.send(1).unwrap();
    drop((sender, other));
    assert!(weak.upgrade().is_none());
    assert_eq!((weak.strong_count(), weak.weak_count()), (0, 1));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert!(receiver.same_channel(&receiver.resubscribe()));
}

#[test]
fn positions_wrap_around() {
    let (sender, mut receiver) = channel_at(2, u64::MAX - 2);
    let mut slow = sender.subscribe();
    for n in 0..6 {
        let waiting = Task::waiting(receiver.recv());
        sender.send(n).unwrap();
        assert_eq!(waiting.woken(), Ok(n));
    }
    assert_eq!(slow.len(), 6);
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(4)));
    assert_eq!([slow.try_recv(), slow.try_recv()], [Ok(4), Ok(5)]);
    assert!(slow.is_empty());
}

#[test]
#[should_panic(expected = "at least one message")]
fn a_channel_without_room_is_refused() {
    drop(channel::<u32>(0));
}

#[test]
fn a_thread_blocks_until_a_message_comes_or_cannot() {
    let (sender, mut receiver) = channel(2);
    let waits = thread::spawn(move || (receiver.blocking_recv(), receiver.blocking_recv()));
    thread::yield_now();
    sender.send(7).unwrap();
    thread::yield_now();
    drop(sender);
    assert_eq!(waits.join().unwrap(), (Ok(7), Err(RecvError::Closed)));
    let (sender, mut receiver) = channel(2);
    sender.send(7).unwrap();
    let _budget = coop::start();
    let panic = catch_unwind(move || receiver.blocking_recv()).unwrap_err();
    assert!(panic.downcast::<String>().unwrap().contains("await recv() instead"));
}

#[test]
fn messages_and_wakers_may_use_the_channel_that_drops_clones_or_wakes_them() {
    struct Nosy(Option<Sender<Nosy>>);
    impl Nosy {
        fn look(&self) {
            if let Some(sender) = &self.0 {
                // Would hang if a lock of the channel were held.
                drop(sender.subscribe());
            }
        }
    }
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            self.look();
            Self(self.0.clone())
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
    let (sender, mut one) = channel(1);
    let mut two = sender.subscribe();
    let nosy = || Nosy(Some(sender.clone()));
    let mut waiting = Box::pin(two.recv());
    let waker = Arc::new(nosy()).into();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert!(sender.send(nosy()).is_ok(), "a waker");
    assert!(sender.send(nosy()).is_ok(), "the oldest goes");
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
    drop(waiting);
    drop((one.try_recv(), one.try_recv(), two.try_recv()));
    assert!(sender.send(nosy()).is_ok());
    drop((one, two));
    assert!(sender.is_empty());
}

#[test]
fn waiting_takes_part_in_the_budget_when_it_makes_progress() {
    let (sender, mut receiver) = channel(usize::from(coop::BUDGET) + 1);
    let mut other = receiver.resubscribe();
    let _budget = coop::start();
    let mut idle = Task::waiting(other.recv());
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
    for n in 0..=coop::BUDGET {
        sender.send(n).unwrap();
    }
    for n in 0..coop::BUDGET {
        assert_eq!(Task::new(receiver.recv()).poll(), Poll::Ready(Ok(n)));
    }
    let mut over = Task::new(receiver.recv());
    assert!(over.poll().is_pending());
    assert_eq!(over.bell.rings(), 1, "it yields, it does not wait");
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_message_that_was_given_is_not_given_again() {
    let (sender, mut receiver) = channel(2);
    sender.send(1).unwrap();
    let mut task = Task::new(receiver.recv());
    assert_eq!(task.poll(), Poll::Ready(Ok(1)));
    let _ = task.poll();
}

#[test]
fn between_threads_every_message_is_received_once_or_counted_as_missed() {
    const SENDS: u64 = 10_000;
    let (sender, receiver) = channel(16);
    // What each message is told of at its end, whoever had it.
    let alive = Arc::new(());
    let receivers: Vec<_> = (0..3)
        .map(|n| {
            let mut receiver = receiver.resubscribe();
            thread::spawn(move || {
                let (mut got, mut missed, mut last) = (0, 0, [None; 2]);
                loop {
                    // One that gives up, and one that comes and goes, stand beside.
                    let _ = Task::new(receiver.resubscribe().recv()).poll();
                    let polled =
                        if n == 0 { receiver.blocking_recv() } else { block_on(receiver.recv()) };
                    match polled {
                        Ok((sender, n, _alive)) => {
                            let last: &mut Option<u64> = &mut last[sender];
                            assert!(last.is_none_or(|last| last < n), "in order, none twice");
                            *last = Some(n);
                            got += 1;
                        }
                        Err(RecvError::Lagged(n)) => missed += n,
                        Err(RecvError::Closed) => return got + missed,
                    }
                }
            })
        })
        .collect();
    drop(receiver);
    let senders: Vec<_> = (0..2)
        .map(|n| {
            let (sender, alive) = (sender.clone(), alive.clone());
            thread::spawn(move || {
                (0..SENDS).for_each(|m| assert!(sender.send((n, m, alive.clone())).is_ok()));
            })
        })
        .collect();
    drop(sender);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    for receiver in receivers {
        assert_eq!(receiver.join().unwrap(), 2 * SENDS);
    }
    assert_eq!(Arc::strong_count(&alive), 1);
}
