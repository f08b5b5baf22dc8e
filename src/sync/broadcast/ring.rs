//! The messages that somebody has yet to see, and nothing else: a structure without a lock.
//!
//! Messages have positions, which count up from the start of the channel. A receiver is the position
//! that it comes to next. Each message knows how many receivers have not come past it; as receivers
//! go in one direction, those who have not come past a message have not come past a later one, so
//! the messages that somebody has yet to see are the last ones: a queue.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Ring<T> {
    // INVARIANT: at most `capacity`. `unseen` is how many receivers have not come past the message,
    // at least 1, and does not fall from one message to the next.
    slots: VecDeque<Slot<T>>,
    capacity: NonZeroUsize,
    // Positions wrap around.
    tail: u64,
    receivers: usize,
}

#[derive(Debug)]
struct Slot<T> {
    value: Arc<T>,
    unseen: usize,
}

/// What a receiver finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// The next message. Others are to come for it, so that to try to have it alone is for nothing.
    Message(Arc<T>),
    /// The next message. Nobody else is to come for it.
    Last(Arc<T>),
    /// So many messages went before it came; the next one is there.
    Missed(u64),
    /// It has seen them all.
    Nothing,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: NonZeroUsize, tail: u64) -> Self {
        Self { slots: VecDeque::new(), capacity, tail, receivers: 0 }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.get()
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers
    }

    /// The position after the last message.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// How many messages are kept.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many messages lie before a receiver, those included that it missed.
    pub(super) fn ahead_of(&self, next: u64) -> u64 {
        self.tail.wrapping_sub(next)
    }

    /// Adds a message for all receivers, of which there is at least one, and gives the one that had
    /// to go for it.
    pub(super) fn push(&mut self, value: Arc<T>) -> Option<Arc<T>> {
        let full = self.slots.len() == self.capacity.get();
        let old = if full { self.slots.pop_front() } else { None };
        self.slots.push_back(Slot { value, unseen: self.receivers });
        self.tail = self.tail.wrapping_add(1);
        old.map(|slot| slot.value)
    }

    /// Brings the receiver at `next` past a message, or past those that it missed.
    pub(super) fn take(&mut self, next: &mut u64) -> Found<T> {
        let ahead = self.ahead_of(*next);
        if ahead == 0 {
            return Found::Nothing;
        }
        let kept = self.slots.len() as u64;
        if ahead > kept {
            let missed = ahead - kept;
            *next = next.wrapping_add(missed);
            return Found::Missed(missed);
        }
        *next = next.wrapping_add(1);
        let slot = &mut self.slots[(kept - ahead) as usize];
        slot.unseen -= 1;
        if slot.unseen > 0 {
            return Found::Message(Arc::clone(&slot.value));
        }
        debug_assert_eq!(ahead, kept, "who has not seen this has not seen those before");
        let Some(slot) = self.slots.pop_front() else { unreachable!("it is the first") };
        Found::Last(slot.value)
    }

    /// Adds a receiver, and says which position it comes to next.
    pub(super) fn enter(&mut self) -> u64 {
        self.receivers += 1;
        self.tail
    }

    /// Takes out the receiver at `next`, and gives the messages that nobody else has yet to see.
    #[must_use = "they are not to be dropped under a lock"]
    pub(super) fn leave(&mut self, next: u64) -> Vec<Arc<T>> {
        self.receivers -= 1;
        let seen = (self.slots.len() as u64).saturating_sub(self.ahead_of(next));
        let mut done = 0;
        for slot in self.slots.range_mut(seen as usize..) {
            slot.unseen -= 1;
            done += usize::from(slot.unseen == 0);
        }
        // Those that are done are the first ones, as `unseen` does not fall.
        self.slots.drain(..done).map(|slot| slot.value).collect()
    }
}
