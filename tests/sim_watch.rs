//! `watch` under many schedules.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn;
use mainspring::sync::watch::{self, Receiver, Sender};
use std::time::Duration;

const SEEDS: u64 = 4_000;

/// What each sender counts for itself, so that no change can hide another.
type Value = [u64; 3];

async fn send(sender: Sender<Value>, own: usize) {
    for _ in 0..random_below(6) {
        wander().await;
        match random_below(3) {
            0 => assert!(sender.send_if_modified(|value| {
                value[own] += 1;
                true
            })),
            1 => assert!(!sender.send_if_modified(|value| {
                value[own] += 100;
                false
            })),
            _ => sender.send_modify(|value| value[own] += 1),
        }
    }
}

/// Sees values only go forward, no change told that is none, and at the end the last value.
async fn receive(mut receiver: Receiver<Value>) -> Value {
    let mut last = *receiver.borrow_and_update();
    let see = |last: &mut Value, value: Value| {
        assert!((0..3).all(|n| value[n] >= last[n]), "{value:?} after {last:?}");
        *last = value;
    };
    loop {
        match random_below(4) {
            0 => {
                let beyond = last;
                let waited = meddle(receiver.wait_for(move |value| *value != beyond)).await;
                match waited {
                    Some(Ok(value)) => {
                        assert_ne!(*value, beyond);
                        see(&mut last, *value);
                    }
                    Some(Err(_)) => {
                        assert_eq!(*receiver.borrow(), last);
                        return last;
                    }
                    None => {}
                }
            }
            1 => {
                // Another that begins where this one stands, and gives up or sees the same.
                let mut other = receiver.clone();
                if let Some(Ok(())) = meddle(other.changed()).await {
                    assert_eq!(receiver.has_changed(), Ok(true));
                }
            }
            _ => match meddle(receiver.changed()).await {
                Some(Ok(())) => {
                    let value = *receiver.borrow_and_update();
                    assert_ne!(value, last, "a change was told twice");
                    see(&mut last, value);
                }
                Some(Err(_)) => {
                    assert_eq!(*receiver.borrow(), last, "the last value was not told of");
                    return last;
                }
                None => {}
            },
        }
        if receiver.has_changed().is_ok_and(|changed| changed) && random_below(2) == 0 {
            see(&mut last, *receiver.borrow_and_update());
        }
    }
}

#[test]
fn every_receiver_sees_the_last_value_and_then_the_end() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let (sender, receiver) = watch::channel([0; 3]);
        let receivers: Vec<_> = (0..3).map(|_| spawn(receive(receiver.clone()))).collect();
        let doomed: Vec<_> = (0..2).map(|_| spawn(receive(receiver.clone()))).collect();
        let senders: Vec<_> = (0..3).map(|n| spawn(send(sender.clone(), n))).collect();
        drop(sender);
        finish(senders, random_below(2) == 0).await;
        finish(doomed, true).await;
        let last = *receiver.borrow();
        for seen in finish(receivers, false).await {
            assert_eq!(seen, Some(last));
        }
    });
}

#[test]
fn a_sender_learns_when_the_last_receiver_goes() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let (sender, receiver) = watch::channel(0_u64);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.clone();
                spawn(async move {
                    wander().await;
                    for _ in 0..random_below(3) {
                        let _ = meddle(receiver.changed()).await;
                    }
                })
            })
            .collect();
        drop(receiver);
        let watchers: Vec<_> = (0..2)
            .map(|_| {
                let sender = sender.clone();
                spawn(async move {
                    while meddle(sender.closed()).await.is_none() {
                        wander().await;
                    }
                    assert!(sender.is_closed() && sender.send(1).is_err());
                })
            })
            .collect();
        let mut sent = 0;
        while sender.send(sent + 1).is_ok() {
            sent += 1;
            wander().await;
            mainspring::time::sleep(Duration::from_millis(1)).await;
        }
        finish(receivers, true).await;
        finish(watchers, false).await;
        assert_eq!(*sender.borrow(), sent, "what came back was not kept");
        assert_eq!((sender.receiver_count(), sender.sender_count()), (0, 1));
    });
}
