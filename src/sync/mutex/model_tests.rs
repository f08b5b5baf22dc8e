//! The mutex against a model that is too simple to be wrong: who has it, a list, and whether the
//! holder came past the list.

use super::{Mutex, MutexGuard};
use crate::sync::test_kit::Task;
use proptest::prelude::*;
use std::task::Poll;

#[derive(Clone, Copy, Debug)]
enum Op {
    Lock,
    TryLock,
    /// Polls one that waits, with a new waker or the same.
    Poll(usize, bool),
    DropWaiter(usize),
    Unlock,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => Just(Op::Lock),
        3 => Just(Op::TryLock),
        5 => (0..6_usize, any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        2 => (0..6_usize).prop_map(Op::DropWaiter),
        6 => Just(Op::Unlock),
    ];
    proptest::collection::vec(op, 0..100)
}

/// One that waits, as the model sees it.
struct Waiting<'a> {
    task: Task<'a, MutexGuard<'a, u32>>,
    /// How many may have the mutex before it does.
    patience: usize,
    rings: usize,
    /// A wake is under way: it was not polled since.
    awake: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Free,
    /// By a guard, of one that came past those who wait or not.
    Guard {
        passed: bool,
    },
    /// By one that was not polled since it was handed the mutex.
    Granted,
}

struct Model<'a> {
    held: Held,
    guard: Option<MutexGuard<'a, u32>>,
    // Out of the queue, and not polled since.
    granted: Option<Waiting<'a>>,
    queue: Vec<Waiting<'a>>,
}

impl<'a> Model<'a> {
    /// Another than those who wait takes the mutex.
    fn newcomer(&mut self, guard: MutexGuard<'a, u32>) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.held, Held::Free);
        self.held = Held::Guard { passed: !self.queue.is_empty() };
        self.guard = Some(guard);
        self.lose_patience()
    }

    fn lose_patience(&mut self) -> Result<(), TestCaseError> {
        for waiting in &mut self.queue {
            prop_assert!(waiting.patience > 0, "it waits longer than was promised");
            waiting.patience -= 1;
        }
        Ok(())
    }

    fn wake_front(&mut self) {
        if let Some(front) = self.queue.first_mut()
            && !front.awake
        {
            front.awake = true;
            front.rings += 1;
        }
    }

    fn unlock(&mut self, passed: bool) -> Result<(), TestCaseError> {
        if passed && !self.queue.is_empty() {
            self.wake_front();
            self.granted = Some(self.queue.remove(0));
            self.held = Held::Granted;
            return self.lose_patience();
        }
        self.held = Held::Free;
        self.wake_front();
        Ok(())
    }

    fn step(&mut self, mutex: &'a Mutex<u32>, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Lock => {
                let mut task = Task::new(mutex.lock());
                match task.poll() {
                    Poll::Ready(guard) => self.newcomer(guard)?,
                    Poll::Pending => {
                        prop_assert_ne!(self.held, Held::Free);
                        let patience = 2 * self.queue.len() + 1;
                        self.queue.push(Waiting { task, patience, rings: 0, awake: false });
                    }
                }
            }
            Op::TryLock => match mutex.try_lock() {
                Ok(guard) => self.newcomer(guard)?,
                Err(_) => prop_assert_ne!(self.held, Held::Free),
            },
            // Number 0 is the one that was granted the mutex.
            Op::Poll(0, anew) => {
                if let Some(mut waiting) = self.granted.take() {
                    let polled = if anew { waiting.task.poll_anew() } else { waiting.task.poll() };
                    let Poll::Ready(guard) = polled else {
                        return Err(TestCaseError::fail("it was granted the mutex, and waits"));
                    };
                    self.guard = Some(guard);
                    self.held = Held::Guard { passed: false };
                }
            }
            Op::Poll(n, anew) if n <= self.queue.len() => {
                let waiting = &mut self.queue[n - 1];
                waiting.awake = false;
                let rings = if anew { 0 } else { waiting.task.bell.rings() };
                prop_assert!(anew || rings == std::mem::take(&mut waiting.rings));
                waiting.rings = 0;
                match if anew { waiting.task.poll_anew() } else { waiting.task.poll() } {
                    Poll::Ready(guard) => {
                        prop_assert_eq!((n, self.held), (1, Held::Free));
                        self.queue.remove(0);
                        self.held = Held::Guard { passed: false };
                        self.guard = Some(guard);
                        self.lose_patience()?;
                    }
                    Poll::Pending => prop_assert!(n > 1 || self.held != Held::Free),
                }
            }
            Op::DropWaiter(0) => {
                if self.granted.take().is_some() {
                    self.unlock(false)?;
                }
            }
            Op::DropWaiter(n) if n <= self.queue.len() => {
                drop(self.queue.remove(n - 1));
                match &mut self.held {
                    Held::Free => self.wake_front(),
                    Held::Guard { passed } if self.queue.is_empty() => *passed = false,
                    _ => {}
                }
            }
            Op::Unlock => {
                if let Some(guard) = self.guard.take() {
                    let Held::Guard { passed } = self.held else { unreachable!("there is one") };
                    drop(guard);
                    self.unlock(passed)?;
                }
            }
            Op::Poll(..) | Op::DropWaiter(_) => {}
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        for waiting in self.queue.iter_mut().chain(&mut self.granted) {
            let rings = std::mem::take(&mut waiting.rings);
            prop_assert_eq!(waiting.task.bell.rings(), rings, "woken once for each turn");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(ops in ops()) {
        let mutex = Mutex::new(0);
        let mut model = Model { held: Held::Free, guard: None, granted: None, queue: Vec::new() };
        for op in ops {
            model.step(&mutex, op)?;
            model.check()?;
        }
        drop(model);
        prop_assert!(mutex.try_lock().is_ok(), "it is free at the end");
    }
}
