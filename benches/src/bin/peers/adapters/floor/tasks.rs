//! Boxed futures in a queue, polled in turn.

use crate::metrics::{Metric, Metrics};
use crate::plan::Plan;
use crate::workloads::memory::{Idle, MANY, resident};
use crate::workloads::tasks::{CHAIN, SPAWNED};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Queue = VecDeque<Task>;

/// Polls all until they have ended.
fn run(queue: &mut Queue) {
    let mut cx = Context::from_waker(Waker::noop());
    while let Some(mut task) = queue.pop_front() {
        if task.as_mut().poll(&mut cx).is_pending() {
            queue.push_back(task);
        }
    }
}

fn task(n: u64) -> Task {
    Box::pin(async move {
        black_box(n);
    })
}

pub(super) fn spawn_join(plan: Plan) -> Metrics {
    let mut queue = Queue::new();
    plan.blocking_batches(50_000, |operations| {
        for n in 0..operations {
            queue.push_back(task(n));
            run(&mut queue);
        }
    })
}

pub(super) fn spawn_all(plan: Plan) -> Metrics {
    let mut queue = Queue::new();
    plan.blocking_batches(SPAWNED, |operations| {
        queue.extend((0..operations).map(task));
        run(&mut queue);
    })
}

pub(super) fn spawn_chain(plan: Plan) -> Metrics {
    let queue = Rc::new(RefCell::new(Queue::new()));
    plan.blocking_batches(50 * CHAIN, |operations| {
        for _ in 0..operations / CHAIN {
            queue.borrow_mut().push_back(link(queue.clone(), CHAIN));
            let mut cx = Context::from_waker(Waker::noop());
            loop {
                let next = queue.borrow_mut().pop_front();
                let Some(mut task) = next else { break };
                assert_eq!(task.as_mut().poll(&mut cx), Poll::Ready(()));
            }
        }
    })
}

fn link(queue: Rc<RefCell<Queue>>, left: u64) -> Task {
    Box::pin(async move {
        if left > 1 {
            let next = link(queue.clone(), left - 1);
            queue.borrow_mut().push_back(next);
        }
    })
}

pub(super) fn yields(plan: Plan, tasks: u64) -> Metrics {
    let mut queue = Queue::new();
    plan.blocking_batches(1_000_000, |operations| {
        queue.extend((0..tasks).map(|_| Box::pin(Yields(operations / tasks)) as Task));
        run(&mut queue);
    })
}

pub(super) fn bytes() -> Metrics {
    let mut tasks: Vec<Task> = Vec::with_capacity(MANY as usize);
    resident();
    let before = resident();
    tasks.extend((0..MANY).map(|n| Box::pin(Idle::new(n)) as Task));
    let grown = resident() - before;
    Metrics::default().with(Metric::Bytes, grown / MANY as f64 - size_of::<Task>() as f64)
}

/// Pending so many times.
struct Yields(u64);

impl Future for Yields {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            None => Poll::Ready(()),
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
        }
    }
}
