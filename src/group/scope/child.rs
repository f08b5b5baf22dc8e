//! What a child does besides what it was spawned for.

use super::error::ChildError;
use super::shared::{Cause, ENCLOSING, Ended, Nest, Shared};
use crate::sync::oneshot;
use crate::util::{contain, poll_pinned};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Poll, ready};

/// Where the child's value goes to.
pub(super) type Answer<T> = oneshot::Sender<Result<T, ChildError>>;

/// A child that is a future.
pub(super) fn run<F, T, E>(
    future: F,
    answer: Answer<T>,
    scope: Arc<Shared<E>>,
) -> impl Future<Output = Ended<E>>
where
    F: Future<Output = Result<T, E>>,
    E: Send + 'static,
{
    let enclosing: Arc<dyn Nest> = scope.clone();
    let mut answer = Some(answer);
    poll_pinned(Some(ENCLOSING.scope(enclosing, future)), move |mut future, cx| {
        let Some(running) = future.as_mut().as_pin_mut() else { return Poll::Pending };
        let outcome = match catch_unwind(AssertUnwindSafe(|| running.poll(cx))) {
            Ok(polled) => Ok(ready!(polled)),
            Err(payload) => Err(payload),
        };
        // Not by the unwinding that goes on below: a second panic in there would end the process.
        contain(|| future.set(None));
        let Some(answer) = answer.take() else { return Poll::Pending };
        Poll::Ready(settle(outcome, answer, &scope))
    })
}

/// A child that is a closure.
pub(super) fn call<T, E>(
    f: impl FnOnce() -> Result<T, E>,
    answer: Answer<T>,
    scope: Arc<Shared<E>>,
) -> Ended<E>
where
    E: Send + 'static,
{
    // It may block on a scope of its own, and give that up.
    let enclosing: Arc<dyn Nest> = scope.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| ENCLOSING.sync_scope(enclosing, f)));
    settle(outcome, answer, &scope)
}

/// Tells the handle of the child how it ended, and the scope if it failed: at once, so that no
/// sibling goes on before the scope gets its turn.
fn settle<T, E: Send + 'static>(
    outcome: Result<Result<T, E>, Box<dyn Any + Send>>,
    answer: Answer<T>,
    scope: &Shared<E>,
) -> Ended<E> {
    match outcome {
        Ok(Ok(value)) => {
            // Who let go of the handle does not want the value.
            drop(answer.send(Ok(value)));
            Ok(())
        }
        Ok(Err(error)) => {
            scope.end(Cause::Failure);
            drop(answer.send(Err(ChildError::Failed)));
            Err(error)
        }
        Err(payload) => {
            scope.end(Cause::Failure);
            drop(answer.send(Err(ChildError::Panicked)));
            resume_unwind(payload)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::CancelToken;

    #[test]
    fn a_child_is_held_once() {
        let work = async {
            let large = [0_u8; 1024];
            crate::yield_now().await;
            std::hint::black_box(&large);
            Ok::<(), ()>(())
        };
        let size = size_of_val(&work);
        let scope = Arc::new(Shared::new(CancelToken::new(), None));
        let child = run(work, oneshot::channel().0, scope);
        assert!(size_of_val(&child) <= size + 128, "{} of {size}", size_of_val(&child));
    }
}
