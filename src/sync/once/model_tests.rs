//! The cell against a model that is too simple to be wrong: a value, and a list of those who ask,
//! the first of whom makes it.

use super::{OnceCell, SetError};
use crate::primitives::Mutex;
use crate::sync::test_kit::Task;
use proptest::prelude::*;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

#[derive(Clone, Copy, Debug)]
enum End {
    With(u32),
    Fail,
    Panic,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Ask,
    /// Polls one, with a new waker or the same; what its attempt comes to, if it is the maker.
    Poll(usize, bool, Option<End>),
    Drop(usize),
    Set(u32),
    Take,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let end = prop_oneof![
        2 => any::<u32>().prop_map(End::With),
        2 => Just(End::Fail),
        1 => Just(End::Panic),
    ];
    let end = proptest::option::weighted(0.3, end);
    let op = prop_oneof![
        5 => Just(Op::Ask),
        8 => (0..6_usize, any::<bool>(), end).prop_map(|(n, anew, end)| Op::Poll(n, anew, end)),
        4 => (0..6_usize).prop_map(Op::Drop),
        1 => any::<u32>().prop_map(Op::Set),
        1 => Just(Op::Take),
    ];
    proptest::collection::vec(op, 0..80)
}

/// One that asks and was polled.
struct Asks<'a> {
    task: Task<'a, Result<u32, ()>>,
    end: Arc<Mutex<Option<End>>>,
    rung: bool,
}

fn ask<'a>(cell: &'a OnceCell<u32>, end: Arc<Mutex<Option<End>>>) -> Task<'a, Result<u32, ()>> {
    Task::new(async move {
        let attempt = poll_fn(move |_| match *end.lock() {
            None => Poll::Pending,
            Some(End::With(value)) => Poll::Ready(Ok(value)),
            Some(End::Fail) => Poll::Ready(Err(())),
            Some(End::Panic) => panic!("the attempt"),
        });
        cell.get_or_try_init(|| attempt).await.copied()
    })
}

#[derive(Default)]
struct Model<'a> {
    value: Option<u32>,
    // In the order in which they came. While there is no value, it is the turn of the first.
    asking: Vec<Asks<'a>>,
}

impl<'a> Model<'a> {
    fn step(&mut self, cell: &'a OnceCell<u32>, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Ask => {
                let end = Arc::new(Mutex::new(None));
                let mut task = ask(cell, end.clone());
                match (task.poll(), self.value) {
                    (Poll::Pending, None) => {
                        // The first that comes need not be woken for its turn.
                        let rung = self.asking.is_empty();
                        self.asking.push(Asks { task, end, rung });
                    }
                    (polled, value) => {
                        prop_assert_eq!(polled, value.map_or(Poll::Pending, |v| Poll::Ready(Ok(v))))
                    }
                }
            }
            Op::Poll(n, anew, end) if n < self.asking.len() => {
                let one = &mut self.asking[n];
                let end = if n == 0 && self.value.is_none() { end } else { None };
                *one.end.lock() = end;
                if anew {
                    one.task.bell = crate::sync::test_kit::Bell::new();
                }
                let polled = catch_unwind(AssertUnwindSafe(|| one.task.poll()));
                let is_over = match (polled, self.value, end) {
                    (Ok(polled), Some(value), _) => {
                        prop_assert_eq!(polled, Poll::Ready(Ok(value)));
                        true
                    }
                    (Ok(polled), None, None) => {
                        prop_assert_eq!(polled, Poll::Pending);
                        false
                    }
                    (Ok(polled), None, Some(End::With(value))) => {
                        prop_assert_eq!(polled, Poll::Ready(Ok(value)));
                        self.value = Some(value);
                        true
                    }
                    (Ok(polled), None, Some(End::Fail)) => {
                        prop_assert_eq!(polled, Poll::Ready(Err(())));
                        true
                    }
                    (polled, None, Some(End::Panic)) => {
                        prop_assert!(polled.is_err());
                        true
                    }
                    (Err(_), ..) => return Err(TestCaseError::fail("a panic from nowhere")),
                };
                if is_over {
                    self.asking.remove(n);
                }
            }
            Op::Drop(n) if n < self.asking.len() => drop(self.asking.remove(n)),
            Op::Set(value) => match cell.set(value) {
                Ok(()) => {
                    prop_assert!(self.value.is_none() && self.asking.is_empty());
                    self.value = Some(value);
                }
                Err(SetError::Initializing(_)) => {
                    prop_assert!(self.value.is_none() && !self.asking.is_empty());
                }
                Err(SetError::AlreadyInitialized(_)) => prop_assert!(self.value.is_some()),
            },
            Op::Take | Op::Poll(..) | Op::Drop(_) => {}
        }
        for (n, one) in self.asking.iter_mut().enumerate() {
            let now = (n == 0 || self.value.is_some()) && !one.rung;
            prop_assert_eq!(one.task.bell.rings(), usize::from(now), "woken once, for its turn");
            one.rung |= now;
        }
        prop_assert_eq!(cell.get().copied(), self.value);
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(ops in ops()) {
        let mut cell = OnceCell::new();
        let mut rounds = ops.split_inclusive(|op| matches!(op, Op::Take));
        rounds.try_for_each(|ops| {
            let mut model = Model::default();
            for op in ops {
                model.step(&cell, *op)?;
            }
            let value = model.value;
            drop(model);
            prop_assert_eq!(cell.take(), value);
            prop_assert_eq!(cell.get(), None);
            Ok(())
        })?;
    }
}
