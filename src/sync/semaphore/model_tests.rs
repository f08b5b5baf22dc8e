//! The semaphore against a model that is too simple to be wrong: a number, a list, and what each
//! one in the list has so far.

use super::{Permit, Semaphore, TryAcquireError};
use crate::sync::test_kit::Task;
use proptest::prelude::*;
use std::task::Poll;

#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire(usize),
    TryAcquire(usize),
    /// Polls one that waits, with a new waker or the same.
    Poll(usize, bool),
    DropWaiter(usize),
    Release(usize),
    Split(usize),
    Forget(usize),
    Add(usize),
    ForgetFree(usize),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..5_usize).prop_map(Op::Acquire),
        2 => (0..4_usize).prop_map(Op::TryAcquire),
        4 => (0..8_usize, any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        3 => (0..8_usize).prop_map(Op::DropWaiter),
        6 => (0..8_usize).prop_map(Op::Release),
        1 => (0..8_usize).prop_map(Op::Split),
        1 => (0..8_usize).prop_map(Op::Forget),
        3 => (0..4_usize).prop_map(Op::Add),
        1 => (0..3_usize).prop_map(Op::ForgetFree),
        1 => Just(Op::Close),
    ];
    proptest::collection::vec(op, 0..80)
}

/// One that waits, as the model sees it.
struct Waiting<'a> {
    task: Task<'a, Result<Permit<'a>, super::Closed>>,
    wanted: usize,
    got: usize,
    outcome: Option<bool>,
    rung: bool,
}

struct Model<'a> {
    free: usize,
    closed: bool,
    // In the order in which they came; those with an outcome were not polled since.
    waiting: Vec<Waiting<'a>>,
    held: Vec<Permit<'a>>,
}

impl<'a> Model<'a> {
    fn somebody_waits(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.outcome.is_none())
    }

    fn free_up(&mut self, n: usize) {
        self.free += n;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.outcome.is_none()) {
            let given = self.free.min(waiting.wanted - waiting.got);
            self.free -= given;
            waiting.got += given;
            if waiting.got < waiting.wanted {
                return;
            }
            waiting.outcome = Some(true);
        }
    }

    /// What is not in circulation any more is not in here either.
    fn total(&self) -> usize {
        let held: usize = self.held.iter().map(Permit::num_permits).sum();
        self.free + held + self.waiting.iter().map(|waiting| waiting.got).sum::<usize>()
    }

    fn step(&mut self, semaphore: &'a Semaphore, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Acquire(wanted) => {
                let mut task = Task::new(semaphore.acquire_many(wanted));
                let at_once = wanted == 0 || (!self.somebody_waits() && self.free >= wanted);
                match task.poll() {
                    Poll::Ready(Err(_)) => prop_assert!(self.closed),
                    Poll::Ready(Ok(permit)) => {
                        prop_assert!(!self.closed && at_once);
                        self.free -= wanted;
                        self.held.push(permit);
                    }
                    Poll::Pending => {
                        prop_assert!(!self.closed && !at_once);
                        let (got, outcome, rung) = (0, None, false);
                        self.waiting.push(Waiting { task, wanted, got, outcome, rung });
                        self.free_up(0);
                    }
                }
            }
            Op::TryAcquire(n) => match semaphore.try_acquire_many(n) {
                Err(TryAcquireError::Closed) => prop_assert!(self.closed),
                Err(TryAcquireError::NoPermits) => {
                    prop_assert!(n > 0 && (self.somebody_waits() || self.free < n));
                }
                Ok(permit) => {
                    prop_assert!(!self.closed && (n == 0 || !self.somebody_waits()));
                    self.free -= n;
                    self.held.push(permit);
                }
            },
            Op::Poll(n, anew) if n < self.waiting.len() => {
                let waiting = &mut self.waiting[n];
                let polled = if anew { waiting.task.poll_anew() } else { waiting.task.poll() };
                match (polled, waiting.outcome) {
                    (Poll::Pending, None) => {}
                    (Poll::Ready(Ok(permit)), Some(true)) => {
                        prop_assert_eq!(permit.num_permits(), waiting.wanted);
                        self.held.push(permit);
                        self.waiting.remove(n);
                    }
                    (Poll::Ready(Err(_)), Some(false)) => drop(self.waiting.remove(n)),
                    (polled, outcome) => prop_assert!(false, "{polled:?}, not {outcome:?}"),
                }
            }
            Op::DropWaiter(n) if n < self.waiting.len() => {
                let Waiting { task, got, .. } = self.waiting.remove(n);
                drop(task);
                self.free_up(got);
            }
            Op::Release(n) if n < self.held.len() => {
                let permit = self.held.remove(n);
                let n = permit.num_permits();
                drop(permit);
                self.free_up(n);
            }
            Op::Split(n) if n < self.held.len() => {
                let half = self.held[n].num_permits() / 2;
                let half = self.held[n].split(half).expect("half is not more than all");
                self.held.push(half);
            }
            Op::Forget(n) if n < self.held.len() => self.held.remove(n).forget(),
            Op::Add(n) => {
                semaphore.add_permits(n);
                self.free_up(n);
            }
            Op::ForgetFree(n) => {
                let found = semaphore.forget_permits(n);
                prop_assert_eq!(found, n.min(self.free));
                self.free -= found;
            }
            Op::Close => {
                semaphore.close();
                self.closed = true;
                for waiting in self.waiting.iter_mut().filter(|waiting| waiting.outcome.is_none()) {
                    waiting.outcome = Some(false);
                    self.free += std::mem::take(&mut waiting.got);
                }
            }
            Op::Poll(..) | Op::DropWaiter(_) | Op::Release(_) | Op::Split(_) | Op::Forget(_) => {}
        }
        Ok(())
    }

    fn check(&mut self, semaphore: &Semaphore) -> Result<(), TestCaseError> {
        prop_assert_eq!(semaphore.available_permits(), self.free);
        prop_assert_eq!(semaphore.is_closed(), self.closed);
        let total = semaphore.total.load(crate::primitives::Ordering::Relaxed);
        prop_assert_eq!(total, self.total());
        for waiting in &mut self.waiting {
            let now = waiting.outcome.is_some() && !waiting.rung;
            prop_assert_eq!(waiting.task.bell.rings(), usize::from(now), "woken once, when served");
            waiting.rung |= now;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(permits in 0..5_usize, ops in ops()) {
        let semaphore = Semaphore::new(permits);
        let mut model =
            Model { free: permits, closed: false, waiting: Vec::new(), held: Vec::new() };
        for op in ops {
            model.step(&semaphore, op)?;
            model.check(&semaphore)?;
        }
        let total = model.total();
        drop(model);
        prop_assert_eq!(semaphore.available_permits(), total, "all are free at the end");
    }
}
