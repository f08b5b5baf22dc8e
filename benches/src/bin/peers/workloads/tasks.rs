//! Tasks that are spawned, joined, and yield.

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::runtime::{Channels, Runtime};
use std::future::Future;
use std::hint::black_box;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How many tasks are spawned before the first is joined.
pub(crate) const SPAWNED: u64 = 100_000;
/// How many tasks follow one another in a chain.
pub(crate) const CHAIN: u64 = 1_000;
/// How many tasks yield at once, and how often.
pub(crate) const YIELDING: u64 = 1_000;

pub(super) async fn spawn_join<R: Runtime>(plan: Plan) -> Metrics {
    joined_one_at_a_time::<R>(plan, 50_000).await
}

/// The same from the future of `block_on`: there and back, each between threads.
pub(super) async fn root_join<R: Runtime>(plan: Plan) -> Metrics {
    joined_one_at_a_time::<R>(plan, 1_000).await
}

async fn joined_one_at_a_time<R: Runtime>(plan: Plan, batch_of: u64) -> Metrics {
    let batch = async |operations| {
        for n in 0..operations {
            black_box(R::join(R::spawn(async move { n })).await);
        }
    };
    plan.batches(batch_of, batch).await
}

pub(super) async fn spawn_all<R: Runtime>(plan: Plan) -> Metrics {
    let mut tasks = Vec::with_capacity(SPAWNED as usize);
    let batch = async |operations| {
        tasks.extend((0..operations).map(|n| R::spawn(async move { n })));
        for task in tasks.drain(..) {
            black_box(R::join(task).await);
        }
    };
    plan.batches(SPAWNED, batch).await
}

/// Each task of a chain spawns the next; the last one tells that it ran.
pub(super) async fn spawn_chain<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        for _ in 0..operations / CHAIN {
            let (promise, answer) = R::Channels::oneshot();
            R::detach(R::spawn(Link::<R>::new(CHAIN, promise)));
            R::Channels::answer(answer).await;
        }
    };
    plan.batches(50 * CHAIN, batch).await
}

pub(super) async fn yield_lone<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        for _ in 0..operations {
            R::yield_now().await;
        }
    };
    plan.batches(50_000, batch).await
}

pub(super) async fn yield_many<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        let yielding = move || async move {
            for _ in 0..operations / YIELDING {
                R::yield_now().await;
            }
        };
        let tasks: Vec<_> = (0..YIELDING).map(|_| R::spawn(yielding())).collect();
        for task in tasks {
            R::join(task).await;
        }
    };
    plan.batches(YIELDING * YIELDING, batch).await
}

/// A task that spawns the next of its kind. Written out, because the type of an `async` block that
/// spawns itself would contain itself.
struct Link<R: Runtime> {
    left: u64,
    done: Option<<R::Channels as Channels>::Promise<()>>,
    _runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Link<R> {
    fn new(left: u64, done: <R::Channels as Channels>::Promise<()>) -> Self {
        Self { left, done: Some(done), _runtime: PhantomData }
    }
}

impl<R: Runtime> Unpin for Link<R> {}

impl<R: Runtime> Future for Link<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if let Some(done) = self.done.take() {
            match self.left - 1 {
                0 => R::Channels::fulfil(done, ()),
                left => R::detach(R::spawn(Self::new(left, done))),
            }
        }
        Poll::Ready(())
    }
}
