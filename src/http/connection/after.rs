//! Work that begins when its answer is on its way.

use crate::context;
use crate::http::afterwork::track;
use crate::http::response::After;
use crate::http::shared::Shared;
use crate::task;
use std::fmt;
use std::sync::Arc;

/// Work of answers that are not yet flushed. It begins when it is told to, or when this goes: the
/// connection has ended then, and work that was promised is done all the same.
#[derive(Default)]
pub(super) struct Afterwork(Option<Works>);

/// At least one, and whose server counts them.
struct Works {
    first: Box<After>,
    shared: Arc<Shared>,
}

impl Afterwork {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn of(work: Option<Box<After>>, shared: &Arc<Shared>) -> Self {
        Self(work.map(|first| Works { first, shared: Arc::clone(shared) }))
    }

    /// Takes over what `other` has, ahead of its own: others have little.
    #[inline]
    pub(super) fn join(&mut self, mut other: Self) {
        if let Some(mut works) = other.0.take() {
            let mut end = &mut works.first.next;
            while let Some(work) = end {
                end = &mut work.next;
            }
            *end = self.0.take().map(|own| own.first);
            self.0 = Some(works);
        }
    }

    /// Makes each a task of the runtime that runs here. Without one there is nobody to do it.
    #[cold]
    pub(super) fn start(&mut self) {
        let (current, works) = (context::current(), self.0.take());
        let Some(Works { first, shared }) = works else { return };
        let mut works = Some(first);
        while let Some(work) = works {
            let After { future, location, next } = *work;
            works = next;
            if let Ok(current) = &current {
                let tracked = track(Arc::clone(&shared), future);
                drop(task::spawn(&*current.spawn, tracked, location));
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
