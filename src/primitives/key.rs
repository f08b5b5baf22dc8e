//! Threads by number, so that what belongs to one can tell whether it is there.

use super::{local, unique_id};
use std::cell::Cell;
#[allow(clippy::disallowed_types)]
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// What a thread has that never asked for its number, and no key is.
const UNKNOWN: u64 = 0;

local! {
    static NUMBER: Cell<u64> = Cell::new(UNKNOWN);
}

/// A thread, told from every other that this process has, had or will have.
///
/// `std::thread::ThreadId` means the same but costs a counted reference each time it is asked for, and
/// is not known before the thread is there.
///
/// INVARIANT: no two threads have the same number, so that what is reached only where
/// [`is_here`](Self::is_here) is so is reached by one thread at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadKey(u64);

impl ThreadKey {
    /// No thread.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// The present thread; [`NONE`](Self::NONE) while its thread-locals are gone.
    pub(crate) fn current() -> Self {
        let key = NUMBER.try_with(|number| {
            if number.get() == UNKNOWN {
                number.set(unique_id().get());
            }
            Self(number.get())
        });
        key.unwrap_or(Self::NONE)
    }

    /// Whether this is the present thread.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        NUMBER.try_with(Cell::get).is_ok_and(|here| here == self.0)
    }
}

/// Whose something is: that of one thread at a time, or nobody's.
///
/// INVARIANT: it names a thread that was meant from the start, or one that has [taken](Self::take) it
/// when it was nobody's, and then until that thread [leaves](Self::leave) it. Who leaves releases what
/// was done by then, and who takes acquires it.
///
/// Its word is std's in both arms: what it guards is seen by one thread only, which no model could tell
/// from none.
#[derive(Debug)]
#[allow(clippy::disallowed_types)]
pub(crate) struct Holder(AtomicU64);

#[allow(clippy::disallowed_types)]
impl Holder {
    /// Of a thread for good; or of nobody, for [`ThreadKey::NONE`].
    pub(crate) fn of(thread: ThreadKey) -> Self {
        Self(AtomicU64::new(thread.0))
    }

    #[inline]
    fn get(&self) -> ThreadKey {
        ThreadKey(self.0.load(Relaxed))
    }

    /// Whether that is the present thread.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.get().is_here()
    }

    /// Makes it the present thread's, if it is nobody's.
    #[must_use]
    pub(crate) fn take(&self) -> bool {
        let (none, here) = (ThreadKey::NONE.0, ThreadKey::current().0);
        self.0.compare_exchange(none, here, Acquire, Relaxed).is_ok()
    }

    /// Makes it nobody's.
    ///
    /// # Panics
    ///
    /// If it is not the present thread's.
    pub(crate) fn leave(&self) {
        assert!(self.is_here(), "only who has it leaves it");
        self.0.store(ThreadKey::NONE.0, Release);
    }
}

/// The number of a thread that has not begun, for what is made for it beforehand.
#[derive(Debug)]
pub(crate) struct NewThread(ThreadKey);

impl NewThread {
    pub(crate) fn new() -> Self {
        Self(ThreadKey(unique_id().get()))
    }

    pub(crate) fn key(&self) -> ThreadKey {
        self.0
    }

    /// Makes the present thread the one that was meant.
    ///
    /// # Panics
    ///
    /// If it has a number already: this comes first of all that a thread does.
    pub(crate) fn begin(self) {
        let new = NUMBER.try_with(|number| number.replace(self.0.0) == UNKNOWN);
        assert!(new.unwrap_or(false), "a thread has one number only");
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn keys_are_of_threads() {
        let here = ThreadKey::current();
        assert!(here.is_here() && ThreadKey::current().is_here());
        assert!(!ThreadKey::NONE.is_here());
        thread::spawn(move || assert!(!here.is_here())).join().unwrap();
    }

    #[test]
    fn what_is_nobodys_is_taken_by_one_thread_at_a_time() {
        let holder = Holder::of(ThreadKey::NONE);
        assert!(!holder.is_here() && holder.take() && holder.is_here() && !holder.take());
        let elsewhere = || {
            thread::scope(|scope| {
                let taken = scope.spawn(|| {
                    let taken = holder.take();
                    if taken {
                        holder.leave();
                    }
                    taken
                });
                taken.join().unwrap()
            })
        };
        assert!(!elsewhere());
        holder.leave();
        assert!(elsewhere() && !holder.is_here());
        assert!(std::panic::catch_unwind(|| holder.leave()).is_err());
    }

    #[test]
    fn a_thread_takes_the_number_that_was_meant_for_it_once() {
        let (new, another) = (NewThread::new(), NewThread::new());
        let key = new.key();
        assert!(!key.is_here());
        thread::spawn(move || {
            new.begin();
            assert!(key.is_here() && ThreadKey::current() == key);
            assert!(std::panic::catch_unwind(|| another.begin()).is_err());
        })
        .join()
        .unwrap();
        assert!(!key.is_here());
    }
}
