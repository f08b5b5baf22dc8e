//! The messages that the receiver has taken with it.

use std::collections::VecDeque;

/// Messages that were taken with the lock and are received without it.
pub(super) struct Batch<T> {
    pub(super) messages: VecDeque<T>,
    // INVARIANT: how many messages were received, as `Chan::popped` says too. It wraps.
    pub(super) popped: usize,
    /// The last look for more found nothing.
    asleep: bool,
    /// So did the look before the last wait: it came right after a batch.
    dry: bool,
}

impl<T> Batch<T> {
    pub(super) const fn new() -> Self {
        Self { messages: VecDeque::new(), popped: 0, asleep: false, dry: false }
    }

    /// Whether the next look for more will find nothing, by what the last ones have found: a batch
    /// is often followed by a wait, and that by a batch.
    pub(super) fn is_dry(&self) -> bool {
        self.dry && !self.asleep
    }

    /// Notes that there were messages, or the end.
    pub(super) fn found(&mut self) {
        self.dry &= self.asleep;
        self.asleep = false;
    }

    /// Notes that there was nothing.
    pub(super) fn found_nothing(&mut self) {
        self.dry |= !self.asleep;
        self.asleep = true;
        trim(&mut self.messages, 0);
    }
}

/// The room, in bytes, that an empty buffer may keep for the next messages.
const KEEP: usize = 64 * 1024;

/// Gives back what an empty buffer has kept from a peak, unless `recent` messages show that the
/// peak still lasts.
#[inline]
pub(super) fn trim<T>(buffer: &mut VecDeque<T>, recent: usize) {
    let size = size_of::<T>();
    if size != 0 && buffer.capacity() > KEEP / size && buffer.capacity() / 8 > recent {
        shrink(buffer, KEEP / size);
    }
}

#[cold]
fn shrink<T>(buffer: &mut VecDeque<T>, keep: usize) {
    buffer.shrink_to(keep);
}
