//! A value that whoever asks first makes, asynchronously.

// Why this is sound.
//
// The state goes `EMPTY` → `BUSY` → `FULL`, from `BUSY` back to `EMPTY` when an attempt ends without
// a value, or from `EMPTY` to `FULL` at once by `set`. It is written only under the lock of the
// queue. A cell whose value was taken through `&mut` is a new one.
//
// *Who may touch the value.* Before `FULL` it is reached only under the lock, by one who saw there
// that it is not `FULL`. From `FULL` on it is only lent out as `&T`, until `&mut` takes it.
//
// *Order.* `FULL` is stored with Release after the value was written, and read with Acquire by who
// goes to the value without the lock.
//
// *Whose turn it is.* `BUSY` means that there is exactly one `Turn`, or one waiter in the queue was
// granted one that it has not taken out yet; but in a reserved cell, which starts `BUSY`, nobody has
// one. A turn that ends without a value goes to the one that waits longest, and the state stays
// `BUSY`; where nobody waits it becomes `EMPTY`. So the queue is empty whenever the state is not
// `BUSY` and the lock is free.
//
// No code of the user runs under the lock: a value is moved there, never made, dropped or compared.

use crate::coop;
use crate::primitives::{AtomicU32, Mutex, MutexGuard, Ordering, UnsafeCell, const_fn};
use crate::sync::waiters::{Queue, Standing, Waiter};
use crate::util::{WakeList, drop_quietly};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// There is no value, and nobody makes one.
const EMPTY: u32 = 0;
/// Somebody makes a value.
const BUSY: u32 = 1;
/// There is a value.
const FULL: u32 = 2;

/// A value that is made once, by the first that asks, while the others wait.
///
/// It is [`std::sync::OnceLock`] for values that are made asynchronously. One attempt is made at a
/// time; when it fails, panics or is dropped, the one that waits longest makes its own.
///
/// To ask for a value that is there costs one load. It needs no runtime.
///
/// # Examples
///
/// ```
/// use mainspring::sync::OnceCell;
///
/// static CONFIG: OnceCell<String> = OnceCell::new();
///
/// async fn config() -> &'static str {
///     CONFIG.get_or_init(async || "read from somewhere".to_string()).await
/// }
///
/// # mainspring::block_on(async {
/// assert_eq!(config().await, "read from somewhere");
/// assert_eq!(CONFIG.get().map(String::as_str), Some("read from somewhere"));
/// # });
/// ```
pub struct OnceCell<T> {
    // INVARIANT: `EMPTY`, `BUSY` or `FULL`; see above.
    state: AtomicU32,
    // INVARIANT: empty unless the state is `BUSY`, whenever the lock is free.
    queue: Mutex<Queue<()>>,
    // INVARIANT: `Some` exactly when the state is `FULL`.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `&OnceCell<T>` lends `&T` to every thread (`T: Sync`), and moves a `T` from the thread that
// sets it to the one that drops it (`T: Send`).
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}
// The value is `Some` or `None` whenever user code can panic, and otherwise only shared.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_fn! {
        /// Makes a cell without a value.
        #[must_use]
        pub fn new() -> Self {
            Self {
                state: AtomicU32::new(EMPTY),
                queue: Mutex::new(Queue::new()),
                value: UnsafeCell::new(None),
            }
        }
    }

    const_fn! {
        /// Makes a cell with this value, if it is one.
        ///
        /// # Examples
        ///
        /// ```
        /// use mainspring::sync::OnceCell;
        ///
        /// static ANSWER: OnceCell<u32> = OnceCell::new_with(Some(42));
        /// assert_eq!(ANSWER.get(), Some(&42));
        /// ```
        #[must_use]
        pub fn new_with(value: Option<T>) -> Self {
            let state = if value.is_some() { FULL } else { EMPTY };
            Self {
                state: AtomicU32::new(state),
                queue: Mutex::new(Queue::new()),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Whether there is a value.
    #[inline]
    #[must_use]
    pub fn initialized(&self) -> bool {
        self.state.load(Ordering::Acquire) == FULL
    }

    /// The value, if there is one.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if !self.initialized() {
            return None;
        }
        // SAFETY: the cell is `FULL`, so the value is only shared as long as `self` is.
        self.value.with(|value| unsafe { (*value).as_ref() })
    }

    /// The value, if there is one, to be changed.
    #[must_use]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: `&mut self`: nobody else reaches the cell.
        self.value.with_mut(|value| unsafe { (*value).as_mut() })
    }

    /// Sets the value, unless there is one or somebody makes one.
    ///
    /// # Errors
    ///
    /// [`SetError`] gives the value back, and says which of the two it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::OnceCell;
    /// use mainspring::sync::once::SetError;
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(SetError::AlreadyInitialized(2)));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        let queue = self.queue.lock();
        match self.state.load(Ordering::Relaxed) {
            EMPTY => {
                self.fill(&queue, value);
                Ok(())
            }
            BUSY => Err(SetError::Initializing(value)),
            _ => Err(SetError::AlreadyInitialized(value)),
        }
    }

    /// The value; where there is none, the one that `init` makes.
    ///
    /// While somebody else makes one, it waits for that. Where that attempt fails, it is its turn
    /// when all that came before had theirs, and only then `init` is called.
    ///
    /// An `init` that waits for this same cell waits for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let cell = mainspring::sync::OnceCell::new();
    /// let first = cell.get_or_init(async || 1);
    /// let second = cell.get_or_init(async || 2);
    /// // The futures do nothing before they are polled: this one is the first.
    /// assert_eq!(second.await, &2);
    /// assert_eq!(first.await, &2);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue. Where it is this one that makes the
    /// value, the future of `init` is dropped, and it is the next one's turn.
    ///
    /// # Panics
    ///
    /// When `init` panics; the cell is without a value then, and it is the next one's turn.
    pub async fn get_or_init<F, Fut>(&self, init: F) -> &T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let sure = || async { Ok::<T, Infallible>(init().await) };
        match self.get_or_try_init(sure).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value; where there is none, the one that `init` makes if it can.
    ///
    /// As [`get_or_init`](Self::get_or_init) otherwise.
    ///
    /// # Errors
    ///
    /// The error of `init`; the cell is without a value then, and it is the next one's turn.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let cell = mainspring::sync::OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(async || "x".parse::<u32>()).await.ok(), None);
    /// assert_eq!(cell.get_or_try_init(async || "7".parse::<u32>()).await, Ok(&7));
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    ///
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_try_init<E, F, Fut>(&self, init: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let asking = Asking { cell: Some(self), waiter: Waiter::new(()) };
        if let Some(turn) = asking.await {
            turn.end_with(init().await?);
        }
        Ok(self.get_full())
    }

    /// Takes the value out, and leaves the cell without one.
    pub fn take(&mut self) -> Option<T> {
        // A new cell, as a future that was leaked may still stand in the queue, or have the turn.
        std::mem::take(self).into_inner()
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    const_fn! {
        /// Makes a cell for a value that [`complete`](Self::complete) brings: nobody gets a turn to
        /// make it.
        pub(super) fn reserved() -> Self {
            Self {
                state: AtomicU32::new(BUSY),
                queue: Mutex::new(Queue::new()),
                value: UnsafeCell::new(None),
            }
        }
    }

    /// Stores the value, and wakes all that wait; gives it back where there is one already.
    ///
    /// The caller has the turn, or the cell is [`reserved`](Self::reserved).
    pub(super) fn complete(&self, value: T) -> Result<(), T> {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        if self.state.load(Ordering::Relaxed) == FULL {
            return Err(value);
        }
        self.fill(&queue, value);
        while queue.resolve_front(Standing::Refused, &mut wakers) {}
        drop(queue);
        wakers.wake_all();
        Ok(())
    }

    /// Waits for the value, in a [`reserved`](Self::reserved) cell.
    pub(super) async fn wait(&self) -> &T {
        let turn = Asking { cell: Some(self), waiter: Waiter::new(()) }.await;
        debug_assert!(turn.is_none());
        self.get_full()
    }

    fn get_full(&self) -> &T {
        match self.get() {
            Some(value) => value,
            None => unreachable!("the cell was full, and `&self` keeps it so"),
        }
    }

    /// Stores the value. `_queue` is the guard of this cell's queue; the state is not `FULL`.
    fn fill(&self, _queue: &MutexGuard<'_, Queue<()>>, value: T) {
        self.value.with_mut(|slot| {
            // SAFETY: the lock is held, and the state is not `FULL`. What is there is `None`, so
            // nothing is dropped.
            let old = unsafe { (*slot).replace(value) };
            debug_assert!(old.is_none());
            std::mem::forget(old);
        });
        self.state.store(FULL, Ordering::Release);
    }

    /// Gives the turn to the one that waits longest, or to whoever comes next.
    fn pass_turn(&self, mut queue: MutexGuard<'_, Queue<()>>) {
        let mut wakers = WakeList::new();
        if !queue.resolve_front(Standing::Granted, &mut wakers) {
            self.state.store(EMPTY, Ordering::Relaxed);
        }
        drop(queue);
        wakers.wake_all();
    }
}

/// The right to make the value. Dropped without one, it goes to the next.
struct Turn<'a, T> {
    // INVARIANT: the state is `BUSY`, by this.
    cell: &'a OnceCell<T>,
}

impl<T> Turn<'_, T> {
    fn end_with(self, value: T) {
        let completed = ManuallyDrop::new(self).cell.complete(value);
        debug_assert!(completed.is_ok(), "only who has the turn fills the cell");
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.cell.pass_turn(self.cell.queue.lock());
    }
}

/// Waits for a turn (`Granted`), or for a value (`Refused`, as no turn will come).
struct Asking<'a, T> {
    // INVARIANT: `None` once the wait is over. The waiter is used with the queue of this cell only.
    cell: Option<&'a OnceCell<T>>,
    // INVARIANT: pinned with the future.
    waiter: Waiter<()>,
}

impl<'a, T> Asking<'a, T> {
    /// Takes a turn, sees a value, or waits for either.
    ///
    /// # Safety
    ///
    /// The waiter is new, is used with this cell only, and leaves its queue before it is dropped.
    unsafe fn begin(
        cell: &'a OnceCell<T>,
        waiter: Pin<&Waiter<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Standing> {
        if cell.initialized() {
            return Poll::Ready(Standing::Refused);
        }
        let waker = cx.waker().clone();
        let mut queue = cell.queue.lock();
        let standing = match cell.state.load(Ordering::Acquire) {
            EMPTY => {
                cell.state.store(BUSY, Ordering::Relaxed);
                Standing::Granted
            }
            BUSY => {
                // SAFETY: passed on to the caller.
                unsafe { waiter.enqueue(&mut queue, waker, |()| {}) };
                return Poll::Pending;
            }
            _ => Standing::Refused,
        };
        drop(queue);
        // Only now, as dropping a waker runs code of its owner.
        drop_quietly(Some(waker));
        Poll::Ready(standing)
    }
}

impl<'a, T> Future for Asking<'a, T> {
    type Output = Option<Turn<'a, T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing is moved out of the future, and the waiter is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(cell) = this.cell else { return Poll::Ready(None) };
        // SAFETY: pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let standing = ready!(match waiter.standing() {
            // SAFETY: the waiter is new, has this cell only, and leaves it in `drop`.
            Standing::New => unsafe { Self::begin(cell, waiter, cx) },
            // SAFETY: it was queued in this queue.
            _ => unsafe { waiter.poll_queued(&cell.queue, cx) },
        });
        this.cell = None;
        charge.made_progress();
        Poll::Ready((standing == Standing::Granted).then(|| Turn { cell }))
    }
}

impl<T> Drop for Asking<'_, T> {
    fn drop(&mut self) {
        let Some(cell) = self.cell else { return };
        if matches!(self.waiter.standing(), Standing::New | Standing::Refused) {
            return;
        }
        // SAFETY: the future was pinned when the waiter was queued, and is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let mut queue = cell.queue.lock();
        // SAFETY: the waiter was queued in this queue.
        let waker = unsafe { waiter.leave(&mut queue) };
        if waker.is_none() && waiter.standing() == Standing::Granted {
            // Nobody looked at the turn that it was given.
            cell.pass_turn(queue);
        } else {
            drop(queue);
            drop_quietly(waker);
        }
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self::new_with(Some(value))
    }
}

/// A cell with a clone of the value, or without one.
impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell").field("value", &self.get()).finish_non_exhaustive()
    }
}

/// Why [`OnceCell::set`] did not set the value, which is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is a value already: [`get`](OnceCell::get) it.
    AlreadyInitialized(T),
    /// Somebody makes a value: wait for it with [`get_or_init`](OnceCell::get_or_init).
    Initializing(T),
}

impl<T> SetError<T> {
    /// The value that was not set.
    pub fn into_inner(self) -> T {
        match self {
            Self::AlreadyInitialized(value) | Self::Initializing(value) => value,
        }
    }
}

impl<T> fmt::Debug for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitialized(_) => "AlreadyInitialized(..)",
            Self::Initializing(_) => "Initializing(..)",
        })
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitialized(_) => "the cell has a value already",
            Self::Initializing(_) => "somebody makes the value of the cell, wait for it",
        })
    }
}

impl<T> std::error::Error for SetError<T> {}
