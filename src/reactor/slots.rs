//! Which registration an event is for.

use super::poller::{self, Alarm, EVENTS, Poller, Registry};
use super::readiness::News;
use super::registration::Registration;
use super::{Forked, NoReactor};
use crate::primitives::{Generation, Mutex, unique_id};
use crate::util::WakeList;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use slab::Slab;
use std::io;
use std::num::NonZeroU64;
#[cfg(not(mio_unsupported_force_poll_poll))]
use std::os::fd::AsFd;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// Half of a token is the slot, the other half its generation.
const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

/// The token of what ends a sleep, the alarm and the timer; no slot has this index.
const WAKE: Token = Token(usize::MAX);

/// The half of a reactor that everybody shares.
#[derive(Debug)]
pub(crate) struct Reactor {
    runtime: NonZeroU64,
    /// Its own, among all reactors.
    number: NonZeroU64,
    born: Generation,
    registry: Registry,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    slab: Slab<Slot>,
    generation: usize,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    generation: usize,
    registration: Arc<Registration>,
}

/// What a wait brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dispatched {
    /// How many descriptors it concerned.
    pub(crate) descriptors: usize,
    /// As many events came as one wait takes, so that there may be more.
    pub(crate) full: bool,
}

/// The slot of a registration: its index and generation, packed as mio's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotKey(Token);

impl SlotKey {
    fn new(index: usize, generation: usize) -> Self {
        Self(Token(index | (generation << INDEX_BITS)))
    }

    fn index(self) -> usize {
        self.0.0 & INDEX_MASK
    }

    fn generation(self) -> usize {
        self.0.0 >> INDEX_BITS
    }
}

impl Reactor {
    /// Whether a descriptor must be registered again each time somebody waits for it.
    ///
    /// mio's `poll(2)` back end, which stands in for systems without `epoll` or `kqueue`, tells an
    /// event once and then watches no more until it is asked to again.
    pub(super) const REARMS: bool = poller::REARMS;

    /// A reactor of the runtime with this number, its poller, and the alarm that ends its sleep.
    pub(crate) fn new(runtime: NonZeroU64) -> io::Result<(Arc<Self>, Poller, Alarm)> {
        let (poller, registry, alarm) = Poller::new(WAKE)?;
        let slots = Mutex::new(Slots::default());
        let born = Generation::watch();
        let number = unique_id();
        Ok((Arc::new(Self { runtime, number, born, registry, slots }), poller, alarm))
    }

    /// What is ready while an event waits to be taken.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }

    /// Makes `source` end sleeps, as the alarm does.
    pub(crate) fn rings(&self, source: BorrowedFd<'_>) -> io::Result<()> {
        self.registry.register(&mut SourceFd(&source.as_raw_fd()), WAKE, Interest::READABLE)
    }

    /// The same again after it has ended one, where that is needed.
    #[inline]
    pub(crate) fn rings_again(&self, source: BorrowedFd<'_>) -> io::Result<()> {
        if Self::REARMS {
            let mut source = SourceFd(&source.as_raw_fd());
            return self.registry.reregister(&mut source, WAKE, Interest::READABLE);
        }
        Ok(())
    }

    /// # Errors
    ///
    /// [`Forked`] in a child of the process that made the reactor.
    #[inline]
    pub(crate) fn check_process(&self) -> Result<(), Forked> {
        if self.born.is_over() { Err(Forked) } else { Ok(()) }
    }

    /// Its own number.
    #[inline]
    pub(super) fn number(&self) -> NonZeroU64 {
        self.number
    }

    /// The number of the runtime that it belongs to.
    #[inline]
    pub(super) fn runtime(&self) -> NonZeroU64 {
        self.runtime
    }

    /// Begins to watch a descriptor; the kernel tells at once what is ready already.
    pub(super) fn register(
        &self,
        fd: BorrowedFd<'_>,
        registration: &Arc<Registration>,
        interest: Interest,
    ) -> io::Result<SlotKey> {
        self.check_process()?;
        let key = self.slots.lock().insert(registration)?;
        let result = self.registry.register(&mut SourceFd(&fd.as_raw_fd()), key.0, interest);
        if result.is_err() {
            let slot = self.slots.lock().remove(key);
            drop(slot);
        }
        result.map(|()| key)
    }

    pub(super) fn reregister(
        &self,
        fd: BorrowedFd<'_>,
        key: SlotKey,
        interest: Interest,
    ) -> io::Result<()> {
        self.check_process()?;
        let raw = fd.as_raw_fd();
        match self.registry.reregister(&mut SourceFd(&raw), key.0, interest) {
            // That back end has ended the watch of what has hung up, and perhaps not told of it yet.
            Err(error) if Self::REARMS && error.kind() == io::ErrorKind::NotFound => {
                self.registry.register(&mut SourceFd(&raw), key.0, interest)
            }
            result => result,
        }
    }

    pub(super) fn deregister(&self, fd: BorrowedFd<'_>, key: SlotKey) {
        // The parent's watch of its own descriptor must not end with the child's copy.
        if self.check_process().is_ok() {
            // It can only fail if the descriptor is not watched, and then there is nothing to end.
            let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
        let slot = self.slots.lock().remove(key);
        drop(slot);
    }

    /// Notes what the last wait of `poller` brought.
    pub(crate) fn dispatch(&self, poller: &Poller, wakes: &mut WakeList) -> Dispatched {
        let mut dispatched = Dispatched::default();
        if poller.events().is_empty() {
            return dispatched;
        }
        let mut total = 0;
        let slots = self.slots.lock();
        for event in poller.events() {
            total += 1;
            if event.token() == WAKE {
                continue;
            }
            if let Some(registration) = slots.get(SlotKey(event.token())) {
                registration.deliver(News::from_event(event), wakes);
                dispatched.descriptors += 1;
            }
        }
        dispatched.full = total == EVENTS;
        dispatched
    }

    /// How many descriptors are watched.
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().slab.len()
    }

    /// Watches no more: tells all registrations, and collects those who wait for them.
    pub(crate) fn shut_down(&self, wakes: &mut WakeList) {
        let mut slots = self.slots.lock();
        slots.closed = true;
        let all = std::mem::take(&mut slots.slab);
        drop(slots);
        for (_, slot) in all {
            slot.registration.shut_down(wakes);
        }
    }
}

impl Slots {
    fn insert(&mut self, registration: &Arc<Registration>) -> io::Result<SlotKey> {
        if self.closed {
            return Err(NoReactor.into());
        }
        let entry = self.slab.vacant_entry();
        let index = entry.key();
        if index >= INDEX_MASK {
            return Err(io::Error::other("too many descriptors are registered with one runtime"));
        }
        // Counted over all slots, so that a slot's next tenant never has its last one's number,
        // short of a wrap during the life of one undelivered event.
        self.generation = (self.generation + 1) & INDEX_MASK;
        let registration = Arc::clone(registration);
        entry.insert(Slot { generation: self.generation, registration });
        Ok(SlotKey::new(index, self.generation))
    }

    fn get(&self, key: SlotKey) -> Option<&Arc<Registration>> {
        let slot = self.slab.get(key.index())?;
        (slot.generation == key.generation()).then_some(&slot.registration)
    }

    fn remove(&mut self, key: SlotKey) -> Option<Slot> {
        self.get(key)?;
        self.slab.try_remove(key.index())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_used_again_has_another_key() {
        let mut slots = Slots::default();
        let (first, second) = (Registration::new(), Registration::new());
        let old = slots.insert(&first).unwrap();
        assert!(slots.remove(old).is_some());
        let new = slots.insert(&second).unwrap();
        assert_eq!(old.index(), new.index());
        assert!(slots.get(old).is_none(), "an event for the old one finds nothing");
        assert!(slots.remove(old).is_none(), "and cannot remove the new one");
        assert!(Arc::ptr_eq(slots.get(new).unwrap(), &second));
    }

    #[test]
    fn no_slot_has_the_token_of_the_waker() {
        assert_ne!(SlotKey::new(INDEX_MASK - 1, INDEX_MASK).0, WAKE);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::super::readiness::Direction;
    use super::super::waiters::WaitKey;
    use super::*;
    use crate::primitives::{AtomicBool, Ordering, thread};
    use std::os::unix::net::UnixStream;
    use std::task::{Context, Poll, Wake, Waker};

    struct Told(AtomicBool);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// The runtime ends while a descriptor registers with it: whoever waits is told, or has its error.
    #[test]
    fn loom_register_against_shutdown() {
        loom::model(|| {
            let (reactor, ..) = Reactor::new(NonZeroU64::MIN).unwrap();
            let (socket, _peer) = UnixStream::pair().unwrap();
            let registration = Registration::new();
            let seen = registration.look(Direction::Read).unwrap();
            registration.disprove(Direction::Read, seen);
            let told = Arc::new(Told(AtomicBool::new(false)));
            let ending = {
                let reactor = Arc::clone(&reactor);
                thread::spawn(move || {
                    let mut wakes = WakeList::new();
                    reactor.shut_down(&mut wakes);
                    wakes.wake_all();
                })
            };
            let waker = Waker::from(Arc::clone(&told));
            let polled = registration.poll_wait(
                socket.as_fd(),
                Direction::Read,
                Some(&reactor),
                &mut WaitKey::Future(0),
                &mut Context::from_waker(&waker),
            );
            ending.join().unwrap();
            match polled {
                Poll::Pending => assert!(told.0.load(Ordering::Acquire), "the wake was lost"),
                Poll::Ready(Err(error)) => assert!(error.get_ref().unwrap().is::<NoReactor>()),
                Poll::Ready(Ok(())) => {}
            }
            registration.unbind(socket.as_fd());
        });
    }
}
