//! Values that belong to a future, for as long as it is polled or dropped.
//!
//! # Safety essay
//!
//! The thread has a list of [`Frame`]s, one for each scope that it is in, each on the stack of the
//! [`within`] that made it. `within` puts its frame on top, calls a closure, and takes it away again,
//! also when the closure unwinds. So the list is a stack as the calls are: each frame in it is alive,
//! and the value it points to is borrowed for as long. Nothing but `within` changes the list, and
//! nobody else holds a frame.
//!
//! A frame knows the type of its value by its key, which is the address of the `LocalKey` together
//! with the type. The address alone would not do, as the compiler may give one to several constants
//! that look alike.
//!
//! The value never leaves its thread by this: the list is the thread's own. A future that has one may
//! go to another thread between two polls if the value is `Send`, like anything else it holds.

use super::cell::Header;
use super::current;
use crate::primitives::local;
use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

/// Declares task-locals: statics of type [`LocalKey`](crate::task::LocalKey).
///
/// # Examples
///
/// ```
/// mainspring::task_local! {
///     /// The number of the request that is being worked on.
///     pub static REQUEST_ID: u64;
///     static USER: String;
/// }
///
/// # mainspring::block_on(async {
/// let answer = REQUEST_ID.scope(7, async {
///     mainspring::yield_now().await;
///     REQUEST_ID.with(|id| format!("request {id}"))
/// });
/// assert_eq!(answer.await, "request 7");
/// assert!(USER.try_with(|_| ()).is_err());
/// # });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$meta:meta])* $vis:vis static $name:ident: $ty:ty);* $(;)?) => {$(
        $(#[$meta])*
        $vis static $name: $crate::task::LocalKey<$ty> = $crate::task::LocalKey::__new();
    )*};
}

/// A value that a future has while it is polled; declared by [`task_local!`](crate::task_local).
///
/// It is set by [`scope`](Self::scope), and seen by the code that the scope encloses. Scopes nest, of
/// the same key and of others; the innermost counts. What is spawned within a scope does not see it:
/// a task sees only scopes that it entered itself. Give it to a child by a scope of its own, as in
/// `spawn(KEY.scope(value, future))`, or use [`Builder::data`](super::Builder::data), which is
/// inherited.
///
/// # Cost
///
/// A scope costs a few instructions per poll and no allocation; code without scopes pays nothing.
/// Looking a value up takes a step for each scope that lies between. There is no limit to their number.
pub struct LocalKey<T: 'static> {
    /// Not of size zero, so that each static has an address of its own.
    _address: u8,
    _value: PhantomData<fn() -> T>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new() -> Self {
        Self { _address: 0, _value: PhantomData }
    }

    /// A future that runs `future` with `value` set, while it polls it and while it drops it.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// mainspring::task_local! { static DEPTH: u32; }
    ///
    /// # mainspring::block_on(async {
    /// let inner = DEPTH.scope(2, async { DEPTH.get() });
    /// let outer = DEPTH.scope(1, async { (inner.await, DEPTH.get()) });
    /// assert_eq!(outer.await, (2, 1));
    /// # });
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> ScopedFuture<T, F> {
        ScopedFuture { key: self, value, future: Some(future) }
    }

    /// Calls `f` with `value` set.
    ///
    /// # Examples
    ///
    /// ```
    /// mainspring::task_local! { static USER: &'static str; }
    ///
    /// fn greeting() -> String {
    ///     USER.try_with(|user| format!("hello {user}")).unwrap_or_else(|_| "who is it?".into())
    /// }
    /// assert_eq!(USER.sync_scope("ann", greeting), "hello ann");
    /// assert_eq!(greeting(), "who is it?");
    /// ```
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        within(self, &value, f)
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// Where no scope of this key encloses the call; [`try_with`](Self::try_with) answers an error
    /// there.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("LocalKey<{}>: {error}", type_name::<T>()),
        }
    }

    /// Calls `f` with the value, if a scope of this key encloses the call.
    ///
    /// # Errors
    ///
    /// [`NotInScope`] otherwise; `f` is not called then.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, NotInScope> {
        let value = find(self.identity()).ok_or(NotInScope)?;
        // SAFETY: the frame that was found lies above on this thread's stack, and the value is borrowed
        // until its `within` ends, which is after `f` does; the key says that it is a `T`.
        Ok(f(unsafe { value.cast::<T>().as_ref() }))
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    fn identity(&'static self) -> Identity {
        Identity { address: ptr::from_ref(self).cast(), value: TypeId::of::<T>() }
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey<{}>", type_name::<T>())
    }
}

/// No scope of this task-local encloses the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInScope;

impl fmt::Display for NotInScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no scope of this task-local encloses the call: use it inside its scope() or \
             sync_scope(), and give a spawned task a scope of its own",
        )
    }
}

impl Error for NotInScope {}

/// The future of [`LocalKey::scope`].
///
/// The inner future is dropped as soon as it is ready; the value with this.
#[must_use = "futures do nothing unless polled"]
pub struct ScopedFuture<T: 'static, F> {
    key: &'static LocalKey<T>,
    value: T,
    /// INVARIANT: pinned when this is; dropped in its place, never moved.
    future: Option<F>,
}

impl<T: 'static, F: Unpin> Unpin for ScopedFuture<T, F> {}

impl<T: 'static, F: Future> Future for ScopedFuture<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` stays in its place, as its invariant says; the rest is not pinned.
        let Self { key, value, future } = unsafe { self.get_unchecked_mut() };
        within(*key, value, || {
            let inner = future.as_mut().expect("a scoped future was polled after it was ready");
            // SAFETY: by its invariant it is pinned as we are.
            let polled = unsafe { Pin::new_unchecked(inner) }.poll(cx);
            if polled.is_ready() {
                *future = None;
            }
            polled
        })
    }
}

impl<T: 'static, F> Drop for ScopedFuture<T, F> {
    fn drop(&mut self) {
        let Self { key, value, future } = self;
        if future.is_some() {
            within(*key, value, || *future = None);
        }
    }
}

impl<T: 'static, F> fmt::Debug for ScopedFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedFuture").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What tells a key from all others.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    address: *const (),
    value: TypeId,
}

/// One scope that the thread is in.
struct Frame {
    key: Identity,
    value: NonNull<()>,
    /// The task that entered the scope; others that are polled further down do not see it.
    task: Option<NonNull<Header>>,
    below: *const Frame,
}

local! {
    /// The innermost scope.
    ///
    /// INVARIANT: null, or a frame of a `within` further up on this thread's stack; so is `below`.
    static INNERMOST: Cell<*const Frame> = Cell::new(ptr::null());
}

/// Calls `f` in a scope of `key`.
///
/// While a thread ends, and its thread-locals are gone, `f` is called without.
#[inline]
fn within<T: 'static, R>(key: &'static LocalKey<T>, value: &T, f: impl FnOnce() -> R) -> R {
    let below = INNERMOST.try_with(Cell::get).unwrap_or(ptr::null());
    let value = NonNull::from(value).cast();
    let frame = Frame { key: key.identity(), value, task: current::header(), below };
    let _leave = Leave(below);
    let _ = INNERMOST.try_with(|innermost| innermost.set(&raw const frame));
    f()
}

/// Takes the frame away that was put on this one.
struct Leave(*const Frame);

impl Drop for Leave {
    fn drop(&mut self) {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.0));
    }
}

/// The value of the innermost scope of `key` that the present task is in.
fn find(key: Identity) -> Option<NonNull<()>> {
    let task = current::header();
    let mut next = INNERMOST.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: alive, by the invariant.
    while let Some(frame) = unsafe { next.as_ref() } {
        if frame.task != task {
            return None;
        }
        if frame.key == key {
            return Some(frame.value);
        }
        next = frame.below;
    }
    None
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    crate::task_local! {
        static A: u32;
        static B: String;
    }

    #[test]
    fn the_innermost_scope_counts_and_unwinding_leaves_it() {
        A.sync_scope(1, || {
            B.sync_scope("b".into(), || {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    A.sync_scope(2, || {
                        assert_eq!((A.get(), B.get().as_str()), (2, "b"));
                        panic!("in a scope");
                    })
                }));
                assert!(caught.is_err());
                assert_eq!(A.get(), 1);
            });
            assert_eq!(B.try_with(|_| ()), Err(NotInScope));
        });
        assert_eq!(A.try_with(|_| ()), Err(NotInScope));
    }

    #[test]
    fn constants_that_look_alike_are_told_apart_by_their_types() {
        const NUMBER: &LocalKey<u64> = &LocalKey::__new();
        const TEXT: &LocalKey<String> = &LocalKey::__new();
        // Whether the two have one address is up to the compiler, as is whether a constant has more
        // than one; so no more can be said.
        NUMBER.sync_scope(7, || assert_eq!(TEXT.try_with(|_| ()), Err(NotInScope)));
        let number = NUMBER.identity();
        assert!(number != Identity { value: TypeId::of::<String>(), ..number });
    }
}
