//! What messages and wakers do as they are woken or dropped: they panic, and use the channel.

use super::{Receiver, Sender, TrySendError, channel};
use crate::primitives::Mutex;
use crate::sync::test_kit::Task;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};

#[test]
fn messages_are_dropped_in_order_and_past_a_panic() {
    struct Last(u32, Arc<Mutex<Vec<u32>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.1.lock().push(self.0);
            assert_ne!(self.0, 1, "the message that panics");
        }
    }
    let order = Arc::default();
    let (sender, mut receiver) = channel(4);
    for n in 0..3 {
        assert!(sender.try_send(Last(n, Arc::clone(&order))).is_ok());
    }
    drop(receiver.try_recv());
    assert!(sender.try_send(Last(3, Arc::clone(&order))).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    assert_eq!(*order.lock(), [0, 1, 2, 3]);
}

#[test]
fn a_message_may_hold_the_channel_and_use_it_as_it_is_dropped() {
    struct Nosy(Sender<Nosy>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            // Would hang if the lock were held.
            assert!(self.0.try_reserve().is_err() && self.0.capacity() < 3);
        }
    }
    let (sender, receiver) = channel(3);
    for _ in 0..2 {
        assert!(sender.try_send(Nosy(sender.clone())).is_ok());
    }
    let weak = sender.downgrade();
    drop((sender, receiver));
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_waker_may_use_the_channel_that_wakes_or_drops_it() {
    struct Nosy(Sender<u32>);
    impl Nosy {
        // Each would hang if the lock were held.
        fn look(&self) {
            let _ = self.0.capacity();
            let _ = Task::new(self.0.reserve_many(2)).poll();
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
    let (sender, mut receiver) = channel(2);
    let nosy = || Waker::from(Arc::new(Nosy(sender.clone())));
    let poll = |receiver: &mut Receiver<u32>| receiver.poll_recv(&mut Context::from_waker(&nosy()));
    assert!(poll(&mut receiver).is_pending() && poll(&mut receiver).is_pending());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    for _ in 0..2 {
        let mut queued = Box::pin(sender.send(3));
        assert!(queued.as_mut().poll(&mut Context::from_waker(&nosy())).is_pending());
        assert!(queued.as_mut().poll(&mut Context::from_waker(&nosy())).is_pending());
    }
    let mut served = Box::pin(sender.send(3));
    assert!(served.as_mut().poll(&mut Context::from_waker(&nosy())).is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    drop(served);
    let mut refused = Box::pin(sender.reserve_many(2));
    assert!(refused.as_mut().poll(&mut Context::from_waker(&nosy())).is_pending());
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(2));
}

/// A waker that receives a message as it is cloned, and panics as it is dropped.
static CLUMSY: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: it was made from such a reference, which outlives the wakers of the test.
        let receiver = unsafe { &*data.cast::<Mutex<Option<Receiver<u32>>>>() };
        if let Some(receiver) = &mut *receiver.lock() {
            receiver.try_recv().unwrap();
        }
        RawWaker::new(data, &CLUMSY)
    },
    |_| (),
    |_| (),
    |_| panic!("the waker that panics"),
);

#[test]
fn a_waker_that_panics_as_it_is_dropped_costs_no_place() {
    fn poll<F: Future>(future: Pin<&mut F>, with: &Mutex<Option<Receiver<u32>>>) {
        let data = std::ptr::from_ref(with).cast();
        // SAFETY: as the table says; nothing else is asked of it.
        let waker = ManuallyDrop::new(unsafe { Waker::new(data, &CLUMSY) });
        let mut cx = Context::from_waker(&waker);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future.poll(&mut cx))));
    }

    let (sender, receiver) = channel(1);
    sender.try_send(1).unwrap();
    let receiver = Mutex::new(Some(receiver));
    {
        let mut late = pin!(sender.reserve());
        // There is a place before it is in the queue.
        poll(late.as_mut(), &receiver);
    }
    assert_eq!(sender.capacity(), 1);

    let mut receiver = receiver.lock().take().unwrap();
    let nothing = Mutex::new(None);
    // A receiver that finds a message where it mostly finds none.
    drop(Task::waiting(receiver.recv()));
    for n in 2..4 {
        sender.try_send(n).unwrap();
        poll(pin!(receiver.recv()), &nothing);
    }
    assert_eq!((sender.capacity(), receiver.len()), (1, 0));
    sender.try_send(4).unwrap();
    assert_eq!(sender.try_send(5), Err(TrySendError::Full(5)));
    assert_eq!(receiver.try_recv(), Ok(4));
}
