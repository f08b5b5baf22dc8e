//! Calls of closures, and runtimes that are entered but not run.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Any, Flavour, on_every_flavour};
use futures::StreamExt;
use futures::channel::mpsc;
use mainspring::net::{TcpListener, TcpStream};
use mainspring::task::{self, Builder};
use mainspring::time::{Instant, sleep};
use mainspring::{Handle, LocalRuntime, NoRuntime, TimerHandle, spawn, spawn_blocking, yield_now};
use one_thread::block_on;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn calls_come_in_the_order_in_which_they_were_asked_for(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let handle = rt.handle();
        let (tx, rx) = mpsc::unbounded();
        let call = |n: u32| {
            let tx = tx.clone();
            handle.call_soon(move || tx.unbounded_send(n).unwrap());
        };
        (0..100).for_each(call);
        rt.block_on(async {
            (100..200).for_each(call);
            // A call from outside, and after it one from the runtime's own thread.
            for n in 100..110 {
                let (tx, handle) = (tx.clone(), handle.clone());
                let theirs = move || handle.call_soon(move || tx.unbounded_send(2 * n).unwrap());
                thread::spawn(theirs).join().unwrap();
                call(2 * n + 1);
            }
            let seen: Vec<_> = rx.take(220).collect().await;
            assert_eq!(seen, (0..220).collect::<Vec<_>>());
        });
    });
}

#[test]
fn tasks_run_between_calls_and_calls_may_ask_for_calls() {
    within(|| {
        block_on(async {
            let made = Arc::new(AtomicUsize::new(0));
            fn again(handle: Handle, made: Arc<AtomicUsize>) {
                made.fetch_add(1, Relaxed);
                let next = handle.clone();
                handle.call_soon(move || again(next, made));
            }
            again(Handle::current(), made.clone());
            for n in 1..100 {
                yield_now().await;
                assert!(made.load(Relaxed) >= n, "it had its turn");
            }
            assert!(made.load(Relaxed) <= 300, "and no more than that");
        });
    });
}

#[test]
fn a_call_runs_on_the_thread_of_the_runtime_and_finds_it() {
    within(|| {
        block_on(async {
            let here = thread::current().id();
            let (tx, mut rx) = mpsc::unbounded();
            let handle = Handle::current();
            let calls = spawn_blocking(move || {
                for soon in [true, false] {
                    let tx = tx.clone();
                    let call = move || {
                        assert!(task::try_id().is_some());
                        let child = spawn(async { 5 });
                        tx.unbounded_send((thread::current().id(), child)).unwrap();
                    };
                    match soon {
                        true => handle.call_soon(call),
                        false => handle.call_later(ms(1), call),
                    };
                }
            });
            calls.await.unwrap();
            while let Some((thread, child)) = rx.next().await {
                assert_eq!(thread, here);
                assert_eq!(child.await.unwrap(), 5);
            }
        });
    });
}

fn a_call_is_nobodys_child(on: Flavour) {
    within(move || {
        on.block_on(async {
            let asks = Builder::new().data(7u32).spawn(async {
                let (tx, rx) = mpsc::unbounded();
                let handle = Handle::current();
                for soon in [true, false] {
                    let tx = tx.clone();
                    let call = move || tx.unbounded_send(task::data::<u32>()).unwrap();
                    match soon {
                        true => handle.call_soon(call),
                        false => handle.call_later(Duration::ZERO, call),
                    };
                }
                drop(tx);
                rx.collect::<Vec<_>>().await
            });
            assert_eq!(asks.await.unwrap(), [None, None]);
        });
    });
}

#[test]
fn calls_at_moments_come_in_their_order_and_never_early() {
    within(|| {
        block_on(async {
            let handle = Handle::current();
            let start = Instant::now();
            let (tx, rx) = mpsc::unbounded();
            for n in [12, 3, 9, 0, 6] {
                let tx = tx.clone();
                let call = move || tx.unbounded_send((n, start.elapsed())).unwrap();
                handle.call_at(start + ms(n), call);
            }
            handle.call_later(Duration::MAX, || unreachable!("beyond the end of time"));
            drop(tx);
            let seen: Vec<_> = rx.collect().await;
            assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 3, 6, 9, 12]);
            assert!(seen.iter().all(|(n, elapsed)| *elapsed >= ms(*n)), "{seen:?}");
        });
    });
}

fn a_call_wakes_a_runtime_that_sleeps(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let handle = rt.handle();
        let (tx, mut rx) = mpsc::unbounded();
        let other = thread::spawn(move || {
            for n in 0..50 {
                thread::sleep(Duration::from_micros(100 * (n % 3)));
                let tx = tx.clone();
                let call = move || tx.unbounded_send(n).unwrap();
                match n % 2 {
                    0 => handle.call_soon(call),
                    _ => handle.call_later(Duration::from_micros(10), call),
                };
            }
        });
        let mut seen = rt.block_on(async {
            let mut seen = Vec::new();
            while let Some(n) = rx.next().await {
                seen.push(n);
            }
            seen
        });
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        other.join().unwrap();
    });
}

fn panics_end_the_call_alone(on: Flavour) {
    within(move || {
        on.block_on(async {
            let handle = Handle::current();
            let (tx, mut rx) = mpsc::unbounded::<u32>();
            let soon = handle.call_soon(|| panic!("in a call"));
            handle.call_later(ms(1), || panic!("in a late call"));
            handle.call_soon({
                let tx = tx.clone();
                move || tx.unbounded_send(1).unwrap()
            });
            assert_eq!(rx.next().await, Some(1));
            handle.call_later(ms(4), move || tx.unbounded_send(2).unwrap());
            assert_eq!(rx.next().await, Some(2));
            assert!(!soon.cancel() && !soon.is_cancelled(), "it was made");
        });
    });
}

#[test]
fn a_cancelled_call_is_not_made_and_gives_back_its_closure() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let kept = Arc::new(());
        let handle = rt.handle();
        let call = || {
            let kept = kept.clone();
            move || unreachable!("cancelled, {kept:?}")
        };
        let calls = [
            handle.call_soon(call()),
            handle.call_later(ms(1), call()),
            handle.call_later(Duration::from_secs(3600), call()),
        ];
        rt.block_on(async {
            assert!(calls.iter().all(|call| !call.is_cancelled()));
            for call in &calls {
                assert!(call.cancel() && call.cancel() && call.is_cancelled());
            }
            while Arc::strong_count(&kept) > 1 {
                yield_now().await;
            }
            sleep(ms(3)).await;
        });
        assert_eq!(rt.live_tasks(), 0);
        let made = handle.call_soon(|| ());
        let inside = Arc::new(Mutex::new(None::<TimerHandle>));
        let own = inside.clone();
        let (tx, mut rx) = mpsc::unbounded();
        *inside.lock().unwrap() = Some(handle.call_later(ms(1), move || {
            tx.unbounded_send(own.lock().unwrap().take().unwrap().cancel()).unwrap();
        }));
        assert_eq!(rt.block_on(rx.next()), Some(false), "it was being made");
        assert!(!made.cancel() && !made.is_cancelled());
    });
}

#[test]
fn the_end_of_the_runtime_cancels_what_was_not_called() {
    within(|| {
        let kept = Arc::new(());
        let rt = LocalRuntime::builder().build().unwrap();
        let handle = rt.handle();
        let call = || {
            let kept = kept.clone();
            move || unreachable!("the runtime has ended, {kept:?}")
        };
        let early = [
            handle.call_soon(call()),
            handle.call_soon(call()),
            handle.call_later(Duration::ZERO, call()),
            handle.call_later(ms(5), call()),
        ];
        drop(rt);
        let late = [handle.call_soon(call()), handle.call_later(ms(5), call())];
        assert!(early.iter().chain(&late).all(|call| call.is_cancelled() && call.cancel()));
        assert_eq!(Arc::strong_count(&kept), 1);
    });
}

#[test]
fn closures_whose_drop_panics_or_calls_again_do_not_hold_up_the_end() {
    struct Drops(Handle, bool);
    impl Drop for Drops {
        fn drop(&mut self) {
            let handle = self.0.clone();
            if self.1 {
                let next = Drops(handle.clone(), false);
                self.0.call_soon(move || drop(next));
            }
            panic!("the drop of a closure");
        }
    }
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let handle = rt.handle();
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let drops = Drops(handle.clone(), true);
                handle.call_soon(move || drop(drops))
            })
            .collect();
        drop(rt);
        assert!(calls.iter().all(TimerHandle::is_cancelled));
    });
}

/// Exactly one of the call and its cancelling comes about, whatever the timing.
fn cancel_against_call(on: Flavour) {
    within(move || {
        const ROUNDS: usize = 2_000;
        let (handles, rounds) = std::sync::mpsc::channel();
        let (stop, mut stopped) = mpsc::unbounded::<()>();
        let runs = thread::spawn(move || {
            let rt = on.runtime();
            handles.send(rt.handle()).unwrap();
            rt.block_on(stopped.next());
            rt.live_tasks()
        });
        let handle = rounds.recv().unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let slot = Arc::new(Mutex::new(None::<TimerHandle>));
        let other = thread::spawn({
            let (barrier, slot) = (barrier.clone(), slot.clone());
            move || {
                let mut cancelled = Vec::new();
                for n in 0..ROUNDS {
                    barrier.wait();
                    let call = slot.lock().unwrap().take().unwrap();
                    match n % 3 {
                        // About when its timer comes due.
                        2 => thread::sleep(Duration::from_micros(n as u64 * 7 % 2_000)),
                        _ => (0..n % 2_048).for_each(|_| std::hint::spin_loop()),
                    }
                    cancelled.push(call.cancel());
                    barrier.wait();
                }
                cancelled
            }
        });
        let made = Arc::new(Mutex::new(vec![0u8; ROUNDS]));
        for n in 0..ROUNDS {
            let note = made.clone();
            let call = move || note.lock().unwrap()[n] += 1;
            let call = match n % 3 {
                0 => handle.call_soon(call),
                1 => handle.call_later(Duration::ZERO, call),
                _ => handle.call_later(Duration::from_micros(1), call),
            };
            *slot.lock().unwrap() = Some(call);
            barrier.wait();
            barrier.wait();
        }
        let cancelled = other.join().unwrap();
        // What was begun is over once a later task has run.
        let (tx, rx) = std::sync::mpsc::channel();
        handle.call_later(ms(5), move || tx.send(()).unwrap());
        rx.recv().unwrap();
        let made = made.lock().unwrap();
        for (n, (made, cancelled)) in made.iter().zip(&cancelled).enumerate() {
            assert_eq!(*made == 1, !*cancelled, "round {n}: made {made} times");
        }
        drop((stop, made));
        assert!(runs.join().unwrap() <= 1);
    });
}

/// None is lost and none made twice, from several threads, while the runtime ends.
fn calls_against_the_end_of_the_runtime(on: Flavour) {
    within(move || {
        for round in 0..30 {
            let rt = on.runtime();
            let handle = rt.handle();
            let made = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (handle, made) = (handle.clone(), made.clone());
                    let ask = move || {
                        let count = made.clone();
                        handle.call_soon(move || {
                            count.fetch_add(1, Relaxed);
                        })
                    };
                    thread::spawn(move || (0..200).map(|_| ask()).collect::<Vec<_>>())
                })
                .collect();
            rt.block_on(async {
                for _ in 0..10 * round {
                    yield_now().await;
                }
            });
            drop(rt);
            let calls: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
            let cancelled = calls.iter().filter(|call| call.is_cancelled()).count();
            assert_eq!(cancelled + made.load(Relaxed), calls.len());
        }
    });
}

#[test]
fn a_runtime_that_is_entered_is_found() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        assert_eq!(Handle::try_current().unwrap_err(), NoRuntime);
        let entered = rt.handle().enter();
        let task = spawn(async { 1 });
        let named = Builder::new().name("n").spawn(async { task::name() });
        let blocking = spawn_blocking(|| 2);
        let pause = sleep(ms(1));
        let soon = Handle::current().call_soon(|| ());
        // It is not this thread that runs it.
        assert!(catch_unwind(|| mainspring::spawn_local(async {})).is_err());
        assert!(!task.is_finished());
        let (a, b, c) = rt.block_on(async move {
            pause.await;
            (task.await.unwrap(), named.await.unwrap(), blocking.await.unwrap())
        });
        assert_eq!((a, b.as_deref(), c), (1, Some("n"), 2));
        assert!(!soon.is_cancelled());
        drop(entered);
        assert_eq!(Handle::try_current().unwrap_err(), NoRuntime);
    });
}

fn guards_may_be_dropped_in_any_order_and_by_unwinding(on: Flavour) {
    within(move || {
        let (a, b) = (on.runtime(), on.runtime());
        let here = || format!("{:?}", Handle::try_current());
        let name = |rt: &Any| format!("{:?}", Ok::<_, NoRuntime>(rt.handle()));
        let none = here();
        let first = a.handle().enter();
        let second = b.handle().enter();
        assert_eq!(here(), name(&b));
        drop(first);
        assert_eq!(here(), name(&b));
        let third = a.handle().enter();
        assert_eq!(here(), name(&a));
        drop(second);
        assert_eq!(here(), name(&a));
        drop(third);
        assert_eq!(here(), none);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _guards = (a.handle().enter(), b.handle().enter());
            panic!("inside");
        }));
        assert!(unwound.is_err());
        assert_eq!(here(), none);
    });
}

#[test]
fn a_guard_that_a_task_keeps_leaves_its_runtime_working() {
    within(|| {
        let (rt, other) =
            (LocalRuntime::builder().build().unwrap(), LocalRuntime::builder().build().unwrap());
        let visited = other.handle();
        let (tx, rx) = std::sync::mpsc::channel();
        rt.block_on(async {
            let keeps = mainspring::spawn_local(async move {
                let guard = visited.enter();
                for _ in 0..3 {
                    yield_now().await;
                }
                sleep(ms(1)).await;
                tx.send(guard).unwrap();
            });
            // Wakes and timers of the runtime itself go on. The sleep of the task waits in the other
            // runtime, which does not run.
            for _ in 0..100 {
                yield_now().await;
            }
            assert!(!keeps.is_finished());
            keeps.abort();
            assert!(keeps.await.unwrap_err().is_cancelled());
            assert_eq!(spawn(async { 3 }).await.unwrap(), 3);
        });
        drop(rx);
        assert!(Handle::try_current().is_err());
    });
}

#[test]
fn entering_the_runtime_that_runs_changes_nothing() {
    within(|| {
        block_on(async {
            let _entered = Handle::current().enter();
            assert_eq!(mainspring::spawn_local(async { 4 }).await.unwrap(), 4);
            sleep(ms(1)).await;
        });
    });
}

/// Outside the runtime its queue is the host's business: a wake that went there past the alarm would
/// stay unseen.
#[test]
#[cfg(not(mio_unsupported_force_poll_poll))]
fn a_guard_that_leaves_the_runtime_does_not_hide_wakes_from_the_host() {
    use mainspring::Budget;
    fn readable(rt: &LocalRuntime) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(rt, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let _ = rt.as_fd();
        let (first, second) =
            rt.block_on(async { (Handle::current().enter(), Handle::current().enter()) });
        while rt.turn(Budget::new()).unwrap().has_more {}
        assert!(!readable(&rt));
        let task = rt.spawn_local(async {});
        assert!(readable(&rt), "the host must be told");
        assert!(catch_unwind(|| mainspring::spawn_local(async {})).is_err(), "it does not run");
        while rt.turn(Budget::new()).unwrap().has_more {}
        assert!(task.is_finished() && !readable(&rt));
        let other = spawn(async { 1 });
        assert!(readable(&rt));
        drop(first);
        assert_eq!(rt.block_on(other).unwrap(), 1);
        drop(rt);
        drop(second);
        assert!(Handle::try_current().is_err());
    });
}

fn a_runtime_that_has_ended_answers_those_who_enter_it(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let handle = rt.handle();
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(rt);
        let _entered = handle.enter();
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        let mut pause = sleep(ms(1));
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let _ = std::pin::Pin::new(&mut pause).poll(&mut cx);
        }));
        let text = *polled.unwrap_err().downcast::<&'static str>().unwrap();
        assert!(text.contains("has ended"), "{text}");
        let mut accept = Box::pin(listener.accept());
        let std::task::Poll::Ready(Err(error)) = accept.as_mut().poll(&mut cx) else {
            panic!("nobody would ever wake it");
        };
        assert!(error.to_string().contains("runtime"), "{error}");
        drop(accept);
        let mut connect = Box::pin(TcpStream::connect(address));
        let mut polls = 0;
        while connect.as_mut().poll(&mut cx).is_pending() {
            polls += 1;
            assert!(polls < 1_000, "nobody would ever wake it");
        }
        let mut cancelled = spawn(async {});
        let outcome = std::pin::Pin::new(&mut cancelled).poll(&mut cx);
        assert!(matches!(outcome, std::task::Poll::Ready(Err(error)) if error.is_cancelled()));
    });
}

on_every_flavour! {
    calls_come_in_the_order_in_which_they_were_asked_for,
    a_call_is_nobodys_child,
    a_call_wakes_a_runtime_that_sleeps,
    panics_end_the_call_alone,
    cancel_against_call,
    calls_against_the_end_of_the_runtime,
    guards_may_be_dropped_in_any_order_and_by_unwinding,
    a_runtime_that_has_ended_answers_those_who_enter_it,
}
