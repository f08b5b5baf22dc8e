//! `broadcast` under many schedules: each receiver against the list of all messages.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::sync::broadcast::{self, Receiver, RecvError, Sender, TryRecvError};
use mainspring::{spawn, spawn_local};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const SEEDS: u64 = 4_000;

/// A message: which one it is of all, and something that is counted.
#[derive(Clone, Debug)]
struct Message(usize, #[allow(dead_code)] Arc<()>);

/// Receives until the end: every message from `from` on is seen in order, or was counted as missed
/// while at least as many as the channel keeps came after it.
async fn receive(mut receiver: Receiver<Message>, from: usize, capacity: usize) -> usize {
    let mut next = from;
    loop {
        let (ahead, polled) = if random_below(3) == 0 {
            let ahead = receiver.len();
            (ahead, receiver.try_recv())
        } else {
            let Some(received) = meddle(receiver.recv()).await else { continue };
            (
                usize::MAX,
                received.map_err(|error| match error {
                    RecvError::Closed => TryRecvError::Closed,
                    RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
                }),
            )
        };
        match polled {
            Ok(Message(n, _)) => {
                assert_eq!(n, next);
                next += 1;
            }
            Err(TryRecvError::Lagged(missed)) => {
                let missed = usize::try_from(missed).unwrap();
                assert!(missed > 0);
                assert!(ahead == usize::MAX || ahead == missed + capacity);
                assert_eq!(receiver.len(), capacity, "it goes on with the oldest that is kept");
                next += missed;
            }
            Err(TryRecvError::Empty) => wander().await,
            Err(TryRecvError::Closed) => return next,
        }
        if random_below(3) == 0 {
            wander().await;
        }
    }
}

#[test]
fn every_receiver_sees_every_message_in_order_or_counts_it_as_missed() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let capacity = 1 + random_below(5) as usize;
        let (sender, receiver) = broadcast::channel(capacity);
        let counted = Arc::new(());
        // How many messages were sent; the runtime has one thread.
        let sent = Rc::new(RefCell::new(0));
        let mut receivers: Vec<_> =
            (0..2).map(|_| spawn(receive(receiver.resubscribe(), 0, capacity))).collect();
        let doomed: Vec<_> =
            (0..2).map(|_| spawn(receive(receiver.resubscribe(), 0, capacity))).collect();
        drop(receiver);
        let senders: Vec<_> = (0..2)
            .map(|_| spawn_local(send(sender.clone(), sent.clone(), counted.clone())))
            .collect();
        wander().await;
        receivers.push(spawn(receive(sender.subscribe(), *sent.borrow(), capacity)));
        assert!(sender.len() <= capacity);
        let weak = sender.downgrade();
        drop(sender);
        finish(senders, random_below(2) == 0).await;
        finish(doomed, true).await;
        for seen in finish(receivers, false).await {
            assert_eq!(seen, Some(*sent.borrow()));
        }
        assert!(weak.upgrade().is_none());
        assert_eq!(Arc::strong_count(&counted), 1, "a message that nobody is to see was kept");
    });
}

async fn send(sender: Sender<Message>, sent: Rc<RefCell<usize>>, counted: Arc<()>) {
    for _ in 0..random_below(8) {
        let n = sent.replace_with(|sent| *sent + 1);
        // The receivers that are not aborted are there.
        assert!(sender.send(Message(n, counted.clone())).unwrap() >= 2);
        wander().await;
    }
}

#[test]
fn messages_are_dropped_with_the_last_receiver_that_was_to_see_them() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let (sender, receiver) = broadcast::channel(1 + random_below(4) as usize);
        let counted = Arc::new(());
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.resubscribe();
                spawn(async move {
                    for _ in 0..random_below(4) {
                        wander().await;
                        let _ = meddle(receiver.recv()).await;
                    }
                })
            })
            .collect();
        drop(receiver);
        let closed = spawn({
            let sender = sender.clone();
            async move {
                while meddle(sender.closed()).await.is_none() {}
                assert!(sender.is_closed());
            }
        });
        while sender.send(Message(0, counted.clone())).is_ok() {
            assert!(sender.len() <= sender.capacity());
            mainspring::time::sleep(Duration::from_millis(1)).await;
        }
        finish(receivers, true).await;
        closed.await.unwrap();
        assert!(sender.is_empty() && sender.receiver_count() == 0);
        assert_eq!(Arc::strong_count(&counted), 1);
    });
}
