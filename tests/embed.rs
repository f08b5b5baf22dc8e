//! A runtime driven by a host: turns, the descriptor, deadlines.
#![cfg(not(any(loom, mio_unsupported_force_poll_poll)))]
#![allow(clippy::disallowed_types)]

#[path = "common/host.rs"]
mod host;
#[path = "common/watchdog.rs"]
mod watchdog;

use host::{drain, host_until, is_readable, runtime, waits};
use mainspring::io::AsyncFd;
use mainspring::net::TcpListener;
use mainspring::time::{Instant, sleep};
use mainspring::{Budget, LocalRuntime, TurnError, spawn_local, yield_now};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_turn_does_what_there_is_and_no_more() {
    within(|| {
        let rt = runtime();
        let report = rt.turn(Budget::new()).unwrap();
        assert_eq!((report.polled, report.has_more), (0, false));
        let count = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let count = count.clone();
            drop(rt.spawn_local(async move {
                yield_now().await;
                count.set(count.get() + 1);
            }));
        }
        let report = rt.turn(Budget::new().max_polls(4)).unwrap();
        assert_eq!((report.polled, report.has_more, count.get()), (4, true, 0));
        assert_eq!(rt.turn(Budget::new().max_polls(0)).unwrap().polled, 0);
        assert!(rt.turn(Budget::new().max_polls(0)).unwrap().has_more);
        let report = rt.turn(Budget::new().max_time(Duration::ZERO)).unwrap();
        assert_eq!(report.polled, 1, "time is asked between polls");
        assert_eq!((drain(&rt), count.get()), (15, 10));
    });
}

#[test]
fn the_descriptor_is_readable_while_there_is_something_to_do() {
    within(|| {
        let rt = runtime();
        assert!(!is_readable(&rt));
        // A spawn by the host itself.
        let task = rt.spawn_local(yield_now());
        assert!(is_readable(&rt));
        let report = rt.turn(Budget::new().max_polls(1)).unwrap();
        assert!(report.has_more && is_readable(&rt), "left over");
        drain(&rt);
        assert!(task.is_finished() && !is_readable(&rt));
        // A wake by the host itself.
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        let woken = rt.spawn_local({
            let waker = waker.clone();
            poll_fn(move |cx| match waker.replace(Some(cx.waker().clone())) {
                None => Poll::Pending,
                Some(_) => Poll::Ready(()),
            })
        });
        drain(&rt);
        assert!(!is_readable(&rt));
        waker.borrow().as_ref().unwrap().wake_by_ref();
        assert!(is_readable(&rt));
        drain(&rt);
        assert!(woken.is_finished() && !is_readable(&rt));
        // One from another thread.
        let handle = rt.handle();
        thread::spawn(move || drop(handle.spawn(async {}))).join().unwrap();
        assert!(is_readable(&rt));
        drain(&rt);
        assert!(!is_readable(&rt));
    });
}

#[test]
fn what_was_there_before_the_descriptor_was_asked_for_is_told_too() {
    within(|| {
        let rt = runtime();
        drop(rt.spawn_local(async {}));
        assert!(is_readable(&rt));
        drain(&rt);
        assert!(!is_readable(&rt));
        // `block_on` leaves the runtime as a turn does.
        rt.block_on(async { drop(spawn_local(yield_now())) });
        assert!(is_readable(&rt));
        drain(&rt);
        rt.block_on(async {});
        assert!(!is_readable(&rt));
        drop(rt.spawn_local(async {}));
        assert!(is_readable(&rt));
    });
}

#[test]
fn sockets_make_it_readable() {
    within(|| {
        let rt = runtime();
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let task = rt.spawn_local(async move { listener.accept().await.map(|_| ()) });
        drain(&rt);
        assert!(!is_readable(&rt));
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert!(waits(&rt, None));
        let report = rt.turn(Budget::new()).unwrap();
        assert_eq!((report.io_events, report.polled, task.is_finished()), (1, 1, true));
    });
}

#[test]
fn deadlines_are_told_and_with_a_timer_of_the_kernel_seen() {
    within(|| {
        let rt = runtime();
        assert_eq!(rt.next_deadline(), None);
        let start = Instant::now();
        let slept = rt.spawn_local(async { sleep(ms(20)).await });
        assert!(rt.next_deadline().unwrap() <= Instant::now(), "a task is to be polled");
        drain(&rt);
        assert!(rt.next_deadline().unwrap() > start);
        while !slept.is_finished() {
            let until = rt.next_deadline().unwrap();
            waits(&rt, Some(until.saturating_duration_since(Instant::now())));
            rt.turn(Budget::new()).unwrap();
        }
        assert!(start.elapsed() >= ms(20));
        assert_eq!(rt.next_deadline(), None);
    });
    within(|| {
        let rt = LocalRuntime::builder().timer_fd(true).build().unwrap();
        let start = Instant::now();
        let late = rt.spawn_local(async { sleep(ms(60)).await });
        let soon = rt.spawn_local(async { sleep(ms(20)).await });
        drain(&rt);
        assert!(!is_readable(&rt) || start.elapsed() >= ms(20));
        host_until(&rt, || soon.is_finished());
        assert!(start.elapsed() >= ms(20));
        host_until(&rt, || late.is_finished());
        assert!(start.elapsed() >= ms(60));
        assert!(!is_readable(&rt));
        // Sleeps of `block_on` are as they were.
        rt.block_on(async { sleep(ms(5)).await });
    });
}

#[test]
fn a_timer_armed_by_the_host_is_told() {
    within(|| {
        let rt = runtime();
        drop(rt.spawn_local(async { sleep(Duration::from_secs(3600)).await }));
        drain(&rt);
        assert!(rt.next_deadline().is_some() && !is_readable(&rt));
        // The task is polled by a turn, so the host knows of the spawn.
        drop(rt.spawn_local(async { sleep(ms(1)).await }));
        assert!(is_readable(&rt));
    });
}

#[test]
fn a_turn_within_is_an_error_and_hurts_nothing() {
    within(|| {
        let rt = Rc::new(runtime());
        let task = rt.spawn_local({
            let rt = rt.clone();
            async move { matches!(rt.turn(Budget::new()), Err(TurnError::Reentered)) }
        });
        drain(&rt);
        assert!(rt.block_on(task).unwrap());
        let within = rt.clone();
        assert!(rt.block_on(async move { within.turn(Budget::new()).is_err() }));
    });
}

#[test]
fn runtimes_nest_on_one_thread() {
    within(|| {
        // The inner one is driven by a task of the outer, which watches its descriptor.
        let outer = runtime();
        outer.block_on(async {
            let inner = Rc::new(runtime());
            let order = Rc::new(RefCell::new(Vec::new()));
            let task = inner.spawn_local({
                let order = order.clone();
                async move {
                    for n in 0..3 {
                        sleep(ms(2)).await;
                        order.borrow_mut().push(n);
                    }
                }
            });
            let host = spawn_local({
                let inner = inner.clone();
                async move {
                    let fd = AsyncFd::new(rustix::io::dup(inner.as_fd()).unwrap());
                    while !task.is_finished() {
                        let deadline = inner.next_deadline();
                        let until = deadline
                            .map_or(ms(60_000), |at| at.saturating_duration_since(Instant::now()));
                        if let Ok(guard) = mainspring::time::timeout(until, fd.readable()).await {
                            guard.unwrap().clear_ready();
                        }
                        while inner.turn(Budget::new()).unwrap().has_more {}
                    }
                }
            });
            host.await.unwrap();
            assert_eq!(*order.borrow(), [0, 1, 2]);
        });
    });
}

/// Wakes of every origin, against a host that watches only the descriptor: a lost one hangs.
#[test]
fn no_wake_is_missed() {
    let rounds = if std::env::var_os("MAINSPRING_STRESS").is_some() { 250_000 } else { 20_000 };
    within(move || {
        let rt = runtime();
        let handle = rt.handle();
        let done = Arc::new(AtomicUsize::new(0));
        // From two other threads.
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (handle, done) = (handle.clone(), done.clone());
                thread::spawn(move || {
                    for _ in 0..rounds {
                        let counted = done.clone();
                        drop(handle.spawn(async move {
                            counted.fetch_add(1, Relaxed);
                        }));
                        while done.load(Relaxed) % 64 == 63 && fastrand(2) == 0 {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        // From a task to a task.
        let (to, mut from) = futures::channel::mpsc::channel::<()>(0);
        let counted = done.clone();
        drop(rt.spawn_local(async move {
            use futures::StreamExt;
            while from.next().await.is_some() {
                counted.fetch_add(1, Relaxed);
            }
        }));
        drop(rt.spawn_local(async move {
            use futures::SinkExt;
            let mut to = to;
            for _ in 0..rounds {
                to.send(()).await.unwrap();
            }
        }));
        // From the host itself.
        let own = Rc::new(Cell::new(0));
        while done.load(Relaxed) < 3 * rounds || own.get() < rounds {
            if own.get() < rounds {
                let own = own.clone();
                drop(rt.spawn_local(async move { own.set(own.get() + 1) }));
            }
            assert!(waits(&rt, Some(Duration::from_secs(30))), "a wake was missed");
            rt.turn(Budget::new().max_polls(16)).unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        while rt.turn(Budget::new()).unwrap().has_more {}
        assert!(!is_readable(&rt));
    });
}

/// A number below `most` that nobody can foresee, good enough to vary the timing.
fn fastrand(most: u32) -> u32 {
    Instant::now().elapsed().subsec_nanos() % most
}

#[test]
fn an_idle_runtime_asks_for_nothing() {
    within(|| {
        let rt = runtime();
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        drop(rt.spawn_local(poll_fn(move |_| {
            counted.set(counted.get() + 1);
            Poll::<()>::Pending
        })));
        drain(&rt);
        assert!(!waits(&rt, Some(ms(100))), "nothing has happened");
        assert_eq!((polls.get(), rt.next_deadline()), (1, None));
    });
}

#[test]
fn the_finest_timers_fire_in_order_and_never_early() {
    within(|| {
        let rt = LocalRuntime::builder().timer_resolution(Duration::from_micros(50)).build();
        rt.unwrap().block_on(async {
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (1..=20u64)
                .rev()
                .map(|n| {
                    let order = order.clone();
                    spawn_local(async move {
                        let (start, time) = (Instant::now(), Duration::from_micros(200 * n));
                        sleep(time).await;
                        assert!(start.elapsed() >= time);
                        order.borrow_mut().push(n);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert!(order.borrow().is_sorted());
        });
    });
    let bad = LocalRuntime::builder().timer_resolution(Duration::from_micros(49)).build();
    assert!(bad.unwrap_err().to_string().contains("timer_resolution"));
}

#[test]
fn hooks_are_told_of_parks_in_the_host() {
    #[derive(Default)]
    struct Parks(AtomicUsize, AtomicBool);
    impl mainspring::hooks::Hooks for Parks {
        fn on_park(&self, _worker: usize) {
            assert!(!self.1.swap(true, Relaxed), "parked twice");
            self.0.fetch_add(1, Relaxed);
        }
        fn on_unpark(&self, _worker: usize) {
            assert!(self.1.swap(false, Relaxed), "unparked twice");
        }
    }
    within(|| {
        let parks = Arc::new(Parks::default());
        let rt = LocalRuntime::builder().hooks(parks.clone()).build().unwrap();
        for _ in 0..3 {
            drop(rt.spawn_local(async {}));
            drain(&rt);
        }
        assert_eq!((parks.0.load(Relaxed), parks.1.load(Relaxed)), (3, true));
        rt.block_on(async { sleep(ms(1)).await });
        assert!(!parks.1.load(Relaxed));
    });
}

/// A guard that outlives the turn in which it was made must not make the host's wakes look like those
/// of a running task.
#[test]
fn wakes_are_told_while_a_guard_from_inside_is_kept() {
    within(|| {
        let rt = runtime();
        assert!(!is_readable(&rt));
        let guard = rt.block_on(async { mainspring::Handle::current().enter() });
        let task = mainspring::spawn(async {});
        assert!(is_readable(&rt), "spawned by the host");
        drain(&rt);
        assert!(task.is_finished() && !is_readable(&rt));
        let (sender, receiver) = futures::channel::oneshot::channel::<()>();
        let task = rt.spawn_local(receiver);
        drain(&rt);
        sender.send(()).unwrap();
        assert!(is_readable(&rt), "woken by the host");
        drain(&rt);
        assert!(task.is_finished());
        drop(guard);
    });
}

#[test]
fn a_wake_that_a_root_has_left_behind_hides_no_park() {
    #[derive(Default)]
    struct Parks(AtomicUsize);
    impl mainspring::hooks::Hooks for Parks {
        fn on_park(&self, _worker: usize) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    within(|| {
        let parks = Arc::new(Parks::default());
        let rt = LocalRuntime::builder().hooks(parks.clone()).build().unwrap();
        rt.block_on(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(())
        }));
        drain(&rt);
        assert_eq!(parks.0.load(Relaxed), 1);
    });
}

#[test]
fn virtual_time_does_not_go_where_nobody_waits() {
    within(|| {
        let rt = LocalRuntime::builder().deterministic(1).build().unwrap();
        let start = rt.block_on(async { Instant::now() });
        for _ in 0..2 {
            drop(rt.spawn_local(async { sleep(Duration::MAX).await }));
        }
        assert!(!is_readable(&rt) || drain(&rt) == 2);
        assert_eq!(rt.block_on(async { Instant::now() }), start);
        assert!(!is_readable(&rt) && rt.next_deadline().is_none());
    });
}

#[test]
fn in_virtual_time_a_host_need_not_wait_for_deadlines() {
    within(|| {
        let rt = LocalRuntime::builder().deterministic(1).build().unwrap();
        let start = rt.block_on(async { Instant::now() });
        let slept = rt.spawn_local(async { sleep(Duration::from_secs(3600)).await });
        let report = rt.turn(Budget::new().max_polls(1)).unwrap();
        assert!(report.has_more && !slept.is_finished());
        assert_eq!(rt.next_deadline(), Some(start), "the next turn gets there at once");
        drain(&rt);
        assert!(slept.is_finished() && rt.next_deadline().is_none());
    });
}

#[test]
fn a_paused_clock_leaves_the_descriptor_alone() {
    within(|| {
        let rt = LocalRuntime::builder().deterministic(1).timer_fd(true).build().unwrap();
        rt.block_on(async { mainspring::time::pause() });
        drop(rt.spawn_local(async { sleep(ms(10)).await }));
        assert!(is_readable(&rt));
        drain(&rt);
        assert!(!waits(&rt, Some(ms(50))), "no time passes");
    });
}
