//! The arm that ships: thin names over std.
#![allow(clippy::disallowed_types)]

pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker};
pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::Ordering;
pub(crate) use std::thread;

use std::ops::Deref;
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Gives std's atomics names of their own: as re-exports they would count as std's, and the lint
/// that forbids those elsewhere could not tell the two apart.
macro_rules! atomics {
    ($($name:ident($value:ty)),* $(,)?) => {$(
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name(std::sync::atomic::$name);

        impl $name {
            #[inline]
            pub(crate) const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }
        }

        impl Deref for $name {
            type Target = std::sync::atomic::$name;

            #[inline(always)]
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

/// A pointer; see `atomics!`.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct AtomicPtr<T>(std::sync::atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    #[inline]
    pub(crate) const fn new(value: *mut T) -> Self {
        Self(std::sync::atomic::AtomicPtr::new(value))
    }
}

impl<T> Deref for AtomicPtr<T> {
    type Target = std::sync::atomic::AtomicPtr<T>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

atomics!(AtomicBool(bool), AtomicU32(u32), AtomicU64(u64), AtomicUsize(usize));

/// A mutual exclusion lock without poison.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that some wait for, and some only try; without poison, too.
#[derive(Debug)]
pub(crate) struct TryMutex<T>(Mutex<T>);

pub(crate) type TryMutexGuard<'a, T> = MutexGuard<'a, T>;

impl<T> TryMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> TryMutexGuard<'_, T> {
        self.0.lock()
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> Option<TryMutexGuard<'_, T>> {
        match self.0.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Orders all that the thread did before against all that it does after, as other threads see it that
/// have such a fence too: of two that store first and look afterwards, one sees the other's store.
#[inline]
pub(crate) fn full_fence() {
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// One half of a full fence between two threads, for the side that meets it often.
///
/// It keeps the compiler from moving accesses across; the processor is taken care of by the other
/// half, [`heavy_fence`].
#[inline(always)]
pub(super) fn light_fence() {
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

pub(super) use asymmetric::{heavy_fence, heavy_fence_is_there, prepare_heavy_fence};

// Not on Android, where the filter for apps ends a process for a call that it does not list, and older
// ones do not list this.
#[cfg(all(target_os = "linux", not(miri)))]
mod asymmetric {
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    // What is found out, or done, once. No thread waits for another that is at it: in a process that is
    // forked meanwhile there is no other.
    static STATE: AtomicU8 = AtomicU8::new(0);

    /// It was asked for.
    const ASKED: u8 = 1;
    /// It is there.
    const THERE: u8 = 2;
    /// The process is registered.
    const REGISTERED: u8 = 4;
    /// A heavy fence has failed.
    const GONE: u8 = 8;

    /// Whether the kernel can order the memory of all threads of this process, and always could.
    pub(crate) fn heavy_fence_is_there() -> bool {
        let mut state = STATE.load(Relaxed);
        if state & ASKED == 0 {
            let needed =
                MembarrierQuery::PRIVATE_EXPEDITED | MembarrierQuery::REGISTER_PRIVATE_EXPEDITED;
            let there = if membarrier_query().contains(needed) { THERE } else { 0 };
            state = STATE.fetch_or(ASKED | there, Relaxed) | ASKED | there;
        }
        state & (THERE | GONE) == THERE
    }

    /// Registers the process for the heavy fence, which may wait for milliseconds, once: so it is done
    /// by the first who will need it, and under no lock.
    pub(crate) fn prepare_heavy_fence() {
        if STATE.load(Relaxed) & REGISTERED == 0 {
            // Where it fails, so does the fence.
            let _ = membarrier(MembarrierCommand::RegisterPrivateExpedited);
            STATE.fetch_or(REGISTERED, Relaxed);
        }
    }

    /// The other half: when it returns, each thread of this process was at a full fence since the call.
    #[cold]
    pub(crate) fn heavy_fence() {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // As the essay of `biased` says.
            STATE.fetch_or(GONE, Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod asymmetric {
    pub(crate) fn heavy_fence_is_there() -> bool {
        false
    }

    pub(crate) fn prepare_heavy_fence() {}

    pub(crate) fn heavy_fence() {
        unreachable!("who has no heavy fence takes no short way");
    }
}

/// Where one thread sleeps until another calls it.
///
/// A call before the sleep ends the sleep at once; calls do not add up. It has a flag of its own
/// beside the token of `std::thread`, because anybody may take or leave that one.
#[derive(Debug)]
pub(crate) struct Parker {
    thread: thread::Thread,
    called: AtomicBool,
}

impl Parker {
    /// A place for the present thread, which alone may park here.
    pub(crate) fn new() -> Self {
        Self { thread: thread::current(), called: AtomicBool::new(false) }
    }

    /// Ends the sleep of the thread, or keeps it from its next one.
    pub(crate) fn unpark(&self) {
        self.called.swap(true, Ordering::AcqRel);
        self.thread.unpark();
    }

    /// Sleeps until called.
    pub(crate) fn park(&self) {
        while !self.take() {
            thread::park();
        }
    }

    /// Sleeps until called, and no longer than `limit`; whether it was called.
    pub(crate) fn park_timeout(&self, limit: Duration) -> bool {
        let Some(end) = Instant::now().checked_add(limit) else {
            self.park();
            return true;
        };
        while !self.take() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
        true
    }

    fn take(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::AcqRel)
    }
}

/// A cell whose every use is a closure, so that the loom arm can see where it begins and ends.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// The value, of a cell that nobody shares any more.
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `f` with a pointer for reading.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for reading and writing.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Declares a thread-local with a constant start.
macro_rules! local {
    ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr;) => {
        std::thread_local! {
            $(#[$meta])*
            static $name: $ty = const { $init };
        }
    };
}
pub(crate) use local;

/// Declares a function that is `const` in this arm.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => {
        $(#[$meta])*
        $vis const fn $($rest)*
    };
}
pub(crate) use const_fn;
