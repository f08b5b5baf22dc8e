//! Models of the one-thread scheduler, whole: other threads against a thread that goes to sleep, or
//! that ends.

use super::host::Budget;
use super::local::Local;
use super::no_executor::NoExecutor;
use crate::driver::{Clock, Driver, KernelTimers};
use crate::hooks::HookSet;
use crate::primitives::{Arc, AtomicBool, AtomicU32, Mutex, Ordering, thread, unique_id};
use crate::sync::oneshot;
use crate::task::{JoinHandle, spawn, spawn_local};
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn local() -> Local {
    let driver =
        Driver::new(unique_id(), Clock::real(), Duration::from_millis(1), KernelTimers::Unused)
            .unwrap();
    Local::new(driver, HookSet::default(), |_, _| std::sync::Arc::new(NoExecutor))
}

fn block_on<F: Future>(local: &Local, future: F) -> F::Output {
    local.block_on(pin!(future)).unwrap()
}

/// A flag and whoever waits for it, as a user would write it.
#[derive(Default)]
struct Flag {
    set: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flag {
    fn set(&self) {
        self.set.store(true, Ordering::Release);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.set.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            *self.waker.lock() = Some(cx.waker().clone());
            // Set between the look and the waker's arrival?
            if self.set.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The root waits, is woken from elsewhere, and must not be slept over.
#[test]
fn loom_root_wake_against_sleep() {
    loom::model(|| {
        let local = local();
        let flag = Arc::new(Flag::default());
        let other = {
            let flag = Arc::clone(&flag);
            thread::spawn(move || flag.set())
        };
        block_on(&local, flag.wait());
        other.join().unwrap();
    });
}

/// A waker that an earlier root left behind wakes the next one, whatever it means to: the poll sees
/// what came before the wake, or another follows.
#[test]
fn loom_wake_of_an_earlier_root_against_the_next() {
    loom::model(|| {
        let local = local();
        let waker = block_on(&local, poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        let news = Arc::new(AtomicBool::new(false));
        let other = {
            let news = Arc::clone(&news);
            thread::spawn(move || {
                news.store(true, Ordering::Relaxed);
                waker.wake();
            })
        };
        let look = |_: &mut Context<'_>| match news.load(Ordering::Relaxed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        };
        block_on(&local, poll_fn(look));
        other.join().unwrap();
    });
}

/// The root is woken while a notice for something else is being taken.
#[test]
fn loom_root_wake_against_a_notice_for_a_task() {
    loom::model(|| {
        let local = local();
        let flag = Arc::new(Flag::default());
        let spawner = std::sync::Arc::clone(&local.current().spawn);
        let other = {
            let flag = Arc::clone(&flag);
            thread::spawn(move || {
                drop(spawn(&*spawner, async {}, Location::caller()));
                flag.set();
            })
        };
        block_on(&local, flag.wait());
        other.join().unwrap();
    });
}

/// A task is spawned from elsewhere against a thread that goes to sleep.
#[test]
fn loom_spawn_against_sleep() {
    loom::model(|| {
        let local = local();
        let flag = Arc::new(Flag::default());
        let spawner = std::sync::Arc::clone(&local.current().spawn);
        let other = {
            let flag = Arc::clone(&flag);
            // The task sets the flag on the runtime's own thread.
            thread::spawn(move || {
                drop(spawn(&*spawner, async move { flag.set() }, Location::caller()))
            })
        };
        block_on(&local, flag.wait());
        other.join().unwrap();
        assert_eq!(local.live_tasks(), 0);
    });
}

/// A task that waits is woken from elsewhere, and the root joins it.
#[test]
fn loom_task_wake_against_sleep() {
    loom::model(|| {
        let local = local();
        let flag = Arc::new(Flag::default());
        let task = {
            let flag = Arc::clone(&flag);
            spawn_local(
                &*local.current().spawn,
                async move { flag.wait().await },
                Location::caller(),
            )
        };
        let other = thread::spawn(move || flag.set());
        block_on(&local, task).unwrap();
        other.join().unwrap();
        assert_eq!(local.live_tasks(), 0);
    });
}

/// The runtime ends while another thread wakes, aborts and spawns: every future is dropped once.
#[test]
fn loom_end_against_wake_and_spawn() {
    struct CountDrop(Arc<AtomicU32>);
    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    loom::model(|| {
        let local = local();
        let dropped = Arc::new(AtomicU32::new(0));
        let held = CountDrop(Arc::clone(&dropped));
        let mut kept = None;
        let task: JoinHandle<()> = spawn_local(
            &*local.current().spawn,
            poll_fn(move |_| {
                let _ = &held;
                Poll::Pending
            }),
            Location::caller(),
        );
        block_on(
            &local,
            poll_fn(|cx: &mut Context<'_>| {
                if kept.replace(cx.waker().clone()).is_some() {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }),
        );
        let spawner = std::sync::Arc::clone(&local.current().spawn);
        let held = CountDrop(Arc::clone(&dropped));
        let other = thread::spawn(move || {
            task.abort();
            drop(task);
            let late = spawn(
                &*spawner,
                async move {
                    let _held = held;
                },
                Location::caller(),
            );
            drop(late);
            kept.unwrap().wake();
        });
        let home = std::sync::Arc::downgrade(&local.home);
        drop(local);
        other.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        assert!(home.upgrade().is_none(), "something was left that nobody takes");
    });
}

/// A host that only watches the descriptor, against threads that spawn and wake.
fn host_until(local: &Local, done: impl Fn() -> bool) {
    while !done() {
        // A lost wake shows as a sleep without end.
        local.current().driver.watch();
        while local.turn_once(Budget::new()).unwrap().has_more {}
    }
}

#[test]
fn loom_inbox_against_host_parked() {
    loom::model(|| {
        let local = local();
        local.descriptor();
        let done = Arc::new(AtomicU32::new(0));
        let spawner = local.current().spawn.clone();
        let other = {
            let done = done.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let done = done.clone();
                    drop(spawn(
                        &*spawner,
                        async move {
                            done.fetch_add(1, Ordering::Relaxed);
                        },
                        Location::caller(),
                    ));
                }
            })
        };
        host_until(&local, || done.load(Ordering::Relaxed) == 2);
        other.join().unwrap();
    });
}

#[test]
fn loom_wake_against_host_parked() {
    loom::model(|| {
        let local = local();
        local.descriptor();
        let (sender, receiver) = oneshot::channel::<()>();
        let task = spawn_local(&*local.current().spawn, receiver, Location::caller());
        let other = thread::spawn(move || drop(sender.send(())));
        host_until(&local, || task.is_finished());
        other.join().unwrap();
    });
}

#[test]
fn loom_timer_of_another_thread_against_host_parked() {
    loom::model(|| {
        let local = local();
        local.descriptor();
        let driver = local.current().driver.clone();
        let other = thread::spawn(move || {
            let mut timer = None;
            let deadline = driver.clock().now() + Duration::from_millis(5);
            let _armed = driver.poll_timer(&mut timer, deadline, Waker::noop());
            driver
        });
        // Either the deadline was there when the host asked, or the descriptor tells of it.
        if local.next_deadline().is_none() {
            local.current().driver.watch();
            local.turn_once(Budget::new()).unwrap();
            assert!(local.next_deadline().is_some());
        }
        drop(other.join().unwrap());
    });
}
