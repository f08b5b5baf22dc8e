//! The limiter against a model that is too simple to be wrong: a number, and a list of borrowers.

use super::{AcquireError, CapacityLimiter, LimiterToken, TryAcquireError};
use crate::sync::test_kit::Task;
use proptest::prelude::*;
use std::task::Poll;

const BORROWERS: u64 = 6;

#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire(u64),
    Try(u64),
    /// Polls one that waits, with a new waker or the same.
    Poll(usize, bool),
    DropWaiter(usize),
    Release(usize),
    Total(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..BORROWERS).prop_map(Op::Acquire),
        2 => (0..BORROWERS).prop_map(Op::Try),
        4 => (0..6_usize, any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        2 => (0..6_usize).prop_map(Op::DropWaiter),
        4 => (0..6_usize).prop_map(Op::Release),
        2 => (0..5_usize).prop_map(Op::Total),
    ];
    proptest::collection::vec(op, 0..80)
}

/// One that waits, as the model sees it.
struct Waiting<'a> {
    task: Task<'a, Result<LimiterToken<'a>, AcquireError>>,
    borrower: u64,
    served: bool,
    rung: bool,
}

struct Model<'a> {
    total: usize,
    // In the order in which they came; those that were served were not polled since.
    waiting: Vec<Waiting<'a>>,
    held: Vec<LimiterToken<'a>>,
}

impl<'a> Model<'a> {
    fn borrowed(&self) -> usize {
        self.held.len() + self.waiting.iter().filter(|one| one.served).count()
    }

    fn serve(&mut self) {
        let free = self.total.saturating_sub(self.borrowed());
        self.waiting.iter_mut().filter(|one| !one.served).take(free).for_each(|one| {
            one.served = true;
        });
    }

    fn knows(&self, borrower: u64) -> bool {
        self.held.iter().any(|token| token.borrower() == borrower.into())
            || self.waiting.iter().any(|one| one.borrower == borrower)
    }

    fn step(&mut self, limiter: &'a CapacityLimiter, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Acquire(borrower) => {
                let (knows, full) = (self.knows(borrower), self.borrowed() >= self.total);
                let mut task = Task::new(limiter.acquire_on_behalf_of(borrower));
                match task.poll() {
                    Poll::Ready(Err(error)) => {
                        prop_assert!(knows);
                        prop_assert_eq!(error, AcquireError::AlreadyBorrows(borrower.into()));
                    }
                    Poll::Ready(Ok(token)) => {
                        prop_assert!(!knows && !full);
                        self.held.push(token);
                    }
                    Poll::Pending => {
                        prop_assert!(!knows && full);
                        self.waiting.push(Waiting { task, borrower, served: false, rung: false });
                    }
                }
            }
            Op::Try(borrower) => match limiter.try_acquire_on_behalf_of(borrower) {
                Err(TryAcquireError::NoTokens) => {
                    prop_assert!(!self.knows(borrower) && self.borrowed() >= self.total);
                }
                Err(_) => prop_assert!(self.knows(borrower)),
                Ok(token) => {
                    prop_assert!(!self.knows(borrower) && self.borrowed() < self.total);
                    self.held.push(token);
                }
            },
            Op::Poll(n, anew) if n < self.waiting.len() => {
                let one = &mut self.waiting[n];
                match if anew { one.task.poll_anew() } else { one.task.poll() } {
                    Poll::Pending => prop_assert!(!one.served),
                    Poll::Ready(Ok(token)) => {
                        prop_assert!(one.served && token.borrower() == one.borrower.into());
                        self.waiting.remove(n);
                        self.held.push(token);
                    }
                    Poll::Ready(Err(error)) => prop_assert!(false, "{error}"),
                }
            }
            Op::DropWaiter(n) if n < self.waiting.len() => {
                drop(self.waiting.remove(n));
                self.serve();
            }
            Op::Release(n) if n < self.held.len() => {
                drop(self.held.remove(n));
                self.serve();
            }
            Op::Total(total) => {
                limiter.set_total_tokens(total);
                self.total = total;
                self.serve();
            }
            Op::Poll(..) | Op::DropWaiter(_) | Op::Release(_) => {}
        }
        Ok(())
    }

    fn check(&mut self, limiter: &CapacityLimiter) -> Result<(), TestCaseError> {
        let statistics = limiter.statistics();
        prop_assert_eq!(statistics.borrowed_tokens, self.borrowed());
        prop_assert_eq!(statistics.borrowers.len(), self.borrowed());
        prop_assert_eq!(statistics.total_tokens, self.total);
        let waiting = self.waiting.iter().filter(|one| !one.served).count();
        prop_assert_eq!(statistics.tasks_waiting, waiting);
        prop_assert_eq!(limiter.available_tokens(), self.total.saturating_sub(self.borrowed()));
        for one in &mut self.waiting {
            let now = one.served && !one.rung;
            prop_assert_eq!(one.task.bell.rings(), usize::from(now), "woken once, when served");
            one.rung |= now;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(total in 0..4_usize, ops in ops()) {
        let limiter = CapacityLimiter::new(total);
        let mut model = Model { total, waiting: Vec::new(), held: Vec::new() };
        for op in ops {
            model.step(&limiter, op)?;
            model.check(&limiter)?;
        }
        drop(model);
        prop_assert!(limiter.books.lock().borrowers.is_empty(), "nothing is kept");
    }
}
