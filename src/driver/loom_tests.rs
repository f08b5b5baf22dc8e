//! Models of the sleep: whoever arms or unparks against the thread that goes to sleep.

use super::*;
use crate::primitives::{AtomicU32, Ordering, Parker, thread};
use Ordering::{AcqRel, Acquire};

fn driver() -> Arc<Driver> {
    let driver =
        Driver::new(NonZeroU64::MIN, Clock::real(), Duration::from_millis(1), KernelTimers::Unused)
            .unwrap();
    Arc::new(driver)
}

fn arm(driver: &Driver, after: Duration) -> Option<Timer> {
    let mut timer = None;
    let deadline = driver.clock().now() + after;
    assert_eq!(driver.poll_timer(&mut timer, deadline, Waker::noop()), TimerPoll::Waits);
    timer
}

const DAY: Duration = Duration::from_secs(86_400);
const SOON: Duration = Duration::from_millis(5);

fn sleep(driver: &Driver) -> Turn {
    Turn::Sleep(driver.clock().now())
}

/// A sleep without end, or until tomorrow, against a timer that is due soon.
fn arm_against_sleep(first: Option<Duration>) {
    loom::model(move || {
        let driver = driver();
        if let Some(first) = first {
            arm(&driver, first);
        }
        let arming = {
            let driver = Arc::clone(&driver);
            thread::spawn(move || arm(&driver, SOON))
        };
        // It never comes back if it sleeps past the deadline. With the second turn the deadline is
        // there already, unless the first came back before.
        let mut wakes = WakeList::new();
        driver.turn(sleep(&driver), &mut wakes).unwrap();
        arming.join().unwrap();
        driver.take_notified();
        driver.turn(sleep(&driver), &mut wakes).unwrap();
    });
}

#[test]
fn loom_arm_against_a_sleep_without_end() {
    arm_against_sleep(None);
}

#[test]
fn loom_arm_against_a_long_sleep() {
    arm_against_sleep(Some(DAY));
}

/// Two threads arm: one later than the sleeper would wake, which must not disturb the other.
#[test]
fn loom_arm_twice_against_sleep() {
    loom::model(|| {
        let driver = driver();
        let arming: Vec<_> = [DAY, SOON]
            .into_iter()
            .map(|after| {
                let driver = Arc::clone(&driver);
                thread::spawn(move || arm(&driver, after))
            })
            .collect();
        let mut wakes = WakeList::new();
        driver.turn(sleep(&driver), &mut wakes).unwrap();
        driver.take_notified();
        // The first sleep may have ended for the later timer; this one ends for the earlier.
        driver.turn(sleep(&driver), &mut wakes).unwrap();
        for arming in arming {
            arming.join().unwrap();
        }
    });
}

/// A guest comes out of its sleep, because the driver's thread wants to sleep there itself, and arms a
/// timer.
#[test]
fn loom_arm_after_a_sleep_as_a_guest() {
    loom::model(|| {
        let driver = driver();
        // As `turn_as_guest` does it. But loom lets a `try_lock` wait if it is about to begin when
        // another succeeds, so that this one comes before there is another thread.
        let sleeper = driver.poller.lock();
        assert!(driver.unpark.announce());
        let own_thread = {
            let driver = Arc::clone(&driver);
            thread::spawn(move || {
                // It never comes back if it sleeps past the deadline.
                driver.turn(sleep(&driver), &mut WakeList::new()).unwrap();
            })
        };
        driver.turn_with(sleeper, Some(driver.clock().now()), &mut WakeList::new()).unwrap();
        arm(&driver, SOON);
        own_thread.join().unwrap();
    });
}

/// In virtual time: nothing to jump to, against a timer that is armed meanwhile.
#[test]
fn loom_arm_against_a_sleep_in_virtual_time() {
    loom::model(|| {
        let clock = Clock::Virtual(VirtualTime::new(None));
        let driver = Driver::new(NonZeroU64::MIN, clock, SOON / 5, KernelTimers::Unused).unwrap();
        let driver = Arc::new(driver);
        let arming = {
            let driver = Arc::clone(&driver);
            thread::spawn(move || {
                // `Clock::now` stands still in a model; a virtual clock may not.
                let deadline = driver.clock().as_virtual().unwrap().now() + SOON;
                let mut timer = None;
                let poll = driver.poll_timer(&mut timer, deadline, Waker::noop());
                assert_eq!(poll, TimerPoll::Waits);
            })
        };
        // It never comes back if it sleeps through the arming.
        let mut wakes = WakeList::new();
        while driver.turn(sleep(&driver), &mut wakes).unwrap().timers_fired == 0 {
            driver.take_notified();
        }
        arming.join().unwrap();
    });
}

/// A timer is cancelled and its waker replaced while the driver ends: nothing is kept.
#[test]
fn loom_shutdown_against_refresh_and_cancel() {
    loom::model(|| {
        let driver = driver();
        let mut timer = arm(&driver, SOON);
        let other = arm(&driver, SOON).unwrap();
        let ending = {
            let driver = Arc::clone(&driver);
            thread::spawn(move || {
                let mut wakes = WakeList::new();
                driver.shut_down(&mut wakes);
                wakes.len()
            })
        };
        let deadline = driver.clock().now() + SOON;
        let poll = driver.poll_timer(&mut timer, deadline, Waker::noop());
        driver.cancel_timer(other);
        let woken = ending.join().unwrap();
        assert!((1..=2).contains(&woken), "those who wait are told of the end");
        match poll {
            TimerPoll::Waits => assert!(timer.is_some()),
            TimerPoll::Closed => assert!(timer.is_none()),
            TimerPoll::Fired => unreachable!("time stands still"),
        }
        assert_eq!(driver.poll_timer(&mut None, deadline, Waker::noop()), TimerPoll::Closed);
    });
}

/// A guest is called while the driver's own thread only looks: that must not take the ring which ends
/// the guest's sleep.
#[test]
fn loom_ring_for_a_guest_against_a_look() {
    const AWAKE: u32 = 0;
    const IN_DRIVER: u32 = 1;
    const WOKEN: u32 = 2;
    loom::model(|| {
        let driver = driver();
        let state = crate::primitives::Arc::new(AtomicU32::new(AWAKE));
        let calling = {
            let (driver, state) = (Arc::clone(&driver), state.clone());
            thread::spawn(move || {
                if state.swap(WOKEN, AcqRel) == IN_DRIVER {
                    driver.ring();
                }
            })
        };
        let looking = {
            let driver = Arc::clone(&driver);
            thread::spawn(move || {
                driver.turn(Turn::Look, &mut WakeList::new()).unwrap();
            })
        };
        let announce = || state.compare_exchange(AWAKE, IN_DRIVER, AcqRel, Acquire).is_ok();
        while state.load(Acquire) != WOKEN {
            if driver
                .turn_as_guest(Turn::Sleep(driver.clock().now()), announce, &mut WakeList::new())
                .is_none()
            {
                thread::yield_now();
            }
            let _ = state.compare_exchange(IN_DRIVER, AWAKE, AcqRel, Acquire);
        }
        calling.join().unwrap();
        looking.join().unwrap();
    });
}

/// The driver's own thread wants to sleep while a guest does, and gets its place.
///
/// One guest, once: loom takes a `try_lock` that another thread has come before for a `lock`.
#[test]
fn loom_reclaim_against_a_guest() {
    loom::model(|| {
        let driver = driver();
        let begun = crate::primitives::Arc::new(Parker::new());
        let guest = {
            let (driver, begun) = (Arc::clone(&driver), begun.clone());
            thread::spawn(move || {
                let announce = || {
                    begun.unpark();
                    true
                };
                // It does not come back if it is not told to go.
                let _ = driver.turn_as_guest(
                    Turn::Sleep(driver.clock().now()),
                    announce,
                    &mut WakeList::new(),
                );
                driver.unpark();
            })
        };
        begun.park();
        while !driver.take_notified() {
            driver.turn(sleep(&driver), &mut WakeList::new()).unwrap();
        }
        guest.join().unwrap();
    });
}
