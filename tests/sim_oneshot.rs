//! Channels for one value whose ends give up, are late and are aborted.
//!
//! Checked: a value arrives once or comes back; a receiver hears of every sender's end and a sender
//! of every receiver's; each value is dropped once.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::oneshot::{self, Receiver, Sender, TryRecvError};
use mainspring::time::timeout;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// What became of the value of one channel.
#[derive(Default)]
struct Fate {
    sent: Cell<bool>,
    refused: Cell<bool>,
    received: Cell<bool>,
    sender_gone: Cell<bool>,
    receiver_gone: Cell<bool>,
}

/// Sets a mark when it is dropped, so also when its task is aborted, begun or not.
struct Mark(Rc<Fate>, fn(&Fate) -> &Cell<bool>);

impl Drop for Mark {
    fn drop(&mut self) {
        (self.1)(&self.0).set(true);
    }
}

async fn send(mut sender: Sender<Rc<u32>>, value: Rc<u32>, mark: Mark) {
    let fate = &mark.0;
    wander().await;
    if random_below(3) == 0 {
        // Not for ever, as the receiver may wait for the value meanwhile.
        let limit = Duration::from_millis(random_below(4));
        if timeout(limit, meddle(sender.closed())).await.is_ok_and(|closed| closed.is_some()) {
            assert!(sender.is_closed() && fate.receiver_gone.get());
        }
    }
    wander().await;
    if random_below(4) > 0 {
        let closed = sender.is_closed();
        match sender.send(value) {
            Ok(()) => {
                assert!(!closed);
                fate.sent.set(true);
            }
            Err(value) => {
                assert!(closed && *value == 7);
                fate.refused.set(true);
            }
        }
    }
}

async fn receive(mut receiver: Receiver<Rc<u32>>, mark: Mark) {
    let fate = &mark.0;
    for _ in 0..1 + random_below(3) {
        wander().await;
        if let Some(outcome) = meddle(&mut receiver).await {
            match outcome {
                Ok(value) => {
                    assert!(*value == 7 && fate.sent.get());
                    fate.received.set(true);
                }
                Err(_) => assert!(!fate.sent.get()),
            }
            return;
        }
    }
    if random_below(2) == 0 {
        fate.receiver_gone.set(true);
        receiver.close();
        wander().await;
    }
    match receiver.try_recv() {
        Ok(_) => fate.received.set(true),
        Err(TryRecvError::Empty) => assert!(!fate.sent.get() && !fate.sender_gone.get()),
        Err(TryRecvError::Closed) => assert!(!fate.sent.get()),
    }
}

#[test]
fn a_value_arrives_once_or_comes_back() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let (value, fate) = (Rc::new(7), Rc::new(Fate::default()));
        let (sender, receiver) = oneshot::channel();
        let tasks = vec![
            spawn_local(send(sender, value.clone(), Mark(fate.clone(), |fate| &fate.sender_gone))),
            spawn_local(receive(receiver, Mark(fate.clone(), |fate| &fate.receiver_gone))),
        ];
        // Who is not aborted hears of the other's end, or the run is a deadlock.
        let ends = finish(tasks, random_below(2) == 0).await;
        assert!(!(fate.sent.get() && fate.refused.get()));
        if fate.received.get() {
            assert!(fate.sent.get());
        }
        if fate.sent.get() && ends[1].is_some() && !fate.received.get() {
            // Sent after the receiver's last look, before it went.
            assert!(fate.receiver_gone.get());
        }
        assert_eq!(Rc::strong_count(&value), 1, "dropped once");
    });
}

#[test]
fn a_value_that_was_sent_is_received_by_one_that_stays() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let (sender, mut receiver) = oneshot::channel();
        let sending = spawn_local(async move {
            wander().await;
            let sends = random_below(4) > 0;
            if sends {
                sender.send(7).expect("the receiver stays");
            }
            sends
        });
        let outcome = loop {
            if let Some(outcome) = meddle(&mut receiver).await {
                break outcome;
            }
        };
        assert_eq!(outcome.is_ok(), sending.await.unwrap());
    });
}
