//! The channel against a model that is too simple to be wrong: a value, and how often it was sent.

use super::{Receiver, RecvError, Sender, channel};
use crate::sync::test_kit::Task;
use proptest::prelude::*;
use std::task::Poll;

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(usize),
    Replace(usize),
    Modify(usize, bool),
    Borrow(usize),
    Update(usize),
    Mark(usize, bool),
    /// Begins to wait, with a clone of a receiver.
    Wait(usize),
    /// Polls one that waits, with a new waker or the same.
    Poll(usize, bool),
    DropWait(usize),
    CloneReceiver(usize),
    Subscribe(usize),
    DropReceiver(usize),
    CloneSender(usize),
    DropSender(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let n = || 0..8_usize;
    let op = prop_oneof![
        4 => n().prop_map(Op::Send),
        1 => n().prop_map(Op::Replace),
        2 => (n(), any::<bool>()).prop_map(|(n, yes)| Op::Modify(n, yes)),
        2 => n().prop_map(Op::Borrow),
        2 => n().prop_map(Op::Update),
        1 => (n(), any::<bool>()).prop_map(|(n, yes)| Op::Mark(n, yes)),
        4 => n().prop_map(Op::Wait),
        4 => (n(), any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        2 => n().prop_map(Op::DropWait),
        2 => n().prop_map(Op::CloneReceiver),
        1 => n().prop_map(Op::Subscribe),
        2 => n().prop_map(Op::DropReceiver),
        1 => n().prop_map(Op::CloneSender),
        1 => n().prop_map(Op::DropSender),
    ];
    proptest::collection::vec(op, 0..80)
}

/// How often something was sent when a receiver looked; `None` where it is marked as not seen.
type Seen = Option<u64>;

struct Waiting {
    task: Task<'static, (Result<(), RecvError>, Receiver<u64>)>,
    seen: Seen,
    rung: bool,
}

struct Model {
    value: u64,
    sent: u64,
    senders: Vec<Sender<u64>>,
    receivers: Vec<(Receiver<u64>, Seen)>,
    waiting: Vec<Waiting>,
}

/// One of those that there are.
fn pick<T>(all: &mut [T], n: usize) -> Option<&mut T> {
    let n = n.checked_rem(all.len())?;
    all.get_mut(n)
}

async fn wait(mut receiver: Receiver<u64>) -> (Result<(), RecvError>, Receiver<u64>) {
    (receiver.changed().await, receiver)
}

impl Model {
    fn listeners(&self) -> usize {
        self.receivers.len() + self.waiting.len()
    }

    fn sent_one(&mut self, value: u64) {
        self.value = value;
        self.sent += 1;
    }

    fn step(&mut self, op: Op) -> Result<(), TestCaseError> {
        let (fresh, listeners) = (self.sent + 100, self.listeners());
        match op {
            Op::Send(n) => {
                let Some(sender) = pick(&mut self.senders, n) else { return Ok(()) };
                match sender.send(fresh) {
                    Ok(()) => {
                        prop_assert!(listeners > 0);
                        self.sent_one(fresh);
                    }
                    Err(error) => prop_assert!(listeners == 0 && error.0 == fresh),
                }
            }
            Op::Replace(n) => {
                let Some(sender) = pick(&mut self.senders, n) else { return Ok(()) };
                prop_assert_eq!(*sender.send_replace(fresh), self.value);
                self.sent_one(fresh);
            }
            Op::Modify(n, yes) => {
                let Some(sender) = pick(&mut self.senders, n) else { return Ok(()) };
                let said = sender.send_if_modified(|value| {
                    *value += 1;
                    yes
                });
                prop_assert_eq!(said, yes);
                if yes {
                    self.sent_one(self.value + 1);
                }
            }
            Op::Borrow(n) => {
                if let Some((receiver, seen)) = pick(&mut self.receivers, n) {
                    let snapshot = receiver.borrow();
                    prop_assert_eq!(*snapshot, self.value);
                    prop_assert_eq!(snapshot.has_changed(), *seen != Some(self.sent));
                }
            }
            Op::Update(n) => {
                if let Some((receiver, seen)) = pick(&mut self.receivers, n) {
                    let snapshot = receiver.borrow_and_update();
                    prop_assert_eq!(*snapshot, self.value);
                    prop_assert_eq!(snapshot.has_changed(), *seen != Some(self.sent));
                    *seen = Some(self.sent);
                }
            }
            Op::Mark(n, yes) => {
                if let Some((receiver, seen)) = pick(&mut self.receivers, n) {
                    if yes {
                        receiver.mark_changed()
                    } else {
                        receiver.mark_unchanged()
                    }
                    *seen = (!yes).then_some(self.sent);
                }
            }
            Op::Wait(n) => {
                let Some((receiver, seen)) = pick(&mut self.receivers, n) else { return Ok(()) };
                let seen = *seen;
                let task = Task::new(wait(receiver.clone()));
                self.waiting.push(Waiting { task, seen, rung: true });
                self.poll(self.waiting.len() - 1, false)?;
            }
            Op::Poll(n, anew) => {
                if let Some(n) = n.checked_rem(self.waiting.len()) {
                    self.poll(n, anew)?;
                }
            }
            Op::DropWait(n) => {
                if let Some(n) = n.checked_rem(self.waiting.len()) {
                    self.waiting.remove(n);
                }
            }
            Op::CloneReceiver(n) => {
                if let Some((receiver, seen)) = pick(&mut self.receivers, n) {
                    let new = (receiver.clone(), *seen);
                    self.receivers.push(new);
                }
            }
            Op::Subscribe(n) => {
                if let Some(sender) = pick(&mut self.senders, n) {
                    self.receivers.push((sender.subscribe(), Some(self.sent)));
                }
            }
            Op::DropReceiver(n) => {
                if let Some(n) = n.checked_rem(self.receivers.len()) {
                    self.receivers.remove(n);
                }
            }
            Op::CloneSender(n) => {
                if let Some(sender) = pick(&mut self.senders, n) {
                    let new = sender.clone();
                    self.senders.push(new);
                }
            }
            Op::DropSender(n) => {
                if let Some(n) = n.checked_rem(self.senders.len()) {
                    self.senders.remove(n);
                }
            }
        }
        Ok(())
    }

    fn poll(&mut self, n: usize, anew: bool) -> Result<(), TestCaseError> {
        let waiting = &mut self.waiting[n];
        let polled = if anew { waiting.task.poll_anew() } else { waiting.task.poll() };
        let unseen = waiting.seen != Some(self.sent);
        match polled {
            Poll::Pending => {
                prop_assert!(!unseen && !self.senders.is_empty());
                waiting.rung = false;
            }
            Poll::Ready((outcome, receiver)) => {
                prop_assert!(waiting.rung, "it was ready and nobody was woken");
                prop_assert_eq!(outcome.is_ok(), unseen);
                prop_assert!(unseen || self.senders.is_empty());
                self.receivers.push((receiver, Some(self.sent)));
                self.waiting.remove(n);
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let closed = self.senders.is_empty();
        for waiting in &mut self.waiting {
            let rings = waiting.task.bell.rings();
            let due = waiting.seen != Some(self.sent) || closed;
            prop_assert_eq!(rings, usize::from(due && !waiting.rung));
            waiting.rung |= rings > 0;
        }
        let listeners = self.listeners();
        for sender in &self.senders {
            prop_assert_eq!(sender.is_closed(), listeners == 0);
            prop_assert_eq!(sender.receiver_count(), listeners);
            prop_assert_eq!(sender.sender_count(), self.senders.len());
        }
        for (receiver, seen) in &self.receivers {
            let expected = match *seen != Some(self.sent) {
                true => Ok(true),
                false if closed => Err(RecvError),
                false => Ok(false),
            };
            prop_assert_eq!(receiver.has_changed(), expected);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_a_value_and_a_number(ops in ops()) {
        let (sender, receiver) = channel(0);
        let mut model = Model {
            value: 0,
            sent: 0,
            senders: vec![sender],
            receivers: vec![(receiver, Some(0))],
            waiting: Vec::new(),
        };
        for op in ops {
            model.step(op)?;
            model.check()?;
        }
    }
}
