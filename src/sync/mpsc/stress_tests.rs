//! Channels between threads: nothing is lost, nothing comes twice, the order of each sender holds.

use super::{Receiver, channel, unbounded_channel};
use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::test_kit::Task;
use futures::executor::block_on;
use std::sync::Arc;
use std::thread;

#[test]
fn four_threads_send_exactly_once_and_in_order_past_those_that_give_up() {
    const EACH: usize = 3_000;
    for capacity in [1, 3, 64] {
        let (sender, mut receiver) = channel(capacity);
        let producers: Vec<_> = (0..4)
            .map(|me| {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut given_up = 0;
                    for n in 0..EACH {
                        match (me + n) % 5 {
                            // Given up, served or not.
                            0 => {
                                let mut quitter = Task::new(sender.reserve_many(capacity.min(2)));
                                drop(quitter.poll());
                                drop(quitter);
                                block_on(sender.send((me, n))).unwrap();
                            }
                            1 => block_on(sender.reserve()).unwrap().send((me, n)),
                            2 => {
                                if sender.try_send((me, n)).is_err() {
                                    block_on(sender.send((me, n))).unwrap();
                                }
                            }
                            3 => {
                                let mut quitter = Task::new(sender.send((me, usize::MAX)));
                                given_up += usize::from(quitter.poll().is_pending());
                                drop(quitter);
                                sender.blocking_send((me, n)).unwrap();
                            }
                            _ => block_on(sender.send((me, n))).unwrap(),
                        }
                    }
                    given_up
                })
            })
            .collect();
        drop(sender);
        let mut next = [0; 4];
        let mut extra = 0;
        while let Some((me, n)) = block_on(receiver.recv()) {
            if n == usize::MAX {
                extra += 1;
                continue;
            }
            assert_eq!(n, next[me], "of {me}");
            next[me] += 1;
        }
        assert_eq!(next, [EACH; 4]);
        let gave_up: usize = producers.into_iter().map(|thread| thread.join().unwrap()).sum();
        let tried: usize = (0..4).map(|me| (0..EACH).filter(|n| (me + n) % 5 == 3).count()).sum();
        assert_eq!(extra, tried - gave_up, "sent exactly if it was not given up");
    }
}

/// A message that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn each_message_ends_once_as_the_receiver_goes() {
    const ROUNDS: usize = 400;
    let drops = Arc::new(AtomicUsize::new(0));
    let made = Arc::new(AtomicUsize::new(0));
    for round in 0..ROUNDS {
        let (sender, mut receiver) = channel(1 + round % 3);
        let (unbounded, mut other): (_, _) = unbounded_channel();
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (sender, unbounded) = (sender.clone(), unbounded.clone());
                let (drops, made) = (drops.clone(), made.clone());
                let make = move || {
                    made.fetch_add(1, Ordering::Relaxed);
                    Counted(drops.clone())
                };
                thread::spawn(move || {
                    for _ in 0..3 {
                        drop(Task::new(sender.send(make())).poll());
                        drop(block_on(sender.send(make())));
                        if let Ok(permit) = sender.try_reserve() {
                            permit.send(make());
                        }
                        drop(unbounded.send(make()));
                    }
                })
            })
            .collect();
        for _ in 0..round % 4 {
            drop(block_on(receiver.recv()));
            drop(other.try_recv());
        }
        if round % 5 == 0 {
            receiver.close();
            drop(receiver.try_recv());
        }
        drop((receiver, other));
        senders.into_iter().for_each(|thread| thread.join().unwrap());
    }
    assert_eq!(drops.load(Ordering::Relaxed), made.load(Ordering::Relaxed));
}

#[test]
fn the_end_is_seen_once_whoever_holds_the_last_sender() {
    fn drain(mut receiver: Receiver<u32>) -> u32 {
        let mut sum = 0;
        while let Some(n) = receiver.blocking_recv() {
            sum += n;
        }
        sum
    }
    for _ in 0..300 {
        let (sender, receiver) = channel(2);
        let weak = sender.downgrade();
        let upgrading = thread::spawn(move || {
            weak.upgrade().is_some_and(|sender| sender.blocking_send(1).is_ok())
        });
        let dropping = thread::spawn(move || drop(sender));
        let sum = drain(receiver);
        assert_eq!(sum, u32::from(upgrading.join().unwrap()));
        dropping.join().unwrap();
    }
}
