//! Channels under many orders of events, with everything given up, late or aborted now and then.
//!
//! What holds in every run: what was sent is received exactly once, and what was given up never; the
//! messages of one sender come in its order; the channel never holds more than its capacity; a
//! receiver that stays gets everything, one that leaves a beginning of each sender's messages; every
//! task that is not aborted ends; at the end no message is left over, and all places are free.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use futures::StreamExt;
use mainspring::JoinHandle;
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, WeakSender, channel, unbounded_channel,
};
use mainspring::time::timeout;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// A message: its sender, its number there, and what tells at the end that it is gone.
type Message = (usize, usize, Rc<()>);

/// What was sent and received, in order, noted in the same poll.
#[derive(Default)]
struct Notes {
    sent: Vec<(usize, usize)>,
    received: Vec<(usize, usize)>,
    capacity: usize,
    life: Rc<()>,
}

type Book = Rc<RefCell<Notes>>;

impl Notes {
    fn sent(&mut self, me: usize, n: usize) {
        self.sent.push((me, n));
        assert!(self.sent.len() <= self.received.len() + self.capacity, "more than the capacity");
    }

    fn received(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.received.extend(messages.into_iter().map(|(me, n, _)| (me, n)));
    }

    /// What came of one sender.
    fn of(list: &[(usize, usize)], me: usize) -> Vec<usize> {
        list.iter().filter(|(who, _)| *who == me).map(|(_, n)| *n).collect()
    }

    fn check(&self, senders: usize, all: bool) {
        for me in 0..senders {
            let (sent, received) = (Self::of(&self.sent, me), Self::of(&self.received, me));
            assert!(sent.is_sorted() && sent.starts_with(&received), "{sent:?} {received:?}");
            assert!(!all || sent == received, "{sent:?}, but only {received:?}");
        }
        assert_eq!(Rc::strong_count(&self.life), 1, "messages are left over");
    }
}

async fn send(mut sender: Sender<Message>, me: usize, book: Book) {
    let life = book.borrow().life.clone();
    let message = |n| (me, n, life.clone());
    let note = |n| book.borrow_mut().sent(me, n);
    let mut n = 0;
    for _ in 0..1 + random_below(6) {
        n += 1;
        match random_below(8) {
            0 => {
                if sender.try_send(message(n)).is_ok() {
                    note(n);
                }
            }
            1 => {
                if let Some(Ok(permit)) = meddle(sender.reserve()).await {
                    wander().await;
                    if random_below(3) > 0 {
                        permit.send(message(n));
                        note(n);
                    }
                }
            }
            2 => {
                let many = 1 + random_below(3) as usize;
                if let Some(Ok(permits)) = meddle(sender.reserve_many(many)).await {
                    assert!(permits.len() == many && many <= sender.max_capacity());
                    for permit in permits.take(1 + random_below(3) as usize) {
                        wander().await;
                        n += 1;
                        permit.send(message(n));
                        note(n);
                    }
                }
            }
            3 => {
                let spare = sender.clone();
                if let Some(Ok(permit)) = meddle(spare.reserve_owned()).await {
                    wander().await;
                    sender = if random_below(3) > 0 {
                        let sender = permit.send(message(n));
                        note(n);
                        sender
                    } else {
                        permit.release()
                    };
                }
            }
            4 => {
                if let Ok(permit) = sender.try_reserve() {
                    wander().await;
                    permit.send(message(n));
                    note(n);
                }
            }
            _ => {
                if let Some(Ok(())) = meddle(sender.send(message(n))).await {
                    note(n);
                }
            }
        }
        wander().await;
    }
}

async fn send_late(weak: WeakSender<Message>, me: usize, book: Book) {
    wander().await;
    if let Some(sender) = weak.upgrade() {
        send(sender, me, book).await;
    }
}

/// Receives to the end, or for a while and then leaves in one of two ways. Whether it stayed.
async fn receive(mut receiver: Receiver<Message>, rounds: Option<u64>, book: Book) -> bool {
    for _ in 0..rounds.unwrap_or(u64::MAX) {
        let mut many = Vec::new();
        let over = match random_below(6) {
            0 => {
                many.extend(receiver.try_recv());
                false
            }
            1 => {
                let limit = 1 + random_below(4) as usize;
                meddle(receiver.recv_many(&mut many, limit)).await == Some(0)
            }
            2 => {
                let next = meddle(receiver.next()).await;
                many.extend(next.iter().flatten().cloned());
                next.is_some_and(|next| next.is_none())
            }
            _ => {
                let next = meddle(receiver.recv()).await;
                many.extend(next.iter().flatten().cloned());
                next.is_some_and(|next| next.is_none())
            }
        };
        book.borrow_mut().received(many);
        if over {
            assert!(receiver.is_closed() && receiver.is_empty());
            assert_eq!(receiver.capacity(), receiver.max_capacity());
            return true;
        }
        wander().await;
    }
    if random_below(2) == 0 {
        return false;
    }
    receiver.close();
    while let Some(message) = receiver.recv().await {
        book.borrow_mut().received([message]);
        wander().await;
    }
    assert_eq!(receiver.capacity(), receiver.max_capacity());
    true
}

/// Waits for the receiver to leave, but not for long: it may wait for this sender to go.
async fn closed(sender: Sender<Message>) {
    if timeout(Duration::from_millis(random_below(20)), sender.closed()).await.is_ok() {
        assert!(sender.is_closed());
        assert!(sender.try_reserve().is_err());
    }
}

async fn bounded() {
    let capacity = 1 + random_below(4) as usize;
    let senders = 1 + random_below(4) as usize;
    let rounds = (random_below(2) == 0).then(|| random_below(12));
    let book = Book::default();
    book.borrow_mut().capacity = capacity;
    let (sender, receiver) = channel(capacity);
    let weak = sender.downgrade();
    let mut tasks: Vec<JoinHandle<()>> = (0..senders)
        .map(|me| match random_below(4) {
            0 => spawn_local(send_late(weak.clone(), me, book.clone())),
            _ => spawn_local(send(sender.clone(), me, book.clone())),
        })
        .collect();
    if rounds.is_some() {
        tasks.push(spawn_local(closed(sender.clone())));
    }
    drop(sender);
    let receiving = spawn_local(receive(receiver, rounds, book.clone()));
    // One that is aborted leaves as one does that drops its receiver.
    let abort_receiver = random_below(8) == 0;
    if abort_receiver {
        wander().await;
        receiving.abort();
    }
    finish(tasks, random_below(3) == 0).await;
    let stayed = finish(vec![receiving], false).await[0] == Some(true);
    assert_eq!(weak.strong_count(), 0);
    assert!(weak.upgrade().is_none());
    book.borrow().check(senders, stayed);
}

async fn send_unbounded(sender: UnboundedSender<Message>, me: usize, book: Book) {
    let life = book.borrow().life.clone();
    for n in 0..random_below(10) as usize {
        if sender.send((me, n, life.clone())).is_ok() {
            book.borrow_mut().sent(me, n);
        }
        if random_below(3) == 0 {
            wander().await;
        }
        if random_below(20) == 0 {
            let _ = timeout(Duration::from_millis(1), sender.closed()).await;
        }
    }
}

async fn receive_unbounded(
    mut receiver: UnboundedReceiver<Message>,
    rounds: Option<u64>,
    book: Book,
) -> bool {
    for _ in 0..rounds.unwrap_or(u64::MAX) {
        let mut many = Vec::new();
        let over = match random_below(4) {
            0 => {
                many.extend(receiver.try_recv());
                false
            }
            1 => meddle(receiver.recv_many(&mut many, 3)).await == Some(0),
            _ => {
                let next = meddle(receiver.recv()).await;
                many.extend(next.iter().flatten().cloned());
                next.is_some_and(|next| next.is_none())
            }
        };
        book.borrow_mut().received(many);
        if over {
            return true;
        }
        wander().await;
    }
    if random_below(2) == 0 {
        return false;
    }
    receiver.close();
    while let Some(message) = receiver.recv().await {
        book.borrow_mut().received([message]);
    }
    true
}

async fn unbounded() {
    let senders = 1 + random_below(4) as usize;
    let rounds = (random_below(3) == 0).then(|| random_below(12));
    let book = Book::default();
    book.borrow_mut().capacity = usize::MAX / 2;
    let (sender, receiver) = unbounded_channel();
    let weak = sender.downgrade();
    let tasks = (0..senders)
        .map(|me| spawn_local(send_unbounded(sender.clone(), me, book.clone())))
        .collect();
    drop(sender);
    let receiving = spawn_local(receive_unbounded(receiver, rounds, book.clone()));
    finish(tasks, random_below(3) == 0).await;
    let stayed = finish(vec![receiving], false).await[0] == Some(true);
    assert!(weak.upgrade().is_none());
    book.borrow().check(senders, stayed);
}

#[test]
fn bounded_channels_keep_their_promises_in_every_order() {
    Sim::new().patience(Duration::ZERO).check(0..10_000, bounded);
}

#[test]
fn unbounded_channels_keep_their_promises_in_every_order() {
    Sim::new().patience(Duration::ZERO).check(0..3_000, unbounded);
}
