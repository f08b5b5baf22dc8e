//! Registrations with real descriptors and reactors that the test turns itself.

use super::readiness::News;
use super::*;
use crate::primitives::{AtomicBool, AtomicUsize, Ordering};
use crate::util::WakeList;
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const WATCHDOG: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    fn new() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct Turned {
    reactor: Arc<Reactor>,
    poller: Poller,
}

impl Turned {
    fn new(runtime: u64) -> Self {
        let (reactor, poller, _alarm) = Reactor::new(NonZeroU64::new(runtime).unwrap()).unwrap();
        Self { reactor, poller }
    }

    /// Takes what there is from the kernel; it is delivered by `dispatch` only.
    fn wait(&mut self) {
        self.poller.wait(Some(Duration::ZERO)).unwrap();
    }

    fn dispatch(&self) -> usize {
        let mut wakes = WakeList::new();
        let count = self.reactor.dispatch(&self.poller, &mut wakes);
        wakes.wake_all();
        count.descriptors
    }

    fn turn(&mut self) -> usize {
        self.wait();
        self.dispatch()
    }

    fn shut_down(&self) {
        let mut wakes = WakeList::new();
        self.reactor.shut_down(&mut wakes);
        wakes.wake_all();
    }
}

struct End {
    stream: UnixStream,
    registration: Arc<Registration>,
}

/// One end that the test waits for, and the other.
fn pair() -> (End, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    (End { stream: near, registration: Registration::new() }, far)
}

impl Drop for End {
    fn drop(&mut self) {
        self.registration.unbind(self.stream.as_fd());
    }
}

impl End {
    /// Waits for `direction` after an attempt that would have blocked.
    fn wait(
        &self,
        direction: Direction,
        on: Option<&Turned>,
        key: &mut WaitKey,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        while let Some(seen) = self.registration.look(direction) {
            self.registration.disprove(direction, seen);
        }
        self.wait_again(direction, on, key, waker)
    }

    fn wait_again(
        &self,
        direction: Direction,
        on: Option<&Turned>,
        key: &mut WaitKey,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let mut cx = Context::from_waker(waker);
        let current = on.map(|on| &on.reactor);
        self.registration.poll_wait(self.stream.as_fd(), direction, current, key, &mut cx)
    }

    /// Waits to read, told to nobody.
    fn wait_at(&self, reactor: &Arc<Reactor>) -> Poll<io::Result<()>> {
        while let Some(seen) = self.registration.look(Direction::Read) {
            self.registration.disprove(Direction::Read, seen);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let key = &mut WaitKey::Poll;
        self.registration.poll_wait(
            self.stream.as_fd(),
            Direction::Read,
            Some(reactor),
            key,
            &mut cx,
        )
    }

    fn wait_for_hangup(&self, on: &Turned, waker: &Waker) -> Poll<io::Result<()>> {
        let mut cx = Context::from_waker(waker);
        self.registration.poll_hangup(self.stream.as_fd(), Some(&on.reactor), &mut cx)
    }
}

#[test]
fn an_event_wakes_all_who_wait_in_its_direction() {
    let mut on = Turned::new(1);
    let (end, mut far) = pair();
    // Full, so that writing has to wait.
    while (&end.stream).write(&[0; 4096]).is_ok() {}
    let wakers: Vec<_> = (0..4).map(|_| Counter::new()).collect();
    let mut keys = [WaitKey::Future(0), WaitKey::Future(0), WaitKey::Poll, WaitKey::Future(0)];
    for (n, key) in keys.iter_mut().enumerate() {
        let direction = if n == 3 { Direction::Write } else { Direction::Read };
        assert!(end.wait(direction, Some(&on), key, &wakers[n].1).is_pending());
    }
    assert_eq!(on.turn(), 0);
    end.registration.give_up(Direction::Read, keys[1]);
    assert_eq!(Arc::strong_count(&wakers[1].0), 2, "its waker was not kept");
    far.write_all(b"x").unwrap();
    on.turn();
    let counts: Vec<_> = wakers.iter().map(|(counter, _)| counter.count()).collect();
    assert_eq!(counts, [1, 0, 1, 0]);
    assert!(end.registration.look(Direction::Read).is_some());
    assert!(end.registration.look(Direction::Write).is_none());

    far.read_exact(&mut [0; 4096]).unwrap();
    far.set_nonblocking(true).unwrap();
    while far.read(&mut [0; 4096]).is_ok() {}
    on.turn();
    let counts: Vec<_> = wakers.iter().map(|(counter, _)| counter.count()).collect();
    assert_eq!(counts, [1, 0, 1, 1]);
}

#[test]
fn an_event_on_its_way_to_a_closed_descriptor_reaches_nobody() {
    let mut on = Turned::new(1);
    let (first, mut far) = pair();
    let (counter, waker) = Counter::new();
    let mut key = WaitKey::Future(0);
    assert!(first.wait(Direction::Read, Some(&on), &mut key, &waker).is_pending());
    far.write_all(b"x").unwrap();
    on.wait();
    // The event is here but not delivered; its slot gets another tenant.
    first.registration.unbind(first.stream.as_fd());
    let (second, _far) = pair();
    let mut key = WaitKey::Future(0);
    assert!(second.wait(Direction::Read, Some(&on), &mut key, &waker).is_pending());
    assert_eq!(on.dispatch(), 0);
    assert!(second.registration.look(Direction::Read).is_none());
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_descriptor_moves_to_another_runtime_with_both_directions() {
    let (mut a, mut b) = (Turned::new(1), Turned::new(2));
    let (end, mut far) = pair();
    while (&end.stream).write(&[0; 4096]).is_ok() {}
    let ((read, read_waker), (write, write_waker)) = (Counter::new(), Counter::new());
    let (mut read_key, mut write_key) = (WaitKey::Poll, WaitKey::Poll);
    assert!(end.wait(Direction::Read, Some(&a), &mut read_key, &read_waker).is_pending());
    assert!(end.wait(Direction::Write, Some(&b), &mut write_key, &write_waker).is_pending());
    far.write_all(b"x").unwrap();
    assert_eq!(a.turn(), 0, "it was taken along");
    assert_eq!(b.turn(), 1);
    assert_eq!((read.count(), write.count()), (1, 0));
    // Without a runtime of its own, whoever waits stays where the descriptor is.
    assert!(end.wait(Direction::Read, None, &mut read_key, &read_waker).is_pending());
}

#[test]
fn a_descriptor_moves_while_somebody_waits_for_its_hangup() {
    let (mut a, mut b) = (Turned::new(1), Turned::new(2));
    let (end, far) = pair();
    let ((read, read_waker), (hangup, hangup_waker)) = (Counter::new(), Counter::new());
    assert!(end.wait_for_hangup(&a, &hangup_waker).is_pending());
    let mut key = WaitKey::Poll;
    assert!(end.wait(Direction::Read, Some(&b), &mut key, &read_waker).is_pending());
    far.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!((a.turn(), b.turn()), (0, 1));
    assert_eq!((read.count(), hangup.count()), (1, 0), "one direction goes on");
    // It moves back, and the end of the runtime that has it is told, too.
    assert!(end.wait_for_hangup(&a, &hangup_waker).is_pending());
    a.shut_down();
    assert_eq!(hangup.count(), 1);
    assert!(end.wait_for_hangup(&b, &hangup_waker).is_pending());
    drop(far);
    b.turn();
    assert_eq!(hangup.count(), 2);
    assert!(matches!(end.wait_for_hangup(&b, &hangup_waker), Poll::Ready(Ok(()))));
}

#[test]
fn the_ends_of_the_two_directions_make_a_hangup_together() {
    for first in [Direction::Read, Direction::Write] {
        let on = Turned::new(1);
        let (end, _far) = pair();
        let (counter, waker) = Counter::new();
        assert!(end.wait_for_hangup(&on, &waker).is_pending());
        let second = if first == Direction::Read { Direction::Write } else { Direction::Read };
        for (direction, count) in [(first, 0), (second, 1)] {
            let mut wakes = WakeList::new();
            end.registration.deliver(News::end_of(direction), &mut wakes);
            wakes.wake_all();
            assert_eq!(counter.count(), count, "{direction:?}");
        }
    }
}

#[test]
fn what_hangs_up_before_its_event_is_told_can_be_waited_for() {
    let mut on = Turned::new(1);
    let (end, far) = pair();
    let ((read, read_waker), (hangup, hangup_waker)) = (Counter::new(), Counter::new());
    assert!(end.wait_for_hangup(&on, &hangup_waker).is_pending());
    drop(far);
    // Over `poll`, mio has ended the watch by itself now.
    on.wait();
    let mut key = WaitKey::Poll;
    assert!(end.wait(Direction::Read, Some(&on), &mut key, &read_waker).is_pending());
    assert!(end.wait_for_hangup(&on, &hangup_waker).is_pending());
    on.dispatch();
    assert_eq!((read.count(), hangup.count()), (1, 1));
}

#[test]
fn another_reactor_of_the_same_runtime_takes_nothing_over() {
    let (mut a, mut b) = (Turned::new(1), Turned::new(1));
    let (end, mut far) = pair();
    let (counter, waker) = Counter::new();
    let mut key = WaitKey::Poll;
    assert!(end.wait(Direction::Read, Some(&a), &mut key, &waker).is_pending());
    assert!(end.wait(Direction::Read, Some(&b), &mut key, &waker).is_pending());
    far.write_all(b"x").unwrap();
    assert_eq!((b.turn(), a.turn(), counter.count()), (0, 1, 1));
}

#[test]
fn the_end_of_a_reactor_is_told_and_another_one_takes_over() {
    let a = Turned::new(1);
    let (end, mut far) = pair();
    let (counter, waker) = Counter::new();
    let mut key = WaitKey::Future(0);
    assert!(end.wait(Direction::Read, Some(&a), &mut key, &waker).is_pending());
    a.shut_down();
    assert_eq!(counter.count(), 1);
    for on in [None, Some(&a)] {
        let Poll::Ready(Err(error)) = end.wait(Direction::Read, on, &mut key, &waker) else {
            panic!("an ended reactor watches nothing");
        };
        assert!(error.get_ref().unwrap().is::<NoReactor>());
    }
    let mut b = Turned::new(2);
    assert!(end.wait(Direction::Read, Some(&b), &mut key, &waker).is_pending());
    far.write_all(b"x").unwrap();
    assert_eq!((b.turn(), counter.count()), (1, 2));
}

#[test]
fn the_end_of_a_reactor_is_told_in_both_directions() {
    let a = Turned::new(1);
    let (end, _far) = pair();
    let waits = [Direction::Read, Direction::Write].map(|direction| {
        let (counter, waker) = Counter::new();
        assert!(end.wait(direction, Some(&a), &mut WaitKey::Poll, &waker).is_pending());
        counter
    });
    a.shut_down();
    assert_eq!(waits.map(|counter| counter.count()), [1, 1]);
}

#[test]
fn after_the_end_of_a_watch_who_waits_begins_another() {
    let mut on = Turned::new(1);
    let (end, mut far) = pair();
    let (counter, waker) = Counter::new();
    let mut key = WaitKey::Poll;
    assert!(end.wait(Direction::Read, Some(&on), &mut key, &waker).is_pending());
    end.registration.unbind(end.stream.as_fd());
    far.write_all(b"x").unwrap();
    assert_eq!((on.turn(), counter.count()), (0, 0));
    assert!(end.wait(Direction::Read, Some(&on), &mut key, &waker).is_pending());
    assert_eq!((on.turn(), counter.count()), (1, 1));
}

#[test]
fn what_nobody_can_watch_is_tried_again() {
    let (end, _far) = pair();
    let (_, waker) = Counter::new();
    let mut key = WaitKey::Poll;
    let poll = end.wait(Direction::Read, None, &mut key, &waker);
    assert!(matches!(poll, Poll::Ready(Err(_))));
    assert!(end.registration.look(Direction::Read).is_some());
}

#[test]
fn a_new_waker_takes_the_place_of_the_old_one() {
    let mut on = Turned::new(1);
    let (end, mut far) = pair();
    let ((first, first_waker), (second, second_waker)) = (Counter::new(), Counter::new());
    let mut key = WaitKey::Future(0);
    assert!(end.wait(Direction::Read, Some(&on), &mut key, &first_waker).is_pending());
    let before = key;
    assert!(end.wait(Direction::Read, Some(&on), &mut key, &second_waker).is_pending());
    assert_eq!(key, before);
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1);
    far.write_all(b"x").unwrap();
    on.turn();
    assert_eq!((first.count(), second.count()), (0, 1));
}

/// The reactors of one runtime: a descriptor follows who waits for it, but not at once.
#[test]
fn a_descriptor_follows_whoever_waits_for_it_again_and_again() {
    let (mut first, mut second) = (Turned::new(1), Turned::new(1));
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let registration = Registration::new();
    let (counter, waker) = Counter::new();
    let mut waits = 0;
    let mut wait_at = |reactor: &Arc<Reactor>| {
        if let Some(seen) = registration.look(Direction::Read) {
            registration.disprove(Direction::Read, seen);
        }
        let mut cx = Context::from_waker(&waker);
        let (fd, key) = (socket.as_fd(), &mut WaitKey::Poll);
        assert!(
            registration.poll_wait(fd, Direction::Read, Some(reactor), key, &mut cx).is_pending()
        );
        waits += 1;
        waits
    };
    wait_at(&first.reactor);
    for _ in 0..8 {
        wait_at(&second.reactor);
    }
    peer.write_all(b"1").unwrap();
    assert_eq!((second.turn(), first.turn()), (0, 1), "it stays");
    wait_at(&first.reactor);
    for _ in 0..8 {
        wait_at(&second.reactor);
    }
    wait_at(&first.reactor);
    wait_at(&second.reactor);
    peer.write_all(b"2").unwrap();
    assert_eq!((second.turn(), first.turn()), (0, 1), "a wait at home starts anew");
    for _ in 0..9 {
        wait_at(&second.reactor);
    }
    // Bound anew, the kernel tells again what was there.
    second.turn();
    wait_at(&second.reactor);
    peer.write_all(b"3").unwrap();
    assert_eq!((first.turn(), second.turn()), (0, 1), "it has moved");
    assert!(counter.count() >= 3);
    registration.unbind(socket.as_fd());
}

#[test]
fn a_wait_takes_all_that_has_rung_and_needs_nobody_who_could_ring() {
    let (_reactor, mut poller, alarm) = Reactor::new(NonZeroU64::MIN).unwrap();
    for _ in 0..2 {
        // More than a pipe holds.
        (0..100_000).for_each(|_| alarm.ring().unwrap());
        poller.wait(None).unwrap();
        assert_eq!(poller.events().iter().count(), 1);
        poller.wait(Some(Duration::ZERO)).unwrap();
        assert!(poller.events().is_empty());
    }
    drop(alarm);
    poller.wait(Some(Duration::ZERO)).unwrap();
    assert!(poller.events().is_empty(), "its end is no event");
}

#[test]
fn nobody_need_be_there_to_hear_a_ring() {
    let (reactor, poller, alarm) = Reactor::new(NonZeroU64::MIN).unwrap();
    drop((reactor, poller));
    alarm.ring().unwrap();
}

/// Who watches a descriptor, asks for it again or ceases to while another thread sleeps in the kernel
/// takes no ring away from that.
#[test]
fn each_ring_is_answered_while_others_watch_and_cease() {
    const RINGS: usize = 10_000;
    const OTHERS: usize = 3;
    let (reactor, mut poller, alarm) = Reactor::new(NonZeroU64::MIN).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let (answer, answers) = mpsc::channel();
    let sleeper = thread::spawn({
        let asked = Arc::clone(&asked);
        move || {
            let mut seen = 0;
            while seen < RINGS {
                poller.wait(None).unwrap();
                let now = asked.load(Ordering::Acquire);
                if now > seen {
                    seen = now;
                    answer.send(seen).unwrap();
                }
            }
        }
    });
    // One step of each other for one ring, or what a ring lost would be made up for by the next step.
    let round = Arc::new(Barrier::new(OTHERS + 1));
    let others: Vec<_> = (0..OTHERS)
        .map(|first| {
            let (reactor, round) = (Arc::clone(&reactor), Arc::clone(&round));
            let (end, far) = pair();
            thread::spawn(move || {
                let _far = far;
                for step in first..first + RINGS {
                    round.wait();
                    match step % 3 {
                        2 => end.registration.unbind(end.stream.as_fd()),
                        _ => assert!(end.wait_at(&reactor).is_pending()),
                    }
                }
            })
        })
        .collect();
    for ring in 1..=RINGS {
        round.wait();
        asked.store(ring, Ordering::Release);
        alarm.ring().unwrap();
        assert_eq!(answers.recv_timeout(WATCHDOG), Ok(ring), "nobody has heard it");
    }
    others.into_iter().for_each(|other| other.join().unwrap());
    sleeper.join().unwrap();
}

/// Nor do they put off its end.
#[test]
fn a_wait_ends_in_its_time_while_others_watch_and_cease() {
    const TIME: Duration = Duration::from_millis(50);
    let (reactor, mut poller, _alarm) = Reactor::new(NonZeroU64::MIN).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let sleeper = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let end = Instant::now() + TIME;
            while let Some(left) = end.checked_duration_since(Instant::now()) {
                poller.wait(Some(left)).unwrap();
            }
            over.store(true, Ordering::Relaxed);
        }
    });
    let (end, _far) = pair();
    let start = Instant::now();
    while !over.load(Ordering::Relaxed) {
        assert!(start.elapsed() < WATCHDOG, "it begins anew each time");
        assert!(end.wait_at(&reactor).is_pending());
        thread::sleep(TIME / 10);
        end.registration.unbind(end.stream.as_fd());
    }
    sleeper.join().unwrap();
}
