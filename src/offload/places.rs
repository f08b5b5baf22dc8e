//! Places in the queue of a pool: as many as its bound, handed out first come, first served.

use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::sync::Semaphore;
use crate::sync::semaphore::{AcquireOwned, OwnedPermit};
use std::sync::Arc;

/// A place is taken before a job is queued, and put back when a thread takes the job up.
///
/// Where the bound falls, the difference is a *debt*: places that are free or come back vanish until
/// it is paid. A place that comes back by another way (a wait that was given up just as it was over)
/// goes to the next who waits, and the debt stays for a later one.
///
/// What is free, taken and on its way, less the debt, is always the bound. A bound that rises first
/// pays the debt and only then makes places, so there are never more than the highest bound so far.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    debt: AtomicUsize,
    limit: Mutex<usize>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        let free = Arc::new(Semaphore::new(limit));
        Self { free, debt: AtomicUsize::new(0), limit: Mutex::new(limit) }
    }

    /// Takes a place, if one is free and nobody waits for one.
    #[inline]
    pub(super) fn try_take(&self) -> bool {
        // Leaked, not kept: the job that lies in the queue stands for it.
        self.free.try_acquire().map(std::mem::forget).is_ok()
    }

    /// Puts back a place that was taken, and wakes the one who waits for it.
    #[inline]
    pub(super) fn put_back(&self) {
        if self.pay(1) == 0 {
            self.free.release(1);
        }
    }

    /// Waits for a place; [`end`](Self::end) puts it back.
    pub(super) fn wait(&self) -> AcquireOwned {
        Arc::clone(&self.free).acquire_owned()
    }

    /// Puts back a place that was waited for.
    pub(super) fn end(&self, place: OwnedPermit) {
        if self.pay(1) == 1 {
            place.forget();
        }
    }

    pub(super) fn limit(&self) -> usize {
        *self.limit.lock()
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        let all = self.limit() + self.debt.load(Ordering::Relaxed);
        all.saturating_sub(self.free.available_permits())
    }

    /// Changes how many places there are.
    pub(super) fn set_limit(&self, new: usize) {
        let mut limit = self.limit.lock();
        let before = std::mem::replace(&mut *limit, new);
        // Under the lock, so that of two changes at once the second knows what the first owes.
        let mut more = match new.checked_sub(before) {
            Some(more) => more - self.pay(more),
            None => {
                self.debt.fetch_add(before - new, Ordering::Relaxed);
                0
            }
        };
        loop {
            // What is free pays at once, also where it was given below and the bound fell meanwhile.
            let free = self.free.forget_permits(self.debt.load(Ordering::Relaxed));
            more += free - self.pay(free);
            drop(limit);
            if more == 0 {
                return;
            }
            // Not under the lock: it wakes those who wait.
            self.free.add_permits(std::mem::take(&mut more));
            limit = self.limit.lock();
        }
    }

    /// Pays up to `n` places of the debt, and says how many.
    #[inline]
    fn pay(&self, n: usize) -> usize {
        let order = Ordering::Relaxed;
        let mut debt = self.debt.load(order);
        loop {
            let paid = debt.min(n);
            if paid == 0 {
                return 0;
            }
            match self.debt.compare_exchange_weak(debt, debt - paid, order, order) {
                Ok(_) => return paid,
                Err(now) => debt = now,
            }
        }
    }
}
