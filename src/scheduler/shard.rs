//! One worker's share of a runtime: its seat, and what others may reach of it.

use super::seat::Seat;
use crate::driver::Driver;
use crate::primitives::{AtomicU32, Mutex, Ordering, ThreadKey};
use crate::task::{Graves, Notice, Runnable};
use Ordering::{AcqRel, Acquire, Relaxed};
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

/// A worker, as all threads see it.
#[derive(Debug)]
pub(super) struct Shard {
    /// Where it sleeps.
    pub(super) driver: Arc<Driver>,
    pub(super) adopter: Adopter,
    inbox: Mutex<Inbox>,
    /// Tasks of others that have ended here.
    pub(super) graves: Graves,
    pub(super) seat: Seat,
}

#[derive(Debug, Default)]
struct Inbox {
    left: VecDeque<Left>,
    closed: bool,
}

/// What another thread has left for one worker.
#[derive(Debug)]
pub(super) enum Left {
    /// A task that begins there, and may go elsewhere afterwards.
    Task(Runnable),
    /// A task that stays there.
    Pinned(Runnable),
    /// A task that stays there was woken.
    Notice(Notice),
}

impl Shard {
    /// The shard of a worker whose thread need not have begun.
    pub(super) fn new(thread: ThreadKey, driver: Arc<Driver>) -> Self {
        Self {
            driver,
            adopter: Adopter(AtomicU32::new(NOBODY)),
            inbox: Mutex::default(),
            graves: Graves::of(thread),
            seat: Seat::of(thread),
        }
    }

    /// How many tasks wait here for their turn, as far as anybody may see; those that stay here count only
    /// as long as they are in the inbox.
    pub(super) fn queued(&self) -> usize {
        self.seat.queued() + self.inbox.lock().left.len()
    }

    /// Leaves something for the worker; a worker that has ended gives it back.
    ///
    /// The caller unparks the driver.
    pub(super) fn leave(&self, left: Left) -> Result<(), Left> {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return Err(left);
        }
        inbox.left.push_back(left);
        Ok(())
    }

    /// Takes what others have left, and leaves them the room of `spare`, which is empty.
    pub(super) fn take_inbox(&self, spare: VecDeque<Left>) -> VecDeque<Left> {
        std::mem::replace(&mut self.inbox.lock().left, spare)
    }

    /// Takes those tasks out of the inbox that need not begin here.
    pub(super) fn take_placed(&self) -> Vec<Runnable> {
        let mut inbox = self.inbox.lock();
        let mut placed = Vec::new();
        for left in std::mem::take(&mut inbox.left) {
            match left {
                Left::Task(task) => placed.push(task),
                stays => inbox.left.push_back(stays),
            }
        }
        placed
    }

    /// Nothing can be left any more; gives what was.
    pub(super) fn close_inbox(&self) -> VecDeque<Left> {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        std::mem::take(&mut inbox.left)
    }
}

/// To others a shard is where its worker sits; what else there is they name.
impl Deref for Shard {
    type Target = Seat;

    #[inline]
    fn deref(&self) -> &Seat {
        &self.seat
    }
}

/// Who stands in for a worker at its driver: nobody, or the thread of a seat.
///
/// A thread becomes the adopter when the worker is stuck, in the place of nobody or of one that is stuck
/// itself. It is so until the worker takes the driver back, another takes its place, or it lets go; each of
/// these is one swap, and whoever finds that it is not the adopter any more is done there.
#[derive(Debug)]
pub(super) struct Adopter(AtomicU32);

const NOBODY: u32 = u32::MAX;

impl Adopter {
    /// The seat of whoever it is.
    pub(super) fn get(&self) -> Option<usize> {
        match self.0.load(Acquire) {
            NOBODY => None,
            seat => Some(seat as usize),
        }
    }

    /// `seat` takes the place of `before`; `false` if that one is not there any more.
    #[must_use]
    pub(super) fn adopt(&self, before: Option<usize>, seat: usize) -> bool {
        let before = before.map_or(NOBODY, |seat| seat as u32);
        self.0.compare_exchange(before, seat as u32, AcqRel, Relaxed).is_ok()
    }

    /// Whether the worker has to take its driver back.
    #[inline]
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Relaxed) != NOBODY
    }

    /// The worker takes its driver back; who had it comes out of its sleep there if the caller rings.
    pub(super) fn take_back(&self) -> Option<usize> {
        match self.0.swap(NOBODY, AcqRel) {
            NOBODY => None,
            seat => Some(seat as usize),
        }
    }

    /// `seat` lets go, if it was there still.
    pub(super) fn let_go(&self, seat: usize) {
        let _ = self.0.compare_exchange(seat as u32, NOBODY, AcqRel, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_was_replaced_or_came_late_takes_nobodys_place() {
        let adopter = Adopter(AtomicU32::new(NOBODY));
        assert!(adopter.adopt(None, 4) && !adopter.adopt(None, 5) && !adopter.adopt(Some(3), 5));
        assert!(adopter.adopt(Some(4), 5));
        adopter.let_go(4);
        assert_eq!((adopter.get(), adopter.is_there()), (Some(5), true));
        assert_eq!((adopter.take_back(), adopter.take_back()), (Some(5), None));
        assert!(!adopter.adopt(Some(5), 6) && !adopter.is_there());
        assert!(adopter.adopt(None, 6));
        adopter.let_go(6);
        assert_eq!(adopter.get(), None);
    }
}
