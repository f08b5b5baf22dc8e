//! A number of tokens that borrowers take and give back, and that can be changed while they do.

mod acquire;
mod borrower;
mod error;
mod token;

pub use acquire::{Acquire, AcquireOwned};
pub use borrower::Borrower;
pub use error::{AcquireError, TryAcquireError};
pub use token::{LimiterToken, OwnedLimiterToken};

use super::waiters::{Queue, Standing, Waiter};
use crate::primitives::{Mutex, MutexGuard, const_fn};
use crate::util::{WakeList, contain};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A limit on how many borrowers do something at a time, which can be changed while they do it.
///
/// It is the `CapacityLimiter` of anyio. Each token is held by a [`Borrower`], by default the
/// calling task, and a borrower holds at most one: asking for a second is an error at once, where a
/// semaphore would let the task wait for itself. Who waits is served in the order in which they
/// came, and nobody takes a token past them.
///
/// Take it where the limit is to be watched and changed while the program runs, and where it counts
/// who works: [`statistics`](Self::statistics) names them. Take a [`Semaphore`](super::Semaphore)
/// where what is counted has no owner, or where one needs several at once: there a permit costs one
/// compare-exchange, here a token costs a lock and a place in an ordered map.
///
/// It stores something for each token that is held and each borrower that waits, and nothing else.
/// It needs no runtime; outside a task borrowers are to be named.
///
/// # Examples
///
/// ```
/// use mainspring::sync::CapacityLimiter;
///
/// static UPLOADS: CapacityLimiter = CapacityLimiter::new(2);
///
/// async fn upload() -> Result<(), mainspring::sync::limiter::AcquireError> {
///     let _token = UPLOADS.acquire().await?;
///     // ... at most two tasks at a time ...
///     Ok(())
/// }
///
/// # mainspring::block_on(async {
/// let tasks: Vec<_> = (0..10).map(|_| mainspring::spawn(upload())).collect();
/// UPLOADS.set_total_tokens(4); // from now on at most four
/// for task in tasks {
///     task.await.unwrap()?;
/// }
/// assert_eq!(UPLOADS.available_tokens(), 4);
/// # Ok::<(), mainspring::sync::limiter::AcquireError>(())
/// # }).unwrap();
/// ```
pub struct CapacityLimiter {
    books: Mutex<Books>,
}

/// Who has what.
///
/// Whenever the lock is free, nobody waits or no token is free.
struct Books {
    total: usize,
    // INVARIANT: how many in `borrowers` hold. More than `total` after that was lowered.
    borrowed: usize,
    borrowers: BTreeMap<Borrower, Has>,
    // INVARIANT: each one in it is in `borrowers`, as one that waits, by the name in its item.
    queue: Queue<Option<Borrower>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    /// A token.
    Token,
    /// A place in the queue.
    Place,
}

impl CapacityLimiter {
    const_fn! {
        /// Makes a limiter with this many tokens; without any, everybody waits until there are some.
        #[must_use]
        pub fn new(total_tokens: usize) -> Self {
            Self {
                books: Mutex::new(Books {
                    total: total_tokens,
                    borrowed: 0,
                    borrowers: BTreeMap::new(),
                    queue: Queue::new(),
                }),
            }
        }
    }

    /// How many borrowers may hold a token at a time.
    #[must_use]
    pub fn total_tokens(&self) -> usize {
        self.books.lock().total
    }

    /// Changes how many borrowers may hold a token at a time.
    ///
    /// Raising it serves those who wait, in their order, as far as it goes. Lowering it takes no
    /// token from anybody: nothing is given out until so many came back that fewer are held than
    /// the new number.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::CapacityLimiter;
    ///
    /// let limiter = CapacityLimiter::new(2);
    /// let one = limiter.try_acquire_on_behalf_of(1)?;
    /// let two = limiter.try_acquire_on_behalf_of(2)?;
    /// limiter.set_total_tokens(1);
    /// drop(one);
    /// assert!(limiter.try_acquire_on_behalf_of(3).is_err());
    /// drop(two);
    /// assert!(limiter.try_acquire_on_behalf_of(3).is_ok());
    /// # Ok::<(), mainspring::sync::limiter::TryAcquireError>(())
    /// ```
    pub fn set_total_tokens(&self, total_tokens: usize) {
        let mut books = self.books.lock();
        books.total = total_tokens;
        Self::serve(books);
    }

    /// How many tokens are held, those included that were handed to somebody who has not looked
    /// yet.
    #[must_use]
    pub fn borrowed_tokens(&self) -> usize {
        self.books.lock().borrowed
    }

    /// How many tokens are free; 0 also when more are held than there are now.
    #[must_use]
    pub fn available_tokens(&self) -> usize {
        let books = self.books.lock();
        books.total.saturating_sub(books.borrowed)
    }

    /// All figures, and who holds a token, at one moment.
    #[must_use]
    pub fn statistics(&self) -> LimiterStatistics {
        let books = self.books.lock();
        let holds = |(borrower, has): (&Borrower, &Has)| (*has == Has::Token).then_some(*borrower);
        LimiterStatistics {
            borrowed_tokens: books.borrowed,
            total_tokens: books.total,
            borrowers: books.borrowers.iter().filter_map(holds).collect(),
            tasks_waiting: books.borrowers.len() - books.borrowed,
        }
    }

    /// Waits for a token for the task that polls the future first.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::CapacityLimiter;
    /// use mainspring::sync::limiter::AcquireError;
    ///
    /// # mainspring::block_on(async {
    /// mainspring::spawn(async {
    ///     let limiter = CapacityLimiter::new(10);
    ///     let token = limiter.acquire().await?;
    ///     // A second one for the same task would be a deadlock sooner or later.
    ///     let error = limiter.acquire().await.unwrap_err();
    ///     assert_eq!(error, AcquireError::AlreadyBorrows(token.borrower()));
    ///     Ok::<(), AcquireError>(())
    /// })
    /// .await
    /// .unwrap()
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`AcquireError::AlreadyBorrows`] at once, when the task holds a token of this limiter or
    /// waits for one already, and [`AcquireError::NotInTask`] when it is not a task of this crate
    /// that polls.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue; a token that it was handed and has not
    /// told yet goes to the next.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire::new(self, None)
    }

    /// Waits for a token for somebody: a number of one's own, or a task by its id.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let limiter = mainspring::sync::CapacityLimiter::new(1);
    /// let connection = 17;
    /// let token = limiter.acquire_on_behalf_of(connection).await?;
    /// assert_eq!(limiter.statistics().borrowers, [connection.into()]);
    /// # drop(token);
    /// # Ok::<(), mainspring::sync::limiter::AcquireError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`AcquireError::AlreadyBorrows`] at once, when this borrower holds a token of this limiter or
    /// waits for one already.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_on_behalf_of(&self, borrower: impl Into<Borrower>) -> Acquire<'_> {
        Acquire::new(self, Some(borrower.into()))
    }

    /// As [`acquire`](Self::acquire), with a token that keeps the limiter alive.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_owned(self: Arc<Self>) -> AcquireOwned {
        AcquireOwned::new(self, None)
    }

    /// As [`acquire_on_behalf_of`](Self::acquire_on_behalf_of), with a token that keeps the limiter
    /// alive.
    ///
    /// # Errors
    ///
    /// As [`acquire_on_behalf_of`](Self::acquire_on_behalf_of).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_owned_on_behalf_of(
        self: Arc<Self>,
        borrower: impl Into<Borrower>,
    ) -> AcquireOwned {
        AcquireOwned::new(self, Some(borrower.into()))
    }

    /// Takes a token for the calling task if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::NoTokens`] when none is free, and otherwise as [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<LimiterToken<'_>, TryAcquireError> {
        self.try_acquire_on_behalf_of(Borrower::current().ok_or(TryAcquireError::NotInTask)?)
    }

    /// Takes a token for somebody if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::NoTokens`] when none is free, and otherwise as
    /// [`acquire_on_behalf_of`](Self::acquire_on_behalf_of).
    pub fn try_acquire_on_behalf_of(
        &self,
        borrower: impl Into<Borrower>,
    ) -> Result<LimiterToken<'_>, TryAcquireError> {
        let borrower = borrower.into();
        self.try_take(borrower)?;
        Ok(LimiterToken::new(self, borrower))
    }

    /// As [`try_acquire`](Self::try_acquire), with a token that keeps the limiter alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedLimiterToken, TryAcquireError> {
        self.try_acquire_owned_on_behalf_of(Borrower::current().ok_or(TryAcquireError::NotInTask)?)
    }

    /// As [`try_acquire_on_behalf_of`](Self::try_acquire_on_behalf_of), with a token that keeps the
    /// limiter alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_on_behalf_of`](Self::try_acquire_on_behalf_of).
    pub fn try_acquire_owned_on_behalf_of(
        self: Arc<Self>,
        borrower: impl Into<Borrower>,
    ) -> Result<OwnedLimiterToken, TryAcquireError> {
        let borrower = borrower.into();
        self.try_take(borrower)?;
        Ok(OwnedLimiterToken::new(self, borrower))
    }

    fn try_take(&self, borrower: Borrower) -> Result<(), TryAcquireError> {
        match self.books.lock().take(borrower) {
            Taken::Yes => Ok(()),
            Taken::No => Err(TryAcquireError::NoTokens),
            Taken::Already => Err(TryAcquireError::AlreadyBorrows(borrower)),
        }
    }

    /// Takes the token of `borrower` back.
    fn release(&self, borrower: Borrower) {
        let mut books = self.books.lock();
        let had = books.borrowers.remove(&borrower);
        debug_assert_eq!(had, Some(Has::Token));
        books.borrowed -= 1;
        Self::serve(books);
    }

    /// Gives the tokens that are free to those who wait, in their order.
    fn serve(mut guard: MutexGuard<'_, Books>) {
        let mut wakers = WakeList::new();
        let books = &mut *guard;
        while books.borrowed < books.total {
            let Some(borrower) = books.queue.with_front(|borrower| *borrower) else { break };
            books.queue.resolve_front(Standing::Granted, &mut wakers);
            books.borrowed += 1;
            if let Some(borrower) = borrower {
                books.borrowers.insert(borrower, Has::Token);
            }
        }
        drop(guard);
        wakers.wake_all();
    }

    /// Takes a token for `borrower`, or puts `waiter` into the queue.
    ///
    /// # Safety
    ///
    /// The waiter is new, and is used with this limiter only. If this returns `Pending`,
    /// [`cancel`](Self::cancel) is called before it is dropped.
    unsafe fn begin(
        &self,
        waiter: Pin<&Waiter<Option<Borrower>>>,
        borrower: Borrower,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        let mut taken = self.books.lock().take(borrower);
        if taken == Taken::No {
            let waker = cx.waker().clone();
            let mut books = self.books.lock();
            taken = books.take(borrower);
            if taken == Taken::No {
                books.borrowers.insert(borrower, Has::Place);
                let prepare = |item: &mut Option<Borrower>| *item = Some(borrower);
                // SAFETY: the waiter is new, has only this queue, and leaves it in `cancel`.
                unsafe { waiter.enqueue(&mut books.queue, waker, prepare) };
                return Poll::Pending;
            }
            drop(books);
            // Only now, as dropping a waker runs code of its owner; a panic there must not cost
            // the token.
            contain(|| drop(waker));
        }
        Poll::Ready(if taken == Taken::Yes {
            Ok(())
        } else {
            Err(AcquireError::AlreadyBorrows(borrower))
        })
    }

    /// Gives back what a waiter has that will not be polled again.
    ///
    /// # Safety
    ///
    /// The waiter is used with this limiter only, and was queued in it for `borrower`.
    unsafe fn cancel(&self, waiter: Pin<&Waiter<Option<Borrower>>>, borrower: Borrower) {
        let mut books = self.books.lock();
        // SAFETY: it was queued in this queue.
        let waker = unsafe { waiter.leave(&mut books.queue) };
        if waker.is_some() {
            books.borrowers.remove(&borrower);
            drop(books);
            drop(waker);
        } else {
            // Nobody looked at the token that it was handed.
            drop(books);
            self.release(borrower);
        }
    }
}

/// What came of an attempt to take a token without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    /// None is free, or others came first.
    No,
    /// The borrower has one, or waits for one.
    Already,
}

impl Books {
    fn take(&mut self, borrower: Borrower) -> Taken {
        if self.borrowers.contains_key(&borrower) {
            return Taken::Already;
        }
        // Where somebody waits, none is free.
        if self.borrowed >= self.total {
            return Taken::No;
        }
        self.borrowed += 1;
        self.borrowers.insert(borrower, Has::Token);
        Taken::Yes
    }
}

impl fmt::Debug for CapacityLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.books.lock();
        let (borrowed, total) = (books.borrowed, books.total);
        drop(books);
        f.debug_struct("CapacityLimiter")
            .field("borrowed_tokens", &borrowed)
            .field("total_tokens", &total)
            .finish_non_exhaustive()
    }
}

/// What [`CapacityLimiter::statistics`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimiterStatistics {
    /// How many tokens are held. More than there are, when that number was lowered meanwhile.
    pub borrowed_tokens: usize,
    /// How many tokens there are.
    pub total_tokens: usize,
    /// Who holds a token, in the order of their names.
    pub borrowers: Vec<Borrower>,
    /// How many wait for one.
    pub tasks_waiting: usize,
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
