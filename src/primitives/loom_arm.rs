//! The arm that is checked: the same names over loom.

pub(crate) use super::loom_deque::{Injector, Steal, Stealer, Worker};
pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
pub(crate) use loom::sync::{Arc, MutexGuard};
pub(crate) use loom::thread;

use std::ops::{Deref, DerefMut};

/// A mutual exclusion lock without poison.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model panicked while it held a lock")
    }
}

/// A lock that some wait for, and some only try.
///
/// Whoever is about to try loom's own lock when another takes it waits for that one to leave it, who may
/// never do so. Here nobody who tries waits for more than a word.
#[derive(Debug)]
pub(crate) struct TryMutex<T> {
    held: loom::sync::Mutex<bool>,
    left: loom::sync::Condvar,
    /// Locked by who holds the other only.
    value: Mutex<T>,
}

impl<T> TryMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        let (held, left) = (loom::sync::Mutex::new(false), loom::sync::Condvar::new());
        Self { held, left, value: Mutex::new(value) }
    }

    pub(crate) fn lock(&self) -> TryMutexGuard<'_, T> {
        let mut held = self.held.lock().expect("a model panicked while it held a lock");
        while *held {
            held = self.left.wait(held).expect("a model panicked while it held a lock");
        }
        *held = true;
        drop(held);
        TryMutexGuard { lock: self, value: Some(self.value.lock()) }
    }

    pub(crate) fn try_lock(&self) -> Option<TryMutexGuard<'_, T>> {
        let mut held = self.held.lock().expect("a model panicked while it held a lock");
        if std::mem::replace(&mut *held, true) {
            return None;
        }
        drop(held);
        Some(TryMutexGuard { lock: self, value: Some(self.value.lock()) })
    }
}

pub(crate) struct TryMutexGuard<'a, T> {
    lock: &'a TryMutex<T>,
    /// There until the drop.
    value: Option<MutexGuard<'a, T>>,
}

impl<T> Deref for TryMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until the drop")
    }
}

impl<T> DerefMut for TryMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until the drop")
    }
}

impl<T> Drop for TryMutexGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        *self.lock.held.lock().expect("a model panicked while it held a lock") = false;
        self.lock.left.notify_one();
    }
}

/// Orders all that the thread did before against all that it does after.
pub(crate) fn full_fence() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// In a model, full fences stand for the two halves of one.
pub(super) fn light_fence() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

pub(super) fn heavy_fence() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

pub(super) fn prepare_heavy_fence() {}

pub(super) fn heavy_fence_is_there() -> bool {
    true
}

/// Where one thread sleeps until another calls it.
///
/// No time passes in a model: a limit of zero is over at once, any other never.
pub(crate) struct Parker {
    // The notice of the model may come by itself, as the token of std's threads may.
    notice: loom::sync::Notify,
    called: AtomicBool,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { notice: loom::sync::Notify::new(), called: AtomicBool::new(false) }
    }

    pub(crate) fn unpark(&self) {
        self.called.swap(true, Ordering::AcqRel);
        self.notice.notify();
    }

    pub(crate) fn park(&self) {
        while !self.called.swap(false, Ordering::AcqRel) {
            self.notice.wait();
        }
    }

    pub(crate) fn park_timeout(&self, limit: std::time::Duration) -> bool {
        if limit.is_zero() {
            return self.called.swap(false, Ordering::AcqRel);
        }
        self.park();
        true
    }
}

/// Declares a thread-local, one per thread of the model.
macro_rules! local {
    ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr;) => {
        loom::thread_local! {
            $(#[$meta])*
            static $name: $ty = $init;
        }
    };
}
pub(crate) use local;

/// Declares a function that would be `const`, were the atomics of loom.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => {
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_fn;
