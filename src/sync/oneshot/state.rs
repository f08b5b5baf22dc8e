//! The state word of a oneshot channel, and the two wakers that it guards.

use crate::primitives::{AtomicPtr, AtomicU64, Ordering};
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWakerVTable, Waker};

/// The value was sent: the cell is full and the receiver's, and the sender is gone. Never set once
/// `TX_GONE` or `RX_CLOSED` is; never cleared.
const VALUE: u64 = 1;
/// The sender is gone, and sent nothing. Excludes `VALUE`; never cleared.
const TX_GONE: u64 = 1 << 1;
/// The receiver takes no value that is not sent yet. May come after `VALUE`, when the receiver is
/// closed with the value still in the cell; never cleared.
const RX_CLOSED: u64 = 1 << 2;
/// The receiver is gone. Comes with `RX_CLOSED`; never cleared.
const RX_GONE: u64 = 1 << 3;
/// The slot of the receiver holds a waker. Set by the receiver; cleared by the receiver, to change
/// it or to let go of it, or by the sender, to wake it. Excludes `VALUE`, `TX_GONE`, `RX_CLOSED`.
const RX_WAKER: u64 = 1 << 4;
/// The slot of the sender holds a waker. The mirror image: it excludes the same three.
const TX_WAKER: u64 = 1 << 5;
/// What is above the flags counts the wakers that were put into slots. It would have to come round
/// (2^58 times) between a load and a compare-exchange to deceive anybody.
const GENERATION: u64 = 1 << 6;

const SENDER_GONE: u64 = VALUE | TX_GONE;
/// After any of these, nobody waits any more.
const SETTLED: u64 = VALUE | TX_GONE | RX_CLOSED;

/// What the receiver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    /// The value: it and the allocation are the receiver's.
    Value,
    /// No value, now or ever.
    Never,
    /// No value so far.
    NotYet,
}

/// What came of sending.
#[derive(Debug)]
pub(super) enum Sent {
    /// `VALUE` is set, and the sender is gone. The waker of the receiver is to be woken, the
    /// sender's own to be dropped.
    Delivered { receiver: Option<Waker>, own: Option<Waker> },
    /// The receiver is closed; nothing changed.
    Closed,
}

/// What came of registering a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registered {
    /// It is woken when there is something to see.
    Waiting,
    /// There is something to see; the waker was not kept.
    TooLate,
}

/// What one side left behind when it closed or went.
#[derive(Debug)]
pub(super) struct Gone {
    /// Both sides are gone: the allocation is the caller's to free.
    pub(super) last: bool,
    /// The waker of the other side, to be woken.
    pub(super) peer: Option<Waker>,
    /// The waker of this side, to be dropped.
    pub(super) own: Option<Waker>,
}

/// How far the receiver goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It takes nothing new, and stays.
    Close,
    /// It goes.
    Drop,
}

/// The state of a channel: a word, and the slots that two of its bits guard.
#[derive(Debug)]
pub(super) struct State {
    word: AtomicU64,
    // INVARIANT: written by the receiver only, while `RX_WAKER` is clear.
    receiver: Slot,
    // INVARIANT: written by the sender only, while `TX_WAKER` is clear.
    sender: Slot,
}

// Order. All changes of the word are compare-exchanges that release and acquire, and all loads
// acquire:
// - the value is written before `VALUE` is set, and read after it is seen;
// - the words of a waker are written before its bit is set, and read after the bit is seen;
// - whatever one side did to the allocation comes before its last change of the word, and the
//   freeing after the other side saw that.
//
// A copied waker is whole: suppose that one of its words comes from a later waker of the same slot.
// That one was written after its owner had cleared the bit, so the clearing comes before the copy,
// and the compare-exchange that expects the bit and the generation of the earlier waker fails.
impl State {
    pub(super) fn new() -> Self {
        Self { word: AtomicU64::new(0), receiver: Slot::new(), sender: Slot::new() }
    }

    /// What the receiver finds. With `Value`, `RX_CLOSED` does not matter: it came later.
    #[inline]
    pub(super) fn poll(&self) -> Polled {
        match self.load() {
            word if word & VALUE != 0 => Polled::Value,
            word if word & SETTLED != 0 => Polled::Never,
            _ => Polled::NotYet,
        }
    }

    /// Whether the receiver takes no value any more.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.load() & RX_CLOSED != 0
    }

    /// Gives the cell, which the sender has filled, to the receiver; with it, the sender is gone.
    #[inline]
    pub(super) fn send(&self) -> Sent {
        let mut word = self.load();
        loop {
            if word & RX_CLOSED != 0 {
                return Sent::Closed;
            }
            let receiver = self.receiver.copy_if(word & RX_WAKER != 0);
            let own = self.sender.copy_if(word & TX_WAKER != 0);
            match self.exchange(word, (word & !(RX_WAKER | TX_WAKER)) | VALUE) {
                // SAFETY: the exchange cleared the bits of those that were copied.
                Ok(()) => unsafe {
                    return Sent::Delivered { receiver: claim(receiver), own: claim(own) };
                },
                Err(now) => word = now,
            }
        }
    }

    /// The sender goes, without having sent.
    pub(super) fn sender_gone(&self) -> Gone {
        self.leave(TX_GONE, RX_GONE, (&self.sender, TX_WAKER), (&self.receiver, RX_WAKER))
    }

    /// The receiver closes or goes.
    pub(super) fn close(&self, how: Closing) -> Gone {
        let (set, other) = match how {
            Closing::Close => (RX_CLOSED, 0),
            Closing::Drop => (RX_CLOSED | RX_GONE, SENDER_GONE),
        };
        self.leave(set, other, (&self.receiver, RX_WAKER), (&self.sender, TX_WAKER))
    }

    /// Sets `set`, which settles the channel, and takes out both wakers.
    ///
    /// If a bit of `gone` is set, the other side is gone, and this one is the last.
    fn leave(&self, set: u64, gone: u64, own: (&Slot, u64), peer: (&Slot, u64)) -> Gone {
        let mut word = self.load();
        loop {
            if word & gone != 0 {
                // Nobody else looks at the word any more, and whoever went first took the wakers.
                debug_assert_eq!(word & (RX_WAKER | TX_WAKER), 0);
                return Gone { last: true, peer: None, own: None };
            }
            let mine = own.0.copy_if(word & own.1 != 0);
            let theirs = peer.0.copy_if(word & peer.1 != 0);
            match self.exchange(word, (word & !(RX_WAKER | TX_WAKER)) | set) {
                // SAFETY: the exchange cleared the bits of those that were copied.
                Ok(()) => unsafe {
                    return Gone { last: false, peer: claim(theirs), own: claim(mine) };
                },
                Err(now) => word = now,
            }
        }
    }

    /// Has `waker` woken once the sender has sent or is gone. For the receiver only.
    #[inline]
    pub(super) fn register_receiver(&self, waker: &Waker) -> Registered {
        self.register(&self.receiver, RX_WAKER, waker)
    }

    /// Has `waker` woken once the receiver is closed or gone. For the sender only.
    pub(super) fn register_sender(&self, waker: &Waker) -> Registered {
        self.register(&self.sender, TX_WAKER, waker)
    }

    #[inline]
    fn register(&self, slot: &Slot, bit: u64, waker: &Waker) -> Registered {
        let mut word = self.load();
        if word & SETTLED != 0 {
            return Registered::TooLate;
        }
        if word & bit != 0 {
            if slot.will_wake(waker) {
                return Registered::Waiting;
            }
            match self.retract(slot, bit, word) {
                Some((old, now)) => {
                    word = now;
                    drop(old);
                }
                None => return Registered::TooLate,
            }
        }
        // The bit is clear, and only this side sets it: the slot is ours.
        let waker = ManuallyDrop::new(waker.clone());
        slot.put(&waker);
        loop {
            if word & SETTLED != 0 {
                drop(ManuallyDrop::into_inner(waker));
                return Registered::TooLate;
            }
            match self.exchange(word, (word | bit).wrapping_add(GENERATION)) {
                Ok(()) => return Registered::Waiting,
                Err(now) => word = now,
            }
        }
    }

    /// Takes one's own waker back, unless the other side has taken it.
    #[cold]
    fn retract(&self, slot: &Slot, bit: u64, mut word: u64) -> Option<(Waker, u64)> {
        while word & bit != 0 {
            let copy = slot.copy();
            match self.exchange(word, word & !bit) {
                // SAFETY: the exchange cleared the bit.
                Ok(()) => return Some((unsafe { copy.claim() }, word & !bit)),
                Err(now) => word = now,
            }
        }
        None
    }

    #[inline]
    fn load(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    #[inline]
    fn exchange(&self, word: u64, new: u64) -> Result<(), u64> {
        self.word.compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

/// A place for a waker whose two words can be read while they change.
#[derive(Debug)]
struct Slot {
    data: AtomicPtr<()>,
    vtable: AtomicPtr<RawWakerVTable>,
}

/// The words of a waker that may belong to somebody else, and may not even belong together.
#[derive(Clone, Copy, Debug)]
struct Copied {
    data: *mut (),
    vtable: *mut RawWakerVTable,
}

impl Slot {
    fn new() -> Self {
        Self { data: AtomicPtr::new(ptr::null_mut()), vtable: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    fn put(&self, waker: &Waker) {
        self.data.store(waker.data().cast_mut(), Ordering::Relaxed);
        self.vtable.store(ptr::from_ref(waker.vtable()).cast_mut(), Ordering::Relaxed);
    }

    #[inline]
    fn copy(&self) -> Copied {
        Copied {
            data: self.data.load(Ordering::Relaxed),
            vtable: self.vtable.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn copy_if(&self, there: bool) -> Option<Copied> {
        there.then(|| self.copy())
    }

    /// As [`Waker::will_wake`], for the side that put the waker here.
    #[inline]
    fn will_wake(&self, waker: &Waker) -> bool {
        let Copied { data, vtable } = self.copy();
        ptr::eq(data, waker.data()) && ptr::eq(vtable, waker.vtable())
    }
}

impl Copied {
    /// Makes a waker of its words.
    ///
    /// # Safety
    ///
    /// They were copied while the bit of the slot was set, and the caller has cleared that bit,
    /// without it having been cleared in between.
    #[inline]
    unsafe fn claim(self) -> Waker {
        // SAFETY: the words were put into the slot from one waker, which nobody dropped, as it is
        // whoever clears the bit that owns it; the table lives as long as the program, as every
        // waker's does.
        unsafe { Waker::new(self.data, &*self.vtable) }
    }
}

/// # Safety
///
/// As [`Copied::claim`].
#[inline]
unsafe fn claim(copy: Option<Copied>) -> Option<Waker> {
    // SAFETY: passed on to the caller.
    copy.map(|copy| unsafe { copy.claim() })
}
