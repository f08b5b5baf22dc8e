//! The end that sees the latest value.

use super::{RecvError, Ref, Shared};
use crate::coop;
use crate::primitives::Arc;
use crate::sync::sequence::{Mark, Outcome, Sequence, Wait};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The end of a [`channel`](super::channel) that sees the latest value.
///
/// Each receiver remembers which value it has seen; a clone begins with what the original remembers.
///
/// # Examples
///
/// To act on what there is now, and on each change:
///
/// ```
/// use mainspring::sync::watch;
///
/// # mainspring::block_on(async {
/// let (sender, mut receiver) = watch::channel("red");
/// mainspring::spawn(async move { sender.send("green") });
/// loop {
///     let colour = receiver.borrow_and_update();
///     println!("{colour}");
///     if receiver.changed().await.is_err() {
///         break;
///     }
/// }
/// # });
/// ```
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: Mark,
}

impl<T> Receiver<T> {
    /// `shared` counts the new receiver already.
    pub(super) fn new(shared: Arc<Shared<T>>, seen: Mark) -> Self {
        Self { shared, seen }
    }

    /// A snapshot of the latest value. It does not count as seen.
    pub fn borrow(&self) -> Ref<T> {
        let (value, mark) = self.shared.snapshot();
        Ref::new(value, mark != self.seen)
    }

    /// A snapshot of the latest value, which counts as seen from now on.
    pub fn borrow_and_update(&mut self) -> Ref<T> {
        let (value, mark) = self.shared.snapshot();
        Ref::new(value, mark != std::mem::replace(&mut self.seen, mark))
    }

    /// Waits for a value that was not seen, and counts the latest as seen.
    ///
    /// It is ready at once where one was sent since the last look. A value that is equal to the one
    /// before is another value. Follow it with
    /// [`borrow_and_update`](Self::borrow_and_update), which keeps what is sent in between from
    /// counting twice.
    ///
    /// # Errors
    ///
    /// [`RecvError`] when all senders are gone and the latest value was seen.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what it did not report still counts as not seen.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn changed(&mut self) -> Changed<'_> {
        let sequence = &self.shared.sequence;
        Changed { wait: sequence.wait(self.seen), sequence, seen: &mut self.seen }
    }

    /// Waits for a value that `predicate` accepts, and counts it as seen.
    ///
    /// The value that there is comes first, seen or not. Values that come and go while the task
    /// waits for its turn are not shown. `predicate` runs while no lock is held.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::watch::channel(0);
    /// mainspring::spawn(async move {
    ///     for n in 1..=3 {
    ///         sender.send(n).unwrap();
    ///     }
    /// });
    /// assert_eq!(*receiver.wait_for(|n| *n > 2).await?, 3);
    /// # Ok::<(), mainspring::sync::watch::RecvError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecvError`] when all senders are gone and the last value was not accepted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. What counts as seen then was not accepted.
    ///
    /// # Panics
    ///
    /// When `predicate` does: its value counts as seen only if it was before.
    pub async fn wait_for(
        &mut self,
        mut predicate: impl FnMut(&T) -> bool,
    ) -> Result<Ref<T>, RecvError> {
        loop {
            let charge = poll_fn(coop::poll_proceed).await;
            let (value, mark) = self.shared.snapshot();
            let accepted = predicate(&value);
            let has_changed = mark != std::mem::replace(&mut self.seen, mark);
            if accepted {
                charge.made_progress();
                return Ok(Ref::new(value, has_changed));
            }
            // Waiting is charged for by itself; and no value is kept from going meanwhile.
            drop((charge, value));
            // What is told of here counts as seen when it is shown: the mark is a copy.
            let (sequence, mut seen) = (&self.shared.sequence, self.seen);
            Changed { wait: sequence.wait(seen), sequence, seen: &mut seen }.await?;
        }
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`] when there is none, and none will come, as all senders are gone.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        match self.shared.sequence.look() {
            (mark, _) if mark != self.seen => Ok(true),
            (_, true) => Err(RecvError),
            (_, false) => Ok(false),
        }
    }

    /// Counts the latest value as not seen: [`changed`](Self::changed) is then ready at once.
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.sequence.mark().previous();
    }

    /// Counts the latest value as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.sequence.mark();
    }

    /// Whether both see the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.enter();
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("has_changed", &self.has_changed()).finish_non_exhaustive()
    }
}

/// The future of [`Receiver::changed`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Changed<'a> {
    // INVARIANT: pinned with the future; a wait at `sequence` for what `seen` says.
    wait: Wait<'a>,
    sequence: &'a Sequence,
    seen: &'a mut Mark,
}

impl Future for Changed<'_> {
    type Output = Result<(), RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: the wait is handled pinned, and the rest is not.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: pinned with the future.
        let outcome = ready!(unsafe { Pin::new_unchecked(&mut this.wait) }.poll(cx));
        charge.made_progress();
        Poll::Ready(match outcome {
            Outcome::Moved => {
                *this.seen = this.sequence.mark();
                Ok(())
            }
            Outcome::Closed => Err(RecvError),
        })
    }
}

impl fmt::Debug for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}
