//! What a semaphore hands out.

use super::Semaphore;
use std::fmt;
use std::sync::Arc;

/// Permits of a [`Semaphore`], given back when dropped.
#[must_use = "a permit that is not kept is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    n: usize,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, n: usize) -> Self {
        Self { semaphore, n }
    }

    /// How many permits these are.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.n
    }

    /// Takes the permits out of circulation for good; [`Semaphore::add_permits`] makes new ones.
    pub fn forget(mut self) {
        self.semaphore.retire(std::mem::take(&mut self.n));
    }

    /// Splits off `n` permits, or returns `None` when these are fewer.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = mainspring::sync::Semaphore::new(3);
    /// let mut all = semaphore.try_acquire_many(3)?;
    /// let one = all.split(1).expect("3 are more than 1");
    /// drop(all);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(one);
    /// # Ok::<(), mainspring::sync::semaphore::TryAcquireError>(())
    /// ```
    #[must_use = "permits that are split off and not kept are given back at once"]
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.n = self.n.checked_sub(n)?;
        Some(Self { semaphore: self.semaphore, n })
    }

    /// Makes `other` part of these permits.
    ///
    /// # Panics
    ///
    /// When `other` comes from another semaphore. It is given back there then.
    pub fn merge(&mut self, mut other: Self) {
        let same = std::ptr::eq(self.semaphore, other.semaphore);
        assert!(same, "permits of two semaphores cannot be merged");
        self.n += std::mem::take(&mut other.n);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release(self.n);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("num_permits", &self.n).finish_non_exhaustive()
    }
}

/// Permits that keep their [`Semaphore`] alive, given back when dropped.
#[must_use = "a permit that is not kept is given back at once"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    n: usize,
}

impl OwnedPermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, n: usize) -> Self {
        Self { semaphore, n }
    }

    /// How many permits these are.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.n
    }

    /// The semaphore that they come from.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Takes the permits out of circulation for good; [`Semaphore::add_permits`] makes new ones.
    pub fn forget(mut self) {
        self.semaphore.retire(std::mem::take(&mut self.n));
    }

    /// Leaves it to the caller to give the permits back, by [`Semaphore::release`].
    #[cfg(feature = "http")]
    pub(crate) fn unguarded(mut self) {
        self.n = 0;
    }

    /// Splits off `n` permits, or returns `None` when these are fewer.
    #[must_use = "permits that are split off and not kept are given back at once"]
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.n = self.n.checked_sub(n)?;
        Some(Self { semaphore: self.semaphore.clone(), n })
    }

    /// Makes `other` part of these permits.
    ///
    /// # Panics
    ///
    /// When `other` comes from another semaphore. It is given back there then.
    pub fn merge(&mut self, mut other: Self) {
        let same = Arc::ptr_eq(&self.semaphore, &other.semaphore);
        assert!(same, "permits of two semaphores cannot be merged");
        self.n += std::mem::take(&mut other.n);
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.release(self.n);
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("num_permits", &self.n).finish_non_exhaustive()
    }
}
