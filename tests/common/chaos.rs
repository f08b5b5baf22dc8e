//! What goes wrong around a future: it is given up, it is late, its task is aborted. All of it is
//! drawn from the seed of the run.
#![allow(dead_code)]

use mainspring::sim::random_below;
use mainspring::time::{sleep, timeout};
use mainspring::{JoinHandle, yield_now};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Awaits `future`: mostly to its end, else for a few milliseconds, or for a few polls. `None` if it
/// was given up.
pub(crate) async fn meddle<F: Future>(future: F) -> Option<F::Output> {
    match random_below(5) {
        0 => timeout(Duration::from_millis(random_below(4)), future).await.ok(),
        1 => for_some_polls(1 + random_below(3), future).await,
        _ => Some(future.await),
    }
}

/// Polls `future` so often at the most; somebody else may run in between.
async fn for_some_polls<F: Future>(mut polls: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls == 1 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            // It may not be woken, and is to be given up all the same.
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Lets others run, for a while or not at all.
pub(crate) async fn wander() {
    match random_below(4) {
        0 => sleep(Duration::from_millis(random_below(3))).await,
        1 => {}
        _ => {
            for _ in 0..random_below(4) {
                yield_now().await;
            }
        }
    }
}

/// Awaits all tasks; with `abort`, aborts some of them before, now and then. `None` for those that
/// it cancelled. A panic is passed on.
pub(crate) async fn finish<T>(tasks: Vec<JoinHandle<T>>, abort: bool) -> Vec<Option<T>> {
    if abort {
        for task in &tasks {
            wander().await;
            if random_below(3) == 0 {
                task.abort();
            }
        }
    }
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(match task.await {
            Ok(output) => Some(output),
            Err(error) if error.is_cancelled() => None,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        });
    }
    outcomes
}
