//! The channel against a model that is too simple to be wrong: a list of messages, and a list of
//! those who wait for places.

use super::{Permit, Receiver, Sender, TryRecvError, TrySendError, channel};
use crate::sync::test_kit::{Bell, Task};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::task::Poll;

#[derive(Clone, Copy, Debug)]
enum Op {
    Send,
    TrySend,
    Reserve(usize),
    TryReserve(usize),
    /// Polls one that waits, with a new waker or the same.
    Poll(usize, bool),
    DropWaiter(usize),
    UsePermit(usize),
    DropPermit(usize),
    TryRecv,
    PollRecv(bool),
    RecvMany(usize),
    Close,
    DropReceiver,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Send),
        3 => Just(Op::TrySend),
        4 => (0..4_usize).prop_map(Op::Reserve),
        2 => (0..4_usize).prop_map(Op::TryReserve),
        4 => (0..8_usize, any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        3 => (0..8_usize).prop_map(Op::DropWaiter),
        5 => (0..8_usize).prop_map(Op::UsePermit),
        2 => (0..8_usize).prop_map(Op::DropPermit),
        5 => Just(Op::TryRecv),
        5 => any::<bool>().prop_map(Op::PollRecv),
        2 => (0..4_usize).prop_map(Op::RecvMany),
        1 => Just(Op::Close),
    ];
    // The receiver goes at most once, and late.
    (proptest::collection::vec(op, 0..80), any::<bool>()).prop_map(|(mut ops, goes)| {
        if goes {
            let late = ops.len() * 3 / 4;
            ops.insert(late, Op::DropReceiver);
        }
        ops
    })
}

/// How many messages there were before: where the counts are about to wrap, shifted or not.
fn begin() -> impl Strategy<Value = usize> {
    let (half, all) = (usize::MAX >> 1, usize::MAX);
    prop_oneof![Just(0), half - 8..half, all - 8..all]
}

/// What one that waits will give: whether it sent its message, or the permits.
type Output<'a> = Result<Vec<Permit<'a, u32>>, ()>;

/// One that waits, as the model sees it.
struct Waiting<'a> {
    task: Task<'a, Output<'a>>,
    wanted: usize,
    message: Option<u32>,
    outcome: Option<bool>,
    rung: bool,
}

struct Model<'a> {
    sender: &'a Sender<u32>,
    receiver: Option<Receiver<u32>>,
    capacity: usize,
    next: u32,
    messages: VecDeque<u32>,
    permits: Vec<Permit<'a, u32>>,
    // In the order in which they came; those with an outcome were not polled since.
    waiting: Vec<Waiting<'a>>,
    closed: bool,
    bell: Bell,
    receiver_waits: bool,
}

impl<'a> Model<'a> {
    fn somebody_waits(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.outcome.is_none())
    }

    /// Places that no message, no permit and nobody who was served has.
    fn free(&self) -> usize {
        let served = self.waiting.iter().filter(|waiting| waiting.outcome == Some(true));
        let served: usize = served.map(|waiting| waiting.wanted).sum();
        self.capacity - self.messages.len() - self.permits.len() - served
    }

    fn serve(&mut self) {
        while let Some(n) = self.waiting.iter().position(|waiting| waiting.outcome.is_none()) {
            if self.waiting[n].wanted > self.free() {
                return;
            }
            self.waiting[n].outcome = Some(true);
        }
    }

    fn fits(&self, n: usize) -> bool {
        n == 0 || (!self.somebody_waits() && self.free() >= n)
    }

    /// A message is in the channel, if there is one to be in.
    fn arrives(&mut self, message: u32) {
        if self.receiver.is_some() {
            self.messages.push_back(message);
        }
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn is_over(&self) -> bool {
        let served = self.waiting.iter().any(|waiting| waiting.outcome == Some(true));
        self.closed && self.permits.is_empty() && !served && self.messages.is_empty()
    }

    fn start(&mut self, wanted: usize, message: Option<u32>) -> Result<(), TestCaseError> {
        let sender = self.sender;
        let mut task =
            match message {
                Some(message) => Task::new(async move {
                    sender.send(message).await.map(|()| Vec::new()).map_err(drop)
                }),
                None => Task::new(async move {
                    sender.reserve_many(wanted).await.map(Vec::from_iter).map_err(drop)
                }),
            };
        match task.poll() {
            Poll::Ready(Err(())) => prop_assert!(self.closed || wanted > self.capacity),
            Poll::Ready(Ok(permits)) => {
                prop_assert!(!self.closed && self.fits(wanted));
                self.done(permits, message);
            }
            Poll::Pending => {
                prop_assert!(!self.closed && !self.fits(wanted) && wanted <= self.capacity);
                let (outcome, rung) = (None, false);
                self.waiting.push(Waiting { task, wanted, message, outcome, rung });
            }
        }
        Ok(())
    }

    fn done(&mut self, permits: Vec<Permit<'a, u32>>, message: Option<u32>) {
        self.permits.extend(permits);
        if let Some(message) = message {
            self.arrives(message);
        }
    }

    fn received(&mut self, n: usize, got: Vec<u32>) -> Result<(), TestCaseError> {
        let expected: Vec<u32> = self.messages.drain(..n).collect();
        prop_assert_eq!(got, expected);
        self.serve();
        Ok(())
    }

    fn step(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Send => {
                let message = self.fresh();
                self.start(1, Some(message))?;
            }
            Op::Reserve(n) => self.start(n, None)?,
            Op::TrySend => {
                let message = self.fresh();
                match self.sender.try_send(message) {
                    Ok(()) => {
                        prop_assert!(!self.closed && self.fits(1));
                        self.arrives(message);
                    }
                    Err(TrySendError::Full(back)) => {
                        prop_assert!(!self.closed && !self.fits(1) && back == message);
                    }
                    Err(TrySendError::Closed(back)) => {
                        prop_assert!(self.closed && back == message);
                    }
                }
            }
            Op::TryReserve(n) => match self.sender.try_reserve_many(n) {
                Ok(permits) => {
                    prop_assert!(!self.closed && self.fits(n));
                    self.permits.extend(permits);
                }
                Err(TrySendError::Full(())) => prop_assert!(!self.closed && !self.fits(n)),
                Err(TrySendError::Closed(())) => prop_assert!(self.closed),
            },
            Op::Poll(n, anew) if n < self.waiting.len() => {
                let waiting = &mut self.waiting[n];
                let polled = if anew { waiting.task.poll_anew() } else { waiting.task.poll() };
                match (polled, waiting.outcome) {
                    (Poll::Pending, None) => {}
                    (Poll::Ready(Ok(permits)), Some(true)) => {
                        let Waiting { message, .. } = self.waiting.remove(n);
                        prop_assert!(self.receiver.is_some() || message.is_none());
                        self.done(permits, message);
                    }
                    (Poll::Ready(Err(())), Some(served)) => {
                        prop_assert!(!served || self.receiver.is_none());
                        drop(self.waiting.remove(n));
                    }
                    (polled, outcome) => prop_assert!(false, "{polled:?}, not {outcome:?}"),
                }
            }
            Op::DropWaiter(n) if n < self.waiting.len() => {
                drop(self.waiting.remove(n));
                self.serve();
            }
            Op::UsePermit(n) if n < self.permits.len() => {
                let message = self.fresh();
                self.permits.remove(n).send(message);
                self.arrives(message);
            }
            Op::DropPermit(n) if n < self.permits.len() => {
                drop(self.permits.remove(n));
                self.serve();
            }
            Op::Close | Op::DropReceiver => {
                if let (Op::Close, Some(receiver)) = (op, &mut self.receiver) {
                    receiver.close();
                } else {
                    self.receiver = None;
                    self.receiver_waits = false;
                    self.messages.clear();
                }
                self.closed = true;
                for waiting in self.waiting.iter_mut().filter(|waiting| waiting.outcome.is_none()) {
                    waiting.outcome = Some(false);
                }
            }
            Op::TryRecv | Op::PollRecv(_) | Op::RecvMany(_) => self.receive(op)?,
            Op::Poll(..) | Op::DropWaiter(_) | Op::UsePermit(_) | Op::DropPermit(_) => {}
        }
        Ok(())
    }

    fn receive(&mut self, op: Op) -> Result<(), TestCaseError> {
        let over = self.is_over();
        let Some(receiver) = &mut self.receiver else { return Ok(()) };
        let there = self.messages.len();
        match op {
            Op::TryRecv => match receiver.try_recv() {
                Ok(message) => self.received(1, vec![message])?,
                Err(TryRecvError::Empty) => prop_assert!(there == 0 && !over),
                Err(TryRecvError::Disconnected) => prop_assert!(over),
            },
            Op::PollRecv(anew) => {
                if anew {
                    self.bell = Bell::new();
                }
                match receiver.poll_recv(&mut self.bell.context()) {
                    Poll::Ready(Some(message)) => self.received(1, vec![message])?,
                    Poll::Ready(None) => prop_assert!(over),
                    Poll::Pending => {
                        prop_assert!(there == 0 && !over);
                        self.receiver_waits = true;
                    }
                }
            }
            Op::RecvMany(limit) => {
                let mut got = Vec::new();
                match receiver.poll_recv_many(&mut self.bell.context(), &mut got, limit) {
                    Poll::Ready(n) => {
                        prop_assert_eq!(n, there.min(limit));
                        prop_assert!(n > 0 || limit == 0 || over);
                        self.received(n, got)?;
                    }
                    Poll::Pending => {
                        prop_assert!(there == 0 && !over && limit > 0);
                        self.receiver_waits = true;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.sender.is_closed(), self.closed);
        prop_assert_eq!(self.sender.chan().is_announced(), self.somebody_waits());
        if let Some(receiver) = &self.receiver {
            prop_assert_eq!(receiver.len(), self.messages.len());
            let open = if self.somebody_waits() { 0 } else { self.free() };
            prop_assert_eq!(receiver.capacity(), open);
        }
        for waiting in &mut self.waiting {
            let now = waiting.outcome.is_some() && !waiting.rung;
            prop_assert_eq!(waiting.task.bell.rings(), usize::from(now), "woken once, when served");
            waiting.rung |= now;
        }
        let rings = self.bell.rings();
        if self.receiver_waits && (!self.messages.is_empty() || self.is_over()) {
            prop_assert_eq!(rings, 1, "the receiver is woken when that changes");
            self.receiver_waits = false;
        } else {
            // After the close, who gives up a place may wake it for nothing.
            prop_assert!(rings == 0 || self.closed);
            self.receiver_waits &= rings == 0;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(capacity in 1..5_usize, begin in begin(), ops in ops()) {
        let (sender, mut receiver) = channel(capacity);
        receiver.rx.begin_at(begin);
        let mut model = Model {
            sender: &sender,
            receiver: Some(receiver),
            capacity,
            next: 0,
            messages: VecDeque::new(),
            permits: Vec::new(),
            waiting: Vec::new(),
            closed: false,
            bell: Bell::new(),
            receiver_waits: false,
        };
        for op in ops {
            model.step(op)?;
            model.check()?;
        }
    }
}
