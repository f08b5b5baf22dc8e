//! Stand-ins for the queues of crossbeam-deque, which no model can see into.
//!
//! A mutex orders more than they do, and would hide the lack of a fence from the model: so whether
//! one is empty, and how much is in it, is read from a counter beside it, as crossbeam reads two; and
//! who steals looks there first.

use super::{Arc, AtomicUsize, Mutex, Ordering};
use std::collections::VecDeque;
use std::fmt;

/// The most that one batch takes, as far as models need it.
const BATCH: usize = 4;

struct Queue<T> {
    entries: Mutex<VecDeque<T>>,
    len: AtomicUsize,
}

impl<T> Queue<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { entries: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0) })
    }

    fn push(&self, entry: T) {
        let mut entries = self.entries.lock();
        entries.push_back(entry);
        self.len.store(entries.len(), Ordering::Release);
    }

    fn pop(&self) -> Option<T> {
        let mut entries = self.entries.lock();
        let entry = entries.pop_front();
        self.len.store(entries.len(), Ordering::Release);
        entry
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn steal(&self) -> Steal<T> {
        if self.len() == 0 {
            return Steal::Empty;
        }
        self.pop().map_or(Steal::Empty, Steal::Success)
    }

    fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        if self.len() == 0 {
            return Steal::Empty;
        }
        let mut entries = self.entries.lock();
        let count = entries.len().div_ceil(2).min(BATCH);
        let mut batch: VecDeque<T> = entries.drain(..count).collect();
        self.len.store(entries.len(), Ordering::Release);
        drop(entries);
        let first = batch.pop_front();
        batch.into_iter().for_each(|entry| to.push(entry));
        first.map_or(Steal::Empty, Steal::Success)
    }
}

/// What came of an attempt to steal.
#[derive(Debug)]
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    /// Another was in the way; never so in a model.
    #[allow(dead_code)]
    Retry,
}

/// The end of a queue where its thread pushes and takes.
pub(crate) struct Worker<T>(Arc<Queue<T>>);

impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Queue::new())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.push(entry);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }
}

/// The end where others take.
pub(crate) struct Stealer<T>(Arc<Queue<T>>);

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        self.0.steal_batch_and_pop(to)
    }
}

/// A queue into which every thread pushes.
pub(crate) struct Injector<T>(Arc<Queue<T>>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Queue::new())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.push(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        self.0.steal_batch_and_pop(to)
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Stealer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stealer").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Injector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injector").finish_non_exhaustive()
    }
}
