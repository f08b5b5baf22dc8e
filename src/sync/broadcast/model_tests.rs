//! The channel against a model that is too simple to be wrong: a queue for each receiver.

use super::{Receiver, RecvError, Sender, TryRecvError, channel};
use crate::sync::test_kit::Task;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::task::Poll;

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(usize),
    TryRecv(usize),
    /// Begins to wait, with a receiver that does not come back before it is done.
    Wait(usize),
    /// Polls one that waits, with a new waker or the same.
    Poll(usize, bool),
    DropWait(usize),
    Subscribe(usize),
    Resubscribe(usize),
    DropReceiver(usize),
    CloneSender(usize),
    DropSender(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let n = || 0..8_usize;
    let op = prop_oneof![
        8 => n().prop_map(Op::Send),
        5 => n().prop_map(Op::TryRecv),
        4 => n().prop_map(Op::Wait),
        5 => (n(), any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        2 => n().prop_map(Op::DropWait),
        2 => n().prop_map(Op::Subscribe),
        1 => n().prop_map(Op::Resubscribe),
        2 => n().prop_map(Op::DropReceiver),
        1 => n().prop_map(Op::CloneSender),
        1 => n().prop_map(Op::DropSender),
    ];
    proptest::collection::vec(op, 0..100)
}

/// What a receiver is to get.
#[derive(Clone, Default)]
struct Pending {
    messages: VecDeque<u64>,
    missed: u64,
}

impl Pending {
    fn push(&mut self, message: u64, capacity: usize) {
        self.messages.push_back(message);
        if self.messages.len() > capacity {
            self.messages.pop_front();
            self.missed += 1;
        }
    }

    fn next(&mut self, closed: bool) -> Result<u64, TryRecvError> {
        match (std::mem::take(&mut self.missed), closed) {
            (0, true) => self.messages.pop_front().ok_or(TryRecvError::Closed),
            (0, false) => self.messages.pop_front().ok_or(TryRecvError::Empty),
            (missed, _) => Err(TryRecvError::Lagged(missed)),
        }
    }
}

type Waited = (Result<u64, RecvError>, Receiver<u64>);

struct Waiting {
    task: Task<'static, Waited>,
    pending: Pending,
    rung: bool,
}

struct Model {
    capacity: usize,
    sent: u64,
    senders: Vec<Sender<u64>>,
    receivers: Vec<(Receiver<u64>, Pending)>,
    waiting: Vec<Waiting>,
}

async fn wait(mut receiver: Receiver<u64>) -> Waited {
    (receiver.recv().await, receiver)
}

fn of<T>(all: &[T], n: usize) -> Option<usize> {
    n.checked_rem(all.len())
}

impl Model {
    fn step(&mut self, op: Op) -> Result<(), TestCaseError> {
        let closed = self.senders.is_empty();
        match op {
            Op::Send(n) => {
                let Some(n) = of(&self.senders, n) else { return Ok(()) };
                let listeners = self.receivers.len() + self.waiting.len();
                self.sent += 1;
                match self.senders[n].send(self.sent) {
                    Ok(n) => prop_assert!(n == listeners && n > 0),
                    Err(error) => prop_assert!(listeners == 0 && error.0 == self.sent),
                }
                let receivers = self.receivers.iter_mut().map(|(_, pending)| pending);
                let waiting = self.waiting.iter_mut().map(|waiting| &mut waiting.pending);
                receivers.chain(waiting).for_each(|p| p.push(self.sent, self.capacity));
            }
            Op::TryRecv(n) => {
                if let Some(n) = of(&self.receivers, n) {
                    let (receiver, pending) = &mut self.receivers[n];
                    prop_assert_eq!(receiver.try_recv(), pending.next(closed));
                }
            }
            Op::Wait(n) => {
                if let Some(n) = of(&self.receivers, n) {
                    let (receiver, pending) = self.receivers.remove(n);
                    let task = Task::new(wait(receiver));
                    self.waiting.push(Waiting { task, pending, rung: true });
                    self.poll(self.waiting.len() - 1, false)?;
                }
            }
            Op::Poll(n, anew) => {
                if let Some(n) = of(&self.waiting, n) {
                    self.poll(n, anew)?;
                }
            }
            Op::DropWait(n) => {
                if let Some(n) = of(&self.waiting, n) {
                    self.waiting.remove(n);
                }
            }
            Op::Subscribe(n) => {
                if let Some(n) = of(&self.senders, n) {
                    self.receivers.push((self.senders[n].subscribe(), Pending::default()));
                }
            }
            Op::Resubscribe(n) => {
                if let Some(n) = of(&self.receivers, n) {
                    let new = self.receivers[n].0.resubscribe();
                    self.receivers.push((new, Pending::default()));
                }
            }
            Op::DropReceiver(n) => {
                if let Some(n) = of(&self.receivers, n) {
                    self.receivers.remove(n);
                }
            }
            Op::CloneSender(n) => {
                if let Some(n) = of(&self.senders, n) {
                    let new = self.senders[n].downgrade().upgrade();
                    prop_assert!(new.is_some());
                    self.senders.extend(new);
                }
            }
            Op::DropSender(n) => {
                if let Some(n) = of(&self.senders, n) {
                    self.senders.remove(n);
                }
            }
        }
        Ok(())
    }

    fn poll(&mut self, n: usize, anew: bool) -> Result<(), TestCaseError> {
        let waiting = &mut self.waiting[n];
        let polled = if anew { waiting.task.poll_anew() } else { waiting.task.poll() };
        let expected = waiting.pending.next(self.senders.is_empty());
        match polled {
            Poll::Pending => {
                prop_assert_eq!(expected, Err(TryRecvError::Empty));
                waiting.rung = false;
            }
            Poll::Ready((outcome, receiver)) => {
                prop_assert!(waiting.rung, "it was ready and nobody was woken");
                let outcome = outcome.map_err(|error| match error {
                    RecvError::Closed => TryRecvError::Closed,
                    RecvError::Lagged(n) => TryRecvError::Lagged(n),
                });
                prop_assert_eq!(outcome, expected);
                let pending = std::mem::take(&mut waiting.pending);
                self.receivers.push((receiver, pending));
                self.waiting.remove(n);
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let closed = self.senders.is_empty();
        for waiting in &mut self.waiting {
            let rings = waiting.task.bell.rings();
            let due = closed || !waiting.pending.messages.is_empty();
            prop_assert_eq!(rings, usize::from(due && !waiting.rung));
            waiting.rung |= rings > 0;
        }
        let mut kept = 0;
        for (receiver, pending) in &self.receivers {
            prop_assert_eq!(receiver.len() as u64, pending.messages.len() as u64 + pending.missed);
            let nothing = pending.messages.is_empty() && pending.missed == 0;
            prop_assert_eq!(receiver.is_empty(), nothing);
            kept = kept.max(pending.messages.len());
        }
        kept = self.waiting.iter().map(|w| w.pending.messages.len()).fold(kept, usize::max);
        let listeners = self.receivers.len() + self.waiting.len();
        for sender in &self.senders {
            prop_assert_eq!(sender.len(), kept, "no more is kept than somebody is to see");
            prop_assert_eq!(sender.receiver_count(), listeners);
            prop_assert_eq!(sender.is_closed(), listeners == 0);
            prop_assert_eq!(sender.strong_count(), self.senders.len());
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_a_queue_for_each_receiver(capacity in 1..5_usize, ops in ops()) {
        let (sender, receiver) = channel(capacity);
        let mut model = Model {
            capacity,
            sent: 0,
            senders: vec![sender],
            receivers: vec![(receiver, Pending::default())],
            waiting: Vec::new(),
        };
        for op in ops {
            model.step(op)?;
            model.check()?;
        }
    }
}
