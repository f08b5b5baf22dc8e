//! One descriptor: what is known of it, who waits for it, and who watches it.

use super::NoReactor;
use super::bound::Bound;
use super::readiness::{Direction, News, Readiness, Seen};
use super::slots::{Reactor, SlotKey};
use super::waiters::{WaitKey, Waiters};
use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::util::WakeList;
use mio::Interest;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Linux tells of urgent data apart.
#[cfg(any(target_os = "linux", target_os = "android"))]
const READ: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const READ: Interest = Interest::READABLE;

/// What tells that a connection is gone in both directions. epoll and poll always say so; kqueue
/// tells of each direction apart.
const HANGUP: Interest = if cfg!(any(target_os = "linux", target_os = "android")) {
    READ
} else {
    READ.add(Interest::WRITABLE)
};

/// What a descriptor has for as long as it lives.
#[derive(Debug)]
pub(crate) struct Registration {
    readiness: Readiness,
    bound: Bound,
    binding: Mutex<Option<Binding>>,
    waiters: Mutex<Waiters>,
    /// How many places are taken. Written under the lock of the waiters, so that who has
    /// taken one and reads 0 knows that it is empty by now.
    places: AtomicUsize,
}

/// Which reactor watches, and for what.
#[derive(Debug)]
struct Binding {
    reactor: Arc<Reactor>,
    key: SlotKey,
    interest: Interest,
}

impl Registration {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            readiness: Readiness::new(),
            bound: Bound::default(),
            binding: Mutex::new(None),
            waiters: Mutex::new(Waiters::default()),
            places: AtomicUsize::new(0),
        })
    }

    /// Whether an attempt in `direction` is worth its system call.
    #[inline]
    pub(crate) fn look(&self, direction: Direction) -> Option<Seen> {
        self.readiness.look(direction)
    }

    /// An event may have come that nobody has told of: the next attempt is worth its system call.
    pub(crate) fn suppose(&self, direction: Direction) {
        self.readiness.set(News::of(direction));
    }

    /// The attempt based on `seen` took all there was.
    #[inline]
    pub(crate) fn exhaust(&self, direction: Direction, seen: Seen) {
        self.readiness.exhaust(direction, seen);
    }

    /// The attempt based on `seen` would have blocked.
    pub(crate) fn disprove(&self, direction: Direction, seen: Seen) {
        self.readiness.disprove(direction, seen);
    }

    /// Waits until an attempt in `direction` is worth its system call again.
    ///
    /// `current` is the reactor of the thread that waits. It begins to watch the descriptor if none
    /// does, or if the one that does belongs to another runtime, or to another thread of the same one
    /// where nobody has waited for a while; see [`Bound`].
    ///
    /// # Errors
    ///
    /// [`NoReactor`] if nobody watches and there is no `current`; or what `epoll_ctl` says.
    pub(crate) fn poll_wait(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        direction: Direction,
        current: Option<&Arc<Reactor>>,
        key: &mut WaitKey,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let wanted = match direction {
            Direction::Read => READ,
            Direction::Write => Interest::WRITABLE,
        };
        let is_ready = || self.look(direction).is_some();
        self.poll_until(fd, (direction, wanted), current, key, cx, is_ready)
    }

    /// Waits until the connection is gone in both directions, whether what has come is read or not.
    ///
    /// There is one place for that: only the last caller is woken.
    ///
    /// # Errors
    ///
    /// As [`poll_wait`](Self::poll_wait).
    pub(crate) fn poll_hangup(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        current: Option<&Arc<Reactor>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let hung_up = || self.readiness.is_hung_up();
        if hung_up() {
            // Nothing is left to be watched for; over `poll` a new watch would begin.
            return Poll::Ready(Ok(()));
        }
        let way = (Direction::Read, HANGUP);
        self.poll_until(fd, way, current, &mut WaitKey::Hangup, cx, hung_up)
    }

    fn poll_until(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        (direction, wanted): (Direction, Interest),
        current: Option<&Arc<Reactor>>,
        key: &mut WaitKey,
        cx: &mut Context<'_>,
        is_ready: impl Fn() -> bool,
    ) -> Poll<io::Result<()>> {
        loop {
            self.bind(fd, wanted, current)?;
            match self.leave(direction, key, cx.waker(), &is_ready) {
                Left::Waits => return Poll::Pending,
                Left::Ready => return Poll::Ready(Ok(())),
                Left::ShutDown => {}
            }
        }
    }

    /// Ends the watch; the descriptor is about to be closed or given away.
    pub(crate) fn unbind(&self, fd: BorrowedFd<'_>) {
        self.bound.forget();
        let binding = self.binding.lock().take();
        if let Some(Binding { reactor, key, .. }) = binding {
            reactor.deregister(fd, key);
        }
    }

    /// Gives up the place of a future that waits no more.
    pub(crate) fn give_up(&self, direction: Direction, key: WaitKey) {
        let WaitKey::Future(number @ 1..) = key else { return };
        // Most often the event that ended the wait has emptied the place.
        if self.places.load(Ordering::Acquire) != 0 {
            self.give_up_place(direction, number);
        }
    }

    #[cold]
    fn give_up_place(&self, direction: Direction, number: u64) {
        let mut waiters = self.waiters.lock();
        let waker = waiters.remove(direction, number);
        self.count_places(&waiters);
        drop(waiters);
        drop(waker);
    }

    #[inline]
    fn count_places(&self, waiters: &Waiters) {
        self.places.store(waiters.len(), Ordering::Release);
    }

    fn bind(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        wanted: Interest,
        current: Option<&Arc<Reactor>>,
    ) -> io::Result<()> {
        if self.bound.suffices(wanted, current) && !self.readiness.is_shut_down() {
            return Ok(());
        }
        self.bind_anew(fd, wanted, current)
    }

    fn bind_anew(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        wanted: Interest,
        current: Option<&Arc<Reactor>>,
    ) -> io::Result<()> {
        let mut binding = self.binding.lock();
        if let Some(bound) = &mut *binding {
            let moves = current.is_some_and(|now| self.bound.moves_to(now, &bound.reactor));
            if !moves && !self.readiness.is_shut_down() {
                let interest = bound.interest | wanted;
                if interest != bound.interest || Reactor::REARMS {
                    bound.reactor.reregister(fd, bound.key, interest)?;
                    bound.interest = interest;
                    self.bound.note(&bound.reactor, interest);
                }
                return Ok(());
            }
        }
        let Some(current) = current else {
            self.readiness.unwatched();
            return Err(NoReactor.into());
        };
        let mut interest = wanted;
        if let Some(old) = binding.take() {
            self.bound.forget();
            old.reactor.deregister(fd, old.key);
            // Somebody may wait in the other direction, and has to be told from here on.
            interest |= old.interest;
        }
        self.readiness.revive();
        match current.register(fd, self, interest) {
            Ok(key) => {
                self.bound.note_new(current, interest);
                *binding = Some(Binding { reactor: Arc::clone(current), key, interest });
                Ok(())
            }
            Err(error) => {
                // Those who waited with the old reactor must find another, or get their error too.
                let mut wakes = WakeList::new();
                self.shut_down(&mut wakes);
                drop(binding);
                wakes.wake_all();
                Err(error)
            }
        }
    }

    fn leave(
        &self,
        direction: Direction,
        key: &mut WaitKey,
        waker: &Waker,
        is_ready: impl Fn() -> bool,
    ) -> Left {
        // Cloning runs code of the waker's owner, so it comes before the lock. It is seldom in vain:
        // whoever comes here was woken by the event that took its last waker out.
        let new = waker.clone();
        let mut waiters = self.waiters.lock();
        // Looked at under the lock: whoever sets the word takes the lock afterwards.
        let left = if self.readiness.is_shut_down() {
            Left::ShutDown
        } else if is_ready() {
            Left::Ready
        } else {
            Left::Waits
        };
        let spare = match left {
            Left::Waits => waiters.put(direction, key, new),
            Left::Ready | Left::ShutDown => Some(new),
        };
        self.count_places(&waiters);
        drop(waiters);
        drop(spare);
        left
    }

    /// An event has arrived: moves the wakers of those it concerns to `wakes`.
    pub(super) fn deliver(&self, news: News, wakes: &mut WakeList) {
        let hung_up = self.readiness.set(news);
        let mut waiters = self.waiters.lock();
        for direction in [Direction::Read, Direction::Write] {
            if news.concerns(direction) {
                waiters.take(direction, wakes);
            }
        }
        // The ends of the two directions may be told one after the other.
        if hung_up {
            waiters.take_hangup(wakes);
        }
        self.count_places(&waiters);
    }

    /// Nobody watches any more: moves all wakers to `wakes`.
    pub(super) fn shut_down(&self, wakes: &mut WakeList) {
        self.readiness.shut_down();
        let mut waiters = self.waiters.lock();
        waiters.take(Direction::Read, wakes);
        waiters.take(Direction::Write, wakes);
        waiters.take_hangup(wakes);
        self.count_places(&waiters);
    }
}

/// What became of somebody who wanted to wait.
enum Left {
    Waits,
    Ready,
    ShutDown,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::primitives::{AtomicBool, Ordering};
    use std::num::NonZeroU64;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::task::Wake;

    struct Told(AtomicBool);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_move_that_fails_strands_nobody() {
        let (first, ..) = Reactor::new(NonZeroU64::MIN).unwrap();
        let (second, ..) = Reactor::new(NonZeroU64::MAX).unwrap();
        second.shut_down(&mut WakeList::new());
        let (socket, _peer) = UnixStream::pair().unwrap();
        let registration = Registration::new();
        let wait = |direction, reactor, waker: &Waker| {
            registration.disprove(direction, registration.look(direction).unwrap());
            let mut cx = Context::from_waker(waker);
            let key = &mut WaitKey::Poll;
            registration.poll_wait(socket.as_fd(), direction, Some(reactor), key, &mut cx)
        };
        let told = Arc::new(Told(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&told));
        assert!(wait(Direction::Read, &first, &waker).is_pending());
        assert!(matches!(wait(Direction::Write, &second, Waker::noop()), Poll::Ready(Err(_))));
        assert!(told.0.load(Ordering::Relaxed), "nobody watches, and the reader does not know");
        assert!(wait(Direction::Read, &first, &waker).is_pending());
        registration.unbind(socket.as_fd());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::primitives::thread;
    use std::num::NonZeroU64;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::task::Wake;

    struct Told(crate::primitives::AtomicBool);

    impl Told {
        fn new() -> (Arc<Self>, Waker) {
            let told = Arc::new(Self(crate::primitives::AtomicBool::new(false)));
            (Arc::clone(&told), Waker::from(told))
        }

        fn is_told(&self) -> bool {
            self.0.load(crate::primitives::Ordering::Acquire)
        }
    }

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.store(true, crate::primitives::Ordering::Release);
        }
    }

    fn leave_reader(registration: &Registration, key: &mut WaitKey, waker: &Waker) -> Left {
        let is_ready = || registration.look(Direction::Read).is_some();
        registration.leave(Direction::Read, key, waker, is_ready)
    }

    fn deliver(registration: &Arc<Registration>, news: News) -> thread::JoinHandle<()> {
        let registration = Arc::clone(registration);
        thread::spawn(move || {
            let mut wakes = WakeList::new();
            registration.deliver(news, &mut wakes);
            wakes.wake_all();
        })
    }

    /// An attempt fails, its readiness is cleared and its waker left, while the event arrives.
    #[test]
    fn loom_event_against_wait() {
        loom::model(|| {
            let registration = Registration::new();
            // The attempt begins before the event; one that fails after it has taken the event's
            // news into account, and needs no wake.
            let seen = registration.look(Direction::Read).unwrap();
            let delivering = deliver(&registration, News::of(Direction::Read));
            let (told, waker) = Told::new();
            registration.disprove(Direction::Read, seen);
            let mut key = WaitKey::Future(0);
            let left = leave_reader(&registration, &mut key, &waker);
            delivering.join().unwrap();
            match left {
                Left::Ready => assert!(registration.look(Direction::Read).is_some()),
                Left::Waits => {
                    // Whoever gives up afterwards finds its place empty.
                    assert!(told.is_told(), "the wake was lost");
                    registration.give_up(Direction::Read, key);
                }
                Left::ShutDown => unreachable!(),
            }
        });
    }

    /// The two directions end, each told by a reactor of its own, as where the descriptor moves
    /// meanwhile, while somebody begins to wait for the end of both.
    #[test]
    fn loom_hangup_against_wait() {
        loom::model(|| {
            let registration = Registration::new();
            let ends = [Direction::Read, Direction::Write].map(News::end_of);
            let ends = ends.map(|news| deliver(&registration, news));
            let (told, waker) = Told::new();
            let hung_up = || registration.readiness.is_hung_up();
            let left = registration.leave(Direction::Read, &mut WaitKey::Hangup, &waker, hung_up);
            for end in ends {
                end.join().unwrap();
            }
            assert!(hung_up());
            match left {
                Left::Ready => {}
                Left::Waits => assert!(told.is_told(), "the wake was lost"),
                Left::ShutDown => unreachable!(),
            }
        });
    }

    /// The runtime ends while somebody begins to wait, and somebody else gives up.
    #[test]
    fn loom_shutdown_against_wait() {
        loom::model(|| {
            let registration = Registration::new();
            let seen = registration.look(Direction::Read).unwrap();
            registration.disprove(Direction::Read, seen);
            let mut gone = WaitKey::Future(0);
            leave_reader(&registration, &mut gone, Waker::noop());
            let ending = {
                let registration = registration.clone();
                thread::spawn(move || {
                    let mut wakes = WakeList::new();
                    registration.shut_down(&mut wakes);
                    wakes.wake_all();
                })
            };
            let (told, waker) = Told::new();
            let left = leave_reader(&registration, &mut WaitKey::Poll, &waker);
            registration.give_up(Direction::Read, gone);
            ending.join().unwrap();
            if let Left::Waits = left {
                assert!(told.is_told(), "the wake was lost");
            }
        });
    }

    /// The runtime ends while somebody begins to wait for the end of both directions.
    #[test]
    fn loom_shutdown_against_wait_for_hangup() {
        loom::model(|| {
            let registration = Registration::new();
            let ending = {
                let registration = registration.clone();
                thread::spawn(move || {
                    let mut wakes = WakeList::new();
                    registration.shut_down(&mut wakes);
                    wakes.wake_all();
                })
            };
            let (told, waker) = Told::new();
            let hung_up = || registration.readiness.is_hung_up();
            let left = registration.leave(Direction::Read, &mut WaitKey::Hangup, &waker, hung_up);
            ending.join().unwrap();
            match left {
                Left::ShutDown => {}
                Left::Waits => assert!(told.is_told(), "the wake was lost"),
                Left::Ready => unreachable!(),
            }
        });
    }

    fn wait(
        (socket, registration): (&UnixStream, &Arc<Registration>),
        direction: Direction,
        reactor: &Arc<Reactor>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let (key, mut cx) = (&mut WaitKey::Poll, Context::from_waker(waker));
        registration.poll_wait(socket.as_fd(), direction, Some(reactor), key, &mut cx)
    }

    /// Somebody waits again, with the reactor that watched, while the descriptor moves to one that has
    /// ended: whoever is not told waits with one that watches.
    #[test]
    fn loom_wait_against_move_that_fails() {
        loom::model(|| {
            let (first, ..) = Reactor::new(NonZeroU64::MIN).unwrap();
            let (ended, ..) = Reactor::new(NonZeroU64::MIN.saturating_add(1)).unwrap();
            ended.shut_down(&mut WakeList::new());
            let (socket, _peer) = UnixStream::pair().unwrap();
            let (socket, registration) = (Arc::new(socket), Registration::new());
            for direction in [Direction::Read, Direction::Write] {
                registration.disprove(direction, registration.look(direction).unwrap());
            }
            let both = (&*socket, &registration);
            assert!(wait(both, Direction::Read, &first, Waker::noop()).is_pending());
            let moving = {
                let (socket, registration) = (Arc::clone(&socket), Arc::clone(&registration));
                thread::spawn(move || {
                    let both = (&*socket, &registration);
                    let waited = wait(both, Direction::Write, &ended, Waker::noop());
                    assert!(matches!(waited, Poll::Ready(Err(_))));
                })
            };
            let (told, waker) = Told::new();
            let waited = wait(both, Direction::Read, &first, &waker);
            moving.join().unwrap();
            if waited.is_pending() {
                let watched = registration.binding.lock().is_some();
                assert!(told.is_told() || watched, "nobody watches, and the reader does not know");
            }
            registration.unbind(socket.as_fd());
        });
    }
}
