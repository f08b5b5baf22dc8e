//! One value from one task to another.
//!
//! [`channel`] makes two ends: a [`Sender`], which is used up by sending, and a [`Receiver`], which
//! is a future of the value.

// Why this is sound.
//
// The two handles share one allocation, a `Shared`: a state word, a cell for the value, and a
// slot for the waker of either side. Who may touch what follows from the word (see `state`):
//
// - **The value** is the sender's until `VALUE` is set, and the receiver's from then on. The
//   sender writes it before it sets `VALUE`; should the receiver turn out to be closed, `VALUE` is
//   not set, and the sender takes the value back.
// - **A slot** holds a waker exactly while its bit in the word is set. Only its own side writes a
//   slot, and only while the bit is clear. Whoever clears the bit owns the waker from then on. The
//   other side copies the two words of a waker out *before* it tries to clear the bit, and throws
//   the copy away if that fails: both words are atomic, so that reading them while they change is
//   no race, and the word carries a generation that rises with each waker put into a slot, so that
//   a compare-exchange which succeeds proves that the copy is whole and current.
// - **The allocation** belongs to the side that is left. A sender is gone once `VALUE` or
//   `TX_GONE` is set, a receiver once `RX_GONE` is; each touches nothing of it afterwards. Who
//   finds the other gone frees it.
//
// So sending is one read-modify-write, whether or not somebody waits; waiting is one; and
// receiving what is there is none at all.
//
// Wakers and values that are dropped or woken run code of the user. That happens only after the
// word says what is so, with what is dropped moved out of the allocation: a panic there loses
// nothing and frees nothing twice.

mod state;

use super::blocking::block_on;
use crate::coop;
use crate::primitives::UnsafeCell;
use crate::util::wake_quietly;
use state::{Closing, Polled, Registered, Sent, State};
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, ready};

/// Makes a channel for one value.
///
/// It makes one allocation, which holds the value, and needs no runtime.
///
/// # Examples
///
/// ```
/// use mainspring::sync::oneshot;
///
/// # mainspring::block_on(async {
/// let (sender, receiver) = oneshot::channel();
/// std::thread::spawn(move || sender.send("done"));
/// assert_eq!(receiver.await, Ok("done"));
/// # });
/// ```
///
/// A sender that goes without a word is an error at the other end:
///
/// ```
/// use mainspring::sync::oneshot;
///
/// # mainspring::block_on(async {
/// let (sender, receiver) = oneshot::channel::<u32>();
/// drop(sender);
/// assert_eq!(receiver.await, Err(oneshot::RecvError));
/// # });
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared =
        Box::new(Shared { state: State::new(), value: UnsafeCell::new(MaybeUninit::uninit()) });
    let shared = NonNull::from(Box::leak(shared));
    (Sender { shared }, Receiver { shared: Some(shared) })
}

/// The end of a [`channel`] that a value goes into.
pub struct Sender<T> {
    // INVARIANT: alive for as long as this exists: neither `VALUE` nor `TX_GONE` is set.
    shared: NonNull<Shared<T>>,
}

/// The end of a [`channel`] that the value comes out of: a future of it.
///
/// # Errors
///
/// It resolves to [`RecvError`] when the sender was dropped without sending, or the receiver was
/// [closed](Self::close) before a value was sent.
///
/// # Panics
///
/// When it is polled again after it was ready, or after [`try_recv`](Self::try_recv) took the value.
///
/// # Cancel safety
///
/// A value that was sent and not received is dropped with the receiver. Await `&mut receiver` to
/// come back to it later.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Receiver<T> {
    // INVARIANT: alive while it is `Some`: `RX_GONE` is not set. `None` once the outcome was given
    // out.
    shared: Option<NonNull<Shared<T>>>,
}

struct Shared<T> {
    state: State,
    // INVARIANT: initialised exactly while `VALUE` is set and the receiver has not read it, or
    // while the sender is inside `send`.
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value goes from the thread of the sender to that of the receiver, hence `T: Send`;
// everything else that is shared is atomic.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: `&Sender` reads the state word and nothing else.
unsafe impl<T: Send> Sync for Sender<T> {}
// SAFETY: as for the sender.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: `&Receiver` reaches nothing.
unsafe impl<T: Send> Sync for Receiver<T> {}

// A panic leaves neither end half-done, and no reference to the value is ever shared.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends the value, and wakes the receiver.
    ///
    /// It does not wait, and may be called anywhere. That it succeeds does not mean that the value
    /// is received: the receiver may be dropped with it.
    ///
    /// # Errors
    ///
    /// The value comes back when the receiver is closed or gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = mainspring::sync::oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send(7), Err(7));
    /// ```
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: the sender is not gone before `state.send` says so.
        let shared = unsafe { this.shared.as_ref() };
        // SAFETY: `VALUE` is not set, so the cell is the sender's.
        shared.value.with_mut(|cell| unsafe { (*cell).write(value) });
        match shared.state.send() {
            Sent::Delivered { receiver, own } => {
                // The receiver may have freed the allocation by now.
                if let Some(waker) = receiver {
                    wake_quietly(waker);
                }
                drop(own);
                Ok(())
            }
            Sent::Closed => {
                // SAFETY: `VALUE` was not set, so the cell is still the sender's, and it was
                // written above.
                let value = shared.value.with_mut(|cell| unsafe { (*cell).assume_init_read() });
                drop(ManuallyDrop::into_inner(this));
                Err(value)
            }
        }
    }

    /// Whether the receiver is closed or gone, so that sending would fail.
    #[inline]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().is_closed()
    }

    /// Waits until the receiver is closed or gone.
    ///
    /// For work that is worth doing only as long as somebody waits for its result.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (mut sender, receiver) = mainspring::sync::oneshot::channel::<u32>();
    /// drop(receiver);
    /// sender.closed().await;
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// As [`closed`](Self::closed), for use in a `poll` function: where it returns `Pending`, the
    /// task of `cx` is woken when the receiver goes. Only the task of the last call is.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let charge = ready!(coop::poll_proceed(cx));
        match self.state().register_sender(cx.waker()) {
            Registered::Waiting => Poll::Pending,
            Registered::TooLate => {
                charge.made_progress();
                Poll::Ready(())
            }
        }
    }

    #[inline]
    fn state(&self) -> &State {
        // SAFETY: alive, as the sender is not gone.
        unsafe { &self.shared.as_ref().state }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let gone = self.state().sender_gone();
        if gone.last {
            // SAFETY: both sides are gone, and the value was never sent.
            unsafe { free(self.shared) };
        }
        if let Some(waker) = gone.peer {
            wake_quietly(waker);
        }
        drop(gone.own);
    }
}

impl<T> Receiver<T> {
    /// Takes the value if it was sent, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] as long as a value may come, and [`TryRecvError::Closed`] when none
    /// will: the sender is gone, the receiver is closed, or the value was taken already.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::oneshot::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(7)?;
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// # Ok::<(), i32>(())
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(shared) = self.shared else { return Err(TryRecvError::Closed) };
        // SAFETY: alive, as the receiver is not gone.
        match unsafe { &shared.as_ref().state }.poll() {
            Polled::Value => Ok(self.take(shared)),
            Polled::Never => Err(TryRecvError::Closed),
            Polled::NotYet => Err(TryRecvError::Empty),
        }
    }

    /// Blocks the thread until the value is there.
    ///
    /// For threads that run no tasks, and closures of [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Errors
    ///
    /// [`RecvError`] when the sender was dropped without sending, or the receiver was
    /// [closed](Self::close) before a value was sent.
    ///
    /// # Panics
    ///
    /// Inside a task of this crate, or the future of a `block_on`: await the receiver there. After
    /// the value was taken, as awaiting it would.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = mainspring::sync::oneshot::channel();
    /// let thread = std::thread::spawn(move || receiver.blocking_recv());
    /// sender.send(7)?;
    /// assert_eq!(thread.join().unwrap(), Ok(7));
    /// # Ok::<(), i32>(())
    /// ```
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        block_on(self, "oneshot::Receiver::blocking_recv", "await the receiver")
    }

    /// Whether no value is there to be received now: none was sent yet, or it was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // SAFETY: alive, as the receiver is not gone.
        self.shared.is_none_or(|shared| unsafe { &shared.as_ref().state }.poll() != Polled::Value)
    }

    /// Whether the receiver gave its outcome, so that it must not be polled any more.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.shared.is_none()
    }

    /// Lets no value come any more: from now on, sending fails.
    ///
    /// A value that was sent before can still be received. Closing again does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(7), Err(7));
    /// assert!(receiver.await.is_err());
    /// # });
    /// ```
    pub fn close(&mut self) {
        let Some(shared) = self.shared else { return };
        // SAFETY: alive, as the receiver is not gone.
        let closed = unsafe { &shared.as_ref().state }.close(Closing::Close);
        if let Some(waker) = closed.peer {
            wake_quietly(waker);
        }
        drop(closed.own);
    }

    /// Reads the value, and frees the allocation.
    ///
    /// `shared` is what `self` holds, and `VALUE` is set in it.
    #[inline]
    fn take(&mut self, shared: NonNull<Shared<T>>) -> T {
        self.shared = None;
        // SAFETY: `VALUE` is set, so the cell is full and the receiver's; as `self` forgot it,
        // nobody reads it again. The sender is gone, hence the allocation is the receiver's too.
        unsafe {
            let value = shared.as_ref().value.with(|cell| (*cell).assume_init_read());
            free(shared);
            value
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        let shared = self.shared.expect("a oneshot receiver was polled after it was ready");
        // SAFETY: alive, as the receiver is not gone.
        let state = unsafe { &shared.as_ref().state };
        let polled = match state.poll() {
            Polled::NotYet => match state.register_receiver(cx.waker()) {
                Registered::Waiting => return Poll::Pending,
                Registered::TooLate => state.poll(),
            },
            polled => polled,
        };
        charge.made_progress();
        Poll::Ready(match polled {
            Polled::Value => Ok(self.take(shared)),
            Polled::Never | Polled::NotYet => {
                // The drop lets go of the rest.
                drop(Self { shared: self.shared.take() });
                Err(RecvError)
            }
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        // SAFETY: alive, as the receiver is not gone yet.
        let state = unsafe { &shared.as_ref().state };
        if state.poll() == Polled::Value {
            // The allocation is freed before the value is dropped, which may panic.
            drop(self.take(shared));
            return;
        }
        let gone = state.close(Closing::Drop);
        if gone.last {
            // A value that was sent between the two looks is ours to drop.
            let sent = state.poll() == Polled::Value;
            // SAFETY: both sides are gone. The cell is full if `VALUE` is set, and the receiver's.
            let value = unsafe {
                let value =
                    sent.then(|| shared.as_ref().value.with(|cell| (*cell).assume_init_read()));
                free(shared);
                value
            };
            drop(value);
        }
        if let Some(waker) = gone.peer {
            wake_quietly(waker);
        }
        drop(gone.own);
    }
}

/// # Safety
///
/// Both sides are gone, and the value was read or never sent.
unsafe fn free<T>(shared: NonNull<Shared<T>>) {
    // SAFETY: it came from a box in `channel`, and nobody else has it any more.
    drop(unsafe { Box::from_raw(shared.as_ptr()) });
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("is_done", &self.shared.is_none()).finish_non_exhaustive()
    }
}

/// No value will come: the sender was dropped without sending, or the receiver was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the oneshot sender was dropped without sending a value")
    }
}

impl std::error::Error for RecvError {}

/// Why no value was received without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None was sent yet: try later, or await the receiver.
    Empty,
    /// None will come: the sender is gone, the receiver is closed, or the value was taken.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no value was sent yet, try later or await the oneshot receiver",
            Self::Closed => "no value will come through this oneshot channel",
        })
    }
}

impl std::error::Error for TryRecvError {}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
