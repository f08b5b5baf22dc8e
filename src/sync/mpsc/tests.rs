use super::{
    OwnedPermit, Permit, ReserveManyError, SendError, TryRecvError, TrySendError, channel,
    unbounded_channel,
};
use crate::coop;
use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use futures::{Stream, StreamExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

/// A message that counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counter() -> (impl Fn() -> Counted, impl Fn() -> usize) {
    let drops = Arc::new(AtomicUsize::new(0));
    let make = drops.clone();
    (move || Counted(make.clone()), move || drops.load(Ordering::Relaxed))
}

#[test]
fn messages_arrive_in_order_and_the_end_after_them() {
    let (sender, mut receiver) = channel(4);
    for n in 0..4 {
        block_on(sender.send(n)).unwrap();
    }
    assert_eq!((receiver.len(), receiver.is_empty()), (4, false));
    assert_eq!(block_on(receiver.recv()), Some(0));
    block_on(sender.clone().send(4)).unwrap();
    drop(sender);
    assert!(receiver.is_closed());
    let rest: Vec<_> = std::iter::from_fn(|| block_on(receiver.recv())).collect();
    assert_eq!(rest, [1, 2, 3, 4]);
    assert_eq!((block_on(receiver.recv()), receiver.is_empty()), (None, true));
}

#[test]
fn the_capacity_is_exact_also_for_what_the_receiver_has_taken_with_it() {
    let (sender, mut receiver) = channel(3);
    assert_eq!((sender.max_capacity(), receiver.max_capacity()), (3, 3));
    for n in 0..3 {
        assert_eq!(sender.capacity(), 3 - n);
        sender.try_send(n).unwrap();
    }
    for n in 0..20 {
        assert_eq!(sender.try_send(99), Err(TrySendError::Full(99)));
        assert_eq!(receiver.try_recv(), Ok(n));
        assert_eq!((sender.capacity(), receiver.capacity(), receiver.len()), (1, 1, 2));
        sender.try_send(n + 3).unwrap();
    }
}

#[test]
fn a_receiver_that_waits_is_woken_by_a_message_and_by_the_end() {
    let (sender, mut receiver) = channel(1);
    let waiting = Task::waiting(receiver.recv());
    sender.try_send(7).unwrap();
    assert_eq!(waiting.woken(), Some(7));
    let waiting = Task::waiting(receiver.recv());
    let other = sender.clone();
    drop(sender);
    assert_eq!(waiting.bell.rings(), 0, "there is another sender");
    drop(other);
    assert_eq!(waiting.woken(), None);
}

#[test]
fn senders_that_wait_are_served_in_order_and_nobody_passes_them() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let first = Task::waiting(sender.send(1));
    let second = Task::waiting(sender.send(2));
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((first.bell.rings(), second.bell.rings()), (1, 0));
    assert_eq!(sender.capacity(), 0, "the place is the first one's");
    let [first, mut second] = [first, second];
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    assert_eq!(sender.try_reserve().unwrap_err(), TrySendError::Full(()));
    let (mut first, polled) = (first, second.poll());
    assert!(polled.is_pending());
    assert!(matches!(first.poll(), Poll::Ready(Ok(()))));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(second.woken(), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_place_that_is_free_is_not_taken_past_one_that_waits_for_more() {
    let (sender, mut receiver) = channel(3);
    (0..3).for_each(|n| sender.try_send(n).unwrap());
    let many = Task::waiting(sender.reserve_many(2));
    let one = Task::waiting(sender.send(10));
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((many.bell.rings(), one.bell.rings()), (0, 0));
    assert_eq!((sender.capacity(), sender.try_send(9)), (0, Err(TrySendError::Full(9))));
    // When it gives up, the next is the first.
    drop(many);
    assert_eq!(one.woken(), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(1));
    let many = Task::waiting(sender.reserve_many(2));
    assert_eq!(receiver.try_recv(), Ok(2));
    let mut permits = many.woken().unwrap();
    assert_eq!((permits.len(), sender.capacity()), (2, 0));
    permits.next().unwrap().send(11);
    drop(permits);
    assert_eq!(sender.capacity(), 1);
    assert_eq!([receiver.try_recv(), receiver.try_recv()], [Ok(10), Ok(11)]);
}

#[test]
fn a_send_that_is_dropped_drops_its_message_and_passes_its_place_on() {
    let (make, drops) = counter();
    let (sender, mut receiver) = channel(1);
    sender.try_send(make()).unwrap();
    drop(sender.send(make()));
    assert_eq!(drops(), 1, "one that was never polled");
    let queued = Task::waiting(sender.send(make()));
    let served = Task::waiting(sender.send(make()));
    let next = Task::waiting(sender.send(make()));
    drop(queued);
    assert_eq!(drops(), 2);
    drop(receiver.try_recv().unwrap());
    assert_eq!((served.bell.rings(), next.bell.rings()), (1, 0));
    drop(served);
    assert_eq!(drops(), 4);
    assert!(next.woken().is_ok());
    assert_eq!((receiver.len(), drops()), (1, 4));
    drop((sender, receiver));
    assert_eq!(drops(), 5);
}

#[test]
fn permits_hold_a_place_and_give_it_back() {
    let (sender, mut receiver) = channel(2);
    let one: Permit<'_, u32> = block_on(sender.reserve()).unwrap();
    let two: OwnedPermit<u32> = sender.clone().try_reserve_owned().unwrap();
    assert_eq!((sender.capacity(), sender.strong_count()), (0, 2));
    assert!(matches!(sender.clone().try_reserve_owned(), Err(TrySendError::Full(_))));
    let waiting = Task::waiting(sender.clone().reserve_owned());
    drop(one);
    let three = waiting.woken().unwrap();
    assert!(two.same_channel(&three) && two.same_channel_as_sender(&sender));
    let (elsewhere, _receiver) = channel::<u32>(1);
    assert!(!two.same_channel_as_sender(&elsewhere));
    assert!(!two.same_channel(&elsewhere.try_reserve_owned().unwrap()));
    assert!(two.send(2).same_channel(&sender));
    assert_eq!((sender.capacity(), receiver.try_recv()), (0, Ok(2)));
    assert!(three.release().same_channel(&sender));
    let (other, _receiver) = channel::<u32>(1);
    assert!(!other.same_channel(&sender));
    assert_eq!((sender.capacity(), sender.strong_count(), receiver.len()), (2, 1, 0));
    drop(sender.try_reserve_many(2).unwrap());
    assert_eq!(sender.try_reserve_many(3).unwrap_err(), TrySendError::Full(()));
    assert_eq!(block_on(sender.reserve_many(3)).unwrap_err(), ReserveManyError::TooMany);
    assert_eq!((sender.capacity(), receiver.is_empty()), (2, true));
}

#[test]
fn no_places_are_there_at_once() {
    let (sender, receiver) = channel(1);
    sender.try_send(0).unwrap();
    let _waiting = Task::waiting(sender.send(1));
    assert_eq!(block_on(sender.reserve_many(0)).unwrap().count(), 0);
    assert_eq!(sender.try_reserve_many(0).unwrap().count(), 0);
    drop(receiver);
    assert_eq!(block_on(sender.reserve_many(0)).unwrap_err(), ReserveManyError::Closed);
}

#[test]
fn after_close_what_was_sent_or_reserved_is_received_and_the_rest_refused() {
    let (sender, mut receiver) = channel(3);
    sender.try_send(1).unwrap();
    let used = sender.try_reserve().unwrap();
    let dropped = sender.try_reserve().unwrap();
    let refused = Task::waiting(sender.send(7));
    let closed = Task::waiting(sender.closed());
    receiver.close();
    receiver.close();
    assert!(sender.is_closed() && receiver.is_closed());
    closed.woken();
    assert_eq!(refused.woken(), Err(SendError(7)));
    assert_eq!(sender.try_send(8), Err(TrySendError::Closed(8)));
    assert_eq!(block_on(sender.send(9)), Err(SendError(9)));
    assert_eq!(block_on(sender.reserve()).unwrap_err(), SendError(()));
    assert!(block_on(sender.clone().reserve_owned()).is_err());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "there are permits");
    let waiting = Task::waiting(receiver.recv());
    used.send(2);
    assert_eq!(waiting.woken(), Some(2));
    let waiting = Task::waiting(receiver.recv());
    drop(dropped);
    assert_eq!(waiting.woken(), None);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn one_that_was_served_before_the_close_may_send() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let served = Task::waiting(sender.send(1));
    assert_eq!(receiver.try_recv(), Ok(0));
    receiver.close();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(served.woken(), Ok(()));
    assert_eq!((receiver.try_recv(), block_on(receiver.recv())), (Ok(1), None));
    // Once nobody can receive it, the message comes back.
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let served = Task::waiting(sender.send(1));
    assert_eq!(receiver.try_recv(), Ok(0));
    drop(receiver);
    assert_eq!(served.woken(), Err(SendError(1)));
}

#[test]
fn a_receiver_that_goes_drops_what_is_there_and_refuses_who_waits() {
    let (make, drops) = counter();
    let (sender, mut receiver) = channel(3);
    (0..3).for_each(|_| sender.try_send(make()).unwrap());
    drop(receiver.try_recv());
    sender.try_send(make()).unwrap();
    let closed = Task::waiting(sender.closed());
    let refused = Task::waiting(sender.send(make()));
    drop(receiver);
    assert_eq!(drops(), 4);
    drop(refused.woken().unwrap_err());
    closed.woken();
    assert_eq!(drops(), 5);
    drop(sender.try_send(make()).unwrap_err());
    assert_eq!(drops(), 6);

    let (sender, receiver) = channel(1);
    let permit = sender.try_reserve().unwrap();
    drop(receiver);
    permit.send(make());
    assert_eq!(drops(), 7, "by who sent it");
}

#[test]
fn many_are_received_at_once() {
    let (sender, mut receiver) = channel(8);
    let mut all = vec![100];
    assert_eq!(block_on(receiver.recv_many(&mut all, 0)), 0);
    (0..4).for_each(|n| sender.try_send(n).unwrap());
    assert_eq!(block_on(receiver.recv_many(&mut all, 2)), 2);
    (4..8).for_each(|n| sender.try_send(n).unwrap());
    assert_eq!(block_on(receiver.recv_many(&mut all, 100)), 6, "of both buffers");
    assert_eq!(all, [100, 0, 1, 2, 3, 4, 5, 6, 7]);
    (0..8).for_each(|n| sender.try_send(n).unwrap());
    let first = Task::waiting(sender.send(8));
    let second = Task::waiting(sender.send(9));
    assert_eq!(block_on(receiver.recv_many(&mut Vec::new(), 2)), 2);
    assert_eq!((first.woken(), second.woken()), (Ok(()), Ok(())));
    assert_eq!(block_on(receiver.recv_many(&mut all, 8)), 8);
    drop(sender);
    assert_eq!(block_on(receiver.recv_many(&mut all, 8)), 0);
}

#[test]
fn the_receiver_is_a_stream_whatever_it_carries() {
    // Neither `Unpin` nor comparable: messages are only moved.
    struct Pinned(u32, std::marker::PhantomPinned);
    let (sender, receiver) = channel(4);
    (0..3).for_each(|n| assert!(sender.try_send(Pinned(n, std::marker::PhantomPinned)).is_ok()));
    drop(sender);
    assert_eq!(block_on(receiver.map(|pinned| pinned.0).collect::<Vec<_>>()), [0, 1, 2]);
    let (sender, mut receiver) = unbounded_channel();
    (0..3).for_each(|n| sender.send(n).unwrap());
    assert_eq!(block_on(receiver.next()), Some(0));
    assert_eq!(receiver.size_hint(), (2, None));
    let nothing = std::iter::repeat_n((), 3);
    let (sender, receiver) = channel(3);
    nothing.for_each(|nothing| sender.try_send(nothing).unwrap());
    drop(sender);
    assert_eq!(block_on(receiver.count()), 3);
}

#[test]
fn an_unbounded_channel_never_waits() {
    let (sender, mut receiver) = unbounded_channel();
    let waiting = Task::waiting(receiver.recv());
    (0..1_000).for_each(|n| sender.send(n).unwrap());
    assert_eq!(waiting.woken(), Some(0));
    let weak = sender.downgrade();
    assert_eq!((weak.strong_count(), weak.weak_count(), receiver.len()), (1, 1, 999));
    let other = weak.upgrade().unwrap();
    assert!(other.same_channel(&sender));
    assert_eq!((receiver.sender_strong_count(), receiver.sender_weak_count()), (2, 1));
    let closed = Task::waiting(sender.closed());
    receiver.close();
    closed.woken();
    assert_eq!(other.send(5), Err(SendError(5)));
    let mut rest = Vec::new();
    assert_eq!(block_on(receiver.recv_many(&mut rest, usize::MAX)), 999);
    assert_eq!((receiver.try_recv(), receiver.is_empty()), (Err(TryRecvError::Disconnected), true));
    drop(receiver);
    assert!(sender.is_closed());
}

#[test]
fn weak_senders_do_not_keep_the_channel_open() {
    let (sender, mut receiver) = channel::<u32>(1);
    let weak = sender.downgrade();
    let waiting = Task::waiting(receiver.recv());
    let strong = weak.upgrade().unwrap();
    let weaker = weak.clone();
    assert_eq!((weak.strong_count(), sender.weak_count()), (2, 2));
    drop((sender, weaker));
    assert_eq!((waiting.bell.rings(), strong.weak_count()), (0, 1));
    drop(strong);
    assert_eq!(waiting.woken(), None);
    assert!(weak.upgrade().is_none());
    assert_eq!((weak.strong_count(), weak.weak_count(), receiver.sender_weak_count()), (0, 1, 1));
}

#[test]
fn a_peak_does_not_keep_its_room() {
    let (sender, mut receiver) = unbounded_channel();
    let room = |receiver: &super::UnboundedReceiver<[u8; 1024]>| receiver.rx.room();
    for _ in 0..2 {
        (0..10_000).for_each(|_| sender.send([0; 1024]).unwrap());
        assert!(receiver.try_recv().is_ok());
    }
    while receiver.try_recv().is_ok() {}
    assert!(room(&receiver) > 10_000, "the peak was {}", room(&receiver));
    // Messages keep coming, fewer than there were.
    for _ in 0..4 {
        (0..2).for_each(|_| sender.send([0; 1024]).unwrap());
        while receiver.try_recv().is_ok() {}
    }
    assert!(room(&receiver) <= 128, "{} messages", room(&receiver));
    // None come any more.
    (0..10_000).for_each(|_| sender.send([0; 1024]).unwrap());
    while receiver.try_recv().is_ok() {}
    drop(Task::waiting(receiver.recv()));
    assert!(room(&receiver) <= 128, "{} messages", room(&receiver));
}

#[test]
fn only_the_last_task_that_polled_is_woken() {
    let (sender, mut receiver) = channel(1);
    let (old, new) = (Bell::new(), Bell::new());
    assert!(receiver.poll_recv(&mut old.context()).is_pending());
    assert!(receiver.poll_recv(&mut new.context()).is_pending());
    assert_eq!((old.clones(), new.clones()), (0, 1));
    assert!(receiver.poll_recv(&mut new.context()).is_pending());
    assert_eq!(new.clones(), 1, "the same waker is not cloned again");
    sender.try_send(1).unwrap();
    assert_eq!((old.rings(), new.rings(), new.clones()), (0, 1, 0));
    let mut many = Vec::new();
    assert_eq!(receiver.poll_recv_many(&mut new.context(), &mut many, 5), Poll::Ready(1));
    assert!(receiver.poll_recv_many(&mut new.context(), &mut many, 5).is_pending());
    drop(receiver);
    assert_eq!((new.rings(), new.clones()), (0, 0), "dropped, not woken");
}

#[test]
#[should_panic(expected = "send was polled after it was ready")]
fn a_send_that_is_over_is_not_polled_again() {
    let (sender, _receiver) = channel(2);
    let mut task = Task::new(sender.send(1));
    assert!(task.poll().is_ready());
    let _ = task.poll();
}

#[test]
fn a_channel_has_room_for_something() {
    assert!(catch_unwind(|| channel::<u32>(0)).is_err());
    assert!(catch_unwind(|| channel::<u32>(usize::MAX)).is_err());
    let (sender, _receiver) = channel::<u32>(usize::MAX >> 3);
    assert_eq!(sender.capacity(), usize::MAX >> 3);
}

#[test]
fn sending_and_receiving_take_part_in_the_budget_when_they_make_progress() {
    let (sender, mut receiver) = channel(1_000);
    {
        let _budget = coop::start();
        for n in 0..coop::BUDGET {
            assert!(Task::new(sender.send(n)).poll().is_ready());
        }
        let mut over = Task::new(sender.send(0));
        assert!(over.poll().is_pending());
        assert_eq!(over.bell.rings(), 1, "it yields, it does not wait");
    }
    {
        let _budget = coop::start();
        for _ in 0..coop::BUDGET {
            assert!(Task::new(receiver.recv()).poll().is_ready());
        }
    }
    let _budget = coop::start();
    let mut idle = Task::new(receiver.recv());
    for _ in 0..2 * coop::BUDGET {
        assert!(idle.poll().is_pending());
    }
    assert_eq!(idle.bell.rings(), 0, "to find nothing costs nothing");
}

#[test]
fn threads_block_at_either_end() {
    let (sender, mut receiver) = channel(2);
    let sending: Vec<_> = (0..2)
        .map(|me| {
            let sender = sender.clone();
            thread::spawn(move || (0..500).for_each(|n| sender.blocking_send((me, n)).unwrap()))
        })
        .collect();
    drop(sender);
    let mut next = [0, 0];
    let mut many = Vec::new();
    while let Some(first) = receiver.blocking_recv() {
        many.push(first);
        receiver.blocking_recv_many(&mut many, 3);
        for (me, n) in many.drain(..) {
            assert_eq!(n, next[me]);
            next[me] += 1;
        }
    }
    assert_eq!(next, [500, 500]);
    sending.into_iter().for_each(|thread| thread.join().unwrap());

    let (sender, mut receiver) = unbounded_channel();
    let receiving = thread::spawn(move || {
        let first = receiver.blocking_recv();
        (first, receiver.blocking_recv_many(&mut Vec::new(), 10), receiver.blocking_recv())
    });
    sender.send(1).unwrap();
    thread::yield_now();
    drop(sender);
    assert_eq!(receiving.join().unwrap(), (Some(1), 0, None));
    let (sender, receiver) = channel(1);
    sender.blocking_send(1).unwrap();
    let refused = thread::spawn(move || sender.blocking_send(2));
    thread::yield_now();
    drop(receiver);
    assert_eq!(refused.join().unwrap(), Err(SendError(2)));
}

#[test]
fn a_task_is_not_blocked() {
    let (sender, mut receiver) = channel(4);
    let (_sender, mut unbounded) = unbounded_channel::<u32>();
    sender.try_send(1).unwrap();
    let _budget = coop::start();
    let text = |f: &mut dyn FnMut()| {
        *catch_unwind(AssertUnwindSafe(f)).unwrap_err().downcast::<String>().unwrap()
    };
    assert!(text(&mut || _ = sender.blocking_send(1)).contains("await `send` instead"));
    assert!(text(&mut || _ = receiver.blocking_recv()).contains("await `recv` instead"));
    let many = &mut Vec::new();
    assert!(text(&mut || _ = receiver.blocking_recv_many(many, 1)).contains("`recv_many`"));
    assert!(text(&mut || _ = unbounded.blocking_recv()).contains("Unbounded"));
    assert!(text(&mut || _ = unbounded.blocking_recv_many(&mut vec![], 1)).contains("`recv_m"));
    assert_eq!(receiver.len(), 1);
}

#[test]
fn closing_wakes_a_task_that_waits_for_the_end() {
    let (_sender, mut receiver) = channel::<u32>(1);
    let bell = Bell::new();
    assert!(receiver.poll_recv(&mut bell.context()).is_pending());
    receiver.close();
    assert_eq!((bell.rings(), bell.clones()), (1, 0));
    assert!(receiver.poll_recv(&mut bell.context()).is_ready());
}
