//! Work that begins when its answer is on its way.

use crate::context;
use crate::http::response::After;
use crate::task;
use std::fmt;

/// Work of answers that are not yet flushed. It begins when it is told to, or when this goes: the
/// connection has ended then, and work that was promised is done all the same.
#[derive(Default)]
pub(super) struct Afterwork(Option<Box<After>>);

impl Afterwork {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn of(work: Option<Box<After>>) -> Self {
        Self(work)
    }

    /// Takes over what `other` has, ahead of its own: others have little.
    #[inline]
    pub(super) fn join(&mut self, mut other: Self) {
        let mut end = &mut other.0;
        while let Some(work) = end {
            end = &mut work.next;
        }
        *end = self.0.take();
        self.0 = other.0.take();
    }

    /// Makes each a task of the runtime that runs here. Without one there is nobody to do it.
    #[cold]
    pub(super) fn start(&mut self) {
        let current = context::current();
        while let Some(work) = self.0.take() {
            let After { future, location, next } = *work;
            self.0 = next;
            if let Ok(current) = &current {
                drop(task::spawn(&*current.spawn, future, location));
            }
        }
    }
}

impl Drop for Afterwork {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            self.start();
        }
    }
}

impl fmt::Debug for Afterwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Afterwork").field("is_empty", &self.is_empty()).finish()
    }
}
