//! A wish that work should stop, handed down a tree of tasks.

mod futures;
mod guard;
mod tree;

pub use futures::{Cancelled, CancelledOwned, RunUntilCancelled};
pub use guard::{DropGuard, DropGuardRef};

use crate::primitives::Arc;
use std::fmt;
use std::future::Future;
use tree::Node;

/// A flag that says that work should stop, and that tasks wait for.
///
/// Clones are the same token. A [`child_token`](Self::child_token) is cancelled with its parent, at
/// once and however many generations lie between, and can be cancelled without it. Once cancelled,
/// a token stays so.
///
/// A token does nothing to a task by itself: the task looks at it, or waits for it beside its work.
/// To look is one load. To cancel takes time in proportion to the tokens below; to make a child and
/// to drop one takes the same short time in a tree of any size, and a parent keeps nothing of a
/// child that was dropped but the room, some 50 bytes, for another one. All tokens of a tree share
/// one lock for that: where a branch of a million is cancelled, those who make, drop or cancel
/// others of the tree wait some 20 ms for it. It needs no runtime.
///
/// # Examples
///
/// ```
/// use mainspring::sync::CancelToken;
///
/// # mainspring::block_on(async {
/// let server = CancelToken::new();
/// let request = server.child_token();
/// let task = mainspring::spawn({
///     let request = request.clone();
///     async move {
///         request.cancelled().await;
///         "stopped"
///     }
/// });
/// server.cancel();
/// assert!(request.is_cancelled());
/// assert_eq!(task.await.unwrap(), "stopped");
/// # });
/// ```
#[derive(Clone)]
pub struct CancelToken {
    node: Arc<Node>,
}

impl CancelToken {
    /// Makes a token that only its clones can cancel.
    #[must_use]
    pub fn new() -> Self {
        Self { node: Node::root() }
    }

    /// Makes a token that is cancelled when this one is.
    ///
    /// Cancelling the child does nothing to this one. The child of a token that is cancelled, or
    /// is being cancelled by another thread, is cancelled from the start. A child outlives its
    /// parent, and is then still cancelled with the parents of that one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::CancelToken;
    ///
    /// let parent = CancelToken::new();
    /// let child = parent.child_token();
    /// child.cancel();
    /// assert!(!parent.is_cancelled());
    /// parent.cancel();
    /// assert!(parent.child_token().is_cancelled());
    /// ```
    #[must_use]
    pub fn child_token(&self) -> Self {
        Self { node: self.node.child() }
    }

    /// Cancels the token and everything below it, and wakes everybody who waits for any of them.
    ///
    /// Cancelling again does nothing. When this returns, all of them are cancelled, also where
    /// another thread was about it.
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// Whether the token was cancelled.
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.event().is_set()
    }

    /// Waits until the token is cancelled.
    ///
    /// It does not take part in the [budget](crate::coop): a task that has used up its own still
    /// sees that it is to stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled::new(self)
    }

    /// Waits until the token is cancelled, as [`cancelled`](Self::cancelled), in a future that
    /// keeps the token.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let token = mainspring::sync::CancelToken::new();
    /// let watcher = mainspring::spawn(token.clone().cancelled_owned());
    /// token.cancel();
    /// watcher.await.unwrap();
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing but the token in it.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn cancelled_owned(self) -> CancelledOwned {
        CancelledOwned::new(self)
    }

    /// Polls `future` until it is ready or the token is cancelled.
    ///
    /// In each poll the future comes first. What it has ready counts, however late: the output is
    /// `None` only if the token is cancelled and the future had to wait. So a future that is ready
    /// at once is `Some` under a token that was cancelled long ago; ask
    /// [`is_cancelled`](Self::is_cancelled) first where that is not wanted.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::CancelToken;
    /// use std::future::{pending, ready};
    ///
    /// # mainspring::block_on(async {
    /// let token = CancelToken::new();
    /// assert_eq!(token.run_until_cancelled(ready(1)).await, Some(1));
    /// token.cancel();
    /// assert_eq!(token.run_until_cancelled(pending::<i32>()).await, None);
    /// assert_eq!(token.run_until_cancelled(ready(2)).await, Some(2));
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// That of `future`: it is dropped where it stands, together with this. Awaiting it does that as
    /// soon as the token is cancelled.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was `None`; after it was `Some`, as `future` does.
    pub fn run_until_cancelled<F: Future>(&self, future: F) -> RunUntilCancelled<F, Cancelled<'_>> {
        RunUntilCancelled::new(future, self.cancelled())
    }

    /// Polls `future` until it is ready or the token is cancelled, as
    /// [`run_until_cancelled`](Self::run_until_cancelled), and keeps the token.
    ///
    /// # Cancel safety
    ///
    /// That of `future`.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was `None`; after it was `Some`, as `future` does.
    pub fn run_until_cancelled_owned<F: Future>(
        self,
        future: F,
    ) -> RunUntilCancelled<F, CancelledOwned> {
        RunUntilCancelled::new(future, self.cancelled_owned())
    }

    /// Cancels the token when the guard is dropped, which keeps the token.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::CancelToken;
    ///
    /// let token = CancelToken::new();
    /// drop(token.clone().drop_guard().disarm());
    /// assert!(!token.is_cancelled());
    /// drop(token.clone().drop_guard());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard::new(self)
    }

    /// Cancels the token when the guard is dropped, which borrows the token.
    pub fn drop_guard_ref(&self) -> DropGuardRef<'_> {
        DropGuardRef::new(self)
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
