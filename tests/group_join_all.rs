//! `join_all` and `try_join_all`: order, what a drop drops, and that a poll costs what was woken.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Flavour, on_every_flavour};
use futures::channel::oneshot;
use futures::{FutureExt, StreamExt, stream};
use mainspring::group::{join_all, try_join_all};
use mainspring::time::{Instant, sleep, timeout};
use mainspring::{sim, spawn_local, yield_now};
use one_thread::block_on;
use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Counts its drop.
struct Drops<'a>(&'a Cell<u32>);

impl Drop for Drops<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn outputs_are_in_the_order_of_the_futures_each_with_its_own_error() {
    within(|| {
        sim::check(0..50, || async {
            let start = Instant::now();
            let outputs = join_all([3_u64, 1, 2].map(|n| async move {
                sleep(ms(10 * n)).await;
                if n == 1 { Err("one") } else { Ok(n) }
            }));
            assert_eq!(outputs.await, [Ok(3), Err("one"), Ok(2)]);
            assert_eq!(start.elapsed(), ms(30), "at the same time");
        });
    });
}

#[test]
fn of_none_there_is_nothing_to_wait_for() {
    let none: [std::future::Ready<u8>; 0] = [];
    assert!(join_all(none).now_or_never().unwrap().is_empty());
    let none: [std::future::Ready<Result<u8, ()>>; 0] = [];
    assert_eq!(try_join_all(none).now_or_never().unwrap(), Ok(vec![]));
}

#[test]
fn the_first_error_in_time_drops_the_others_before_it_is_given() {
    within(|| {
        sim::check(0..50, || async {
            let drops = Cell::new(0);
            let start = Instant::now();
            let result = try_join_all([4_u64, 2, 3, 1].map(|n| {
                let guard = Drops(&drops);
                async move {
                    let _guard = guard;
                    sleep(ms(10 * n)).await;
                    if n == 1 { Ok(n) } else { Err(n) }
                }
            }));
            let mut result = pin!(result);
            assert_eq!(result.as_mut().await, Err(2));
            assert_eq!(start.elapsed(), ms(20));
            assert_eq!(drops.get(), 4, "though it is still here");
        });
    });
}

#[test]
fn a_drop_drops_those_that_wait_and_the_outputs() {
    block_on(async {
        let drops = Cell::new(0);
        let both = join_all([0_u64, 1000].map(|n| {
            let guard = Drops(&drops);
            async move {
                sleep(ms(n)).await;
                guard
            }
        }));
        assert!(timeout(ms(2), both).await.is_err());
        assert_eq!(drops.get(), 2);
    });
}

#[test]
fn what_is_ready_is_dropped_at_once() {
    block_on(async {
        let drops = Rc::new(Cell::new(0));
        let (go, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        let both = join_all([false, true].map(|waits| {
            let (drops, gate) = (Rc::clone(&drops), gate.take_if(|_| waits));
            async move {
                let _guard = Drops(&drops);
                if let Some(gate) = gate {
                    gate.await.unwrap();
                }
            }
        }));
        let both = spawn_local(both);
        yield_now().await;
        assert_eq!(drops.get(), 1);
        go.send(()).unwrap();
        both.await.unwrap();
        assert_eq!(drops.get(), 2);
    });
}

/// Notes that somebody was woken.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        let _ = self.0.send(());
    }
}

#[test]
fn only_those_are_polled_that_were_woken() {
    let polls = [const { Cell::new(0) }; 50];
    let (mut senders, futures): (Vec<_>, Vec<_>) = polls
        .iter()
        .map(|polls| {
            let (sender, mut receiver) = oneshot::channel::<()>();
            let future = poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                receiver.poll_unpin(cx)
            });
            (Some(sender), future)
        })
        .unzip();
    let (rung, rings) = mpsc::channel();
    let waker = Waker::from(std::sync::Arc::new(Bell(rung)));
    let mut cx = Context::from_waker(&waker);
    let mut all = join_all(futures);
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert_eq!(polls.iter().map(Cell::get).sum::<u32>(), 50);
    for n in (0..50).rev() {
        senders[n].take().unwrap().send(()).unwrap();
        assert_eq!(rings.try_iter().count(), 1, "one wake for one");
        let polled = all.poll_unpin(&mut cx);
        assert_eq!(polled.is_ready(), n == 0);
        assert_eq!(polls[n].get(), 2);
    }
    assert!(polls.iter().all(|polls| polls.get() == 2));
    drop(all);
    drop(waker);
    assert_eq!(rings.try_recv(), Err(mpsc::TryRecvError::Disconnected), "nobody keeps the waker");
}

#[test]
fn what_is_left_of_a_group_does_not_keep_its_caller() {
    let (rung, rings) = mpsc::channel();
    let waker = Waker::from(std::sync::Arc::new(Bell(rung)));
    let left = Cell::new(None);
    let mut all = join_all([poll_fn(|cx: &mut Context<'_>| {
        left.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    })]);
    assert!(all.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop(all);
    drop(waker);
    assert_eq!(rings.try_recv(), Err(mpsc::TryRecvError::Disconnected), "nobody keeps the waker");
    left.take().unwrap().wake();
}

#[test]
fn one_that_wakes_itself_does_not_hold_up_the_caller() {
    // By hand, where there is no budget.
    let mut all = join_all([yields(3).boxed_local(), pending().boxed_local()]);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(all.poll_unpin(&mut cx).is_pending());
    }
    let mut forever = join_all([poll_fn(|cx: &mut Context<'_>| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    })]);
    assert!(forever.poll_unpin(&mut cx).is_pending());
}

async fn yields(mut times: u32) {
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        times -= 1;
        if times == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn a_hundred_thousand_futures_at_a_time() {
    within(|| {
        const COUNT: u64 = 100_000;
        block_on(async {
            // Each takes part in the budget, yields, and is woken on its own.
            let outputs = join_all((0..COUNT).map(|n| async move {
                mainspring::coop::consume_budget().await;
                yield_now().await;
                sleep(ms(n % 3)).await;
                n
            }));
            assert_eq!(spawn_local(outputs).await.unwrap(), (0..COUNT).collect::<Vec<_>>());
            let all = try_join_all((0..COUNT).map(|n| ready(Ok::<_, ()>(n)))).await;
            assert_eq!(all.unwrap().len(), COUNT as usize);
            // Never polled, and never ready.
            drop(join_all((0..COUNT).map(|_| pending::<()>())));
            let error = try_join_all((0..COUNT).map(|n| async move {
                match n {
                    99_999 => Err(n),
                    _ => pending().await,
                }
            }));
            let error: Result<Vec<()>, u64> = error.await;
            assert_eq!(error, Err(99_999));
        });
    });
}

#[test]
fn very_many_let_their_neighbours_run() {
    block_on(async {
        let turns = Rc::new(Cell::new(0_u32));
        let neighbour = spawn_local({
            let turns = Rc::clone(&turns);
            async move {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now().await;
                }
            }
        });
        // These do not count in the budget by themselves.
        let all = join_all((0..10_000_u32).map(ready));
        spawn_local(all).await.unwrap();
        let least = 10_000 / u32::from(mainspring::coop::BUDGET);
        assert!(turns.get() >= least, "{}", turns.get());
        neighbour.abort();
    });
}

#[test]
fn groups_nest_and_mix_with_the_combinators_of_others() {
    within(|| {
        sim::check(0..50, || async {
            let rows = (0..10_u64).map(|row| {
                join_all((0..10_u64).map(move |column| async move {
                    sleep(ms((row * column) % 7)).await;
                    row * 10 + column
                }))
            });
            let all = join_all(rows).await.concat();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
            let buffered = stream::iter(0..20_u64)
                .map(|n| async move { join_all([sleep(ms(n % 4)), sleep(ms(1))]).map(|_| n).await })
                .buffer_unordered(5);
            assert_eq!(buffered.collect::<Vec<_>>().await.len(), 20);
        });
    });
}

fn a_panic_is_the_callers(on: Flavour) {
    on.block_on(async {
        let all = join_all([true, false].map(|panics| async move {
            assert!(!panics, "one of them");
            pending::<()>().await;
        }));
        let payload = AssertUnwindSafe(all).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"one of them"));
    });
    let mut all = join_all([ready(1)]);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(all.poll_unpin(&mut cx), Poll::Ready(_)));
    assert!(catch_unwind(AssertUnwindSafe(|| all.poll_unpin(&mut cx))).is_err());
}

/// What it returns goes where its futures can go.
#[test]
fn it_is_send_where_the_futures_are() {
    fn sent<F: Future + Send>(_: F) {}
    sent(join_all([ready(1)]));
    sent(try_join_all([async {
        sleep(ms(1)).await;
        Ok::<_, ()>(())
    }]));
}

/// Wakes that come from other threads, in the middle of polls.
fn wakes_of_many_threads_are_not_lost(on: Flavour) {
    within(move || {
        const COUNT: usize = 300;
        for round in 0..20 {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                (0..COUNT).map(|_| oneshot::channel::<usize>()).unzip();
            let mut shares = [vec![], vec![], vec![]];
            for (n, sender) in senders.into_iter().enumerate() {
                shares[(n * 7 + round) % 3].push((n, sender));
            }
            let threads = shares.map(|share| {
                std::thread::spawn(move || {
                    for (n, sender) in share {
                        sender.send(n).unwrap();
                    }
                })
            });
            let outputs = on.block_on(join_all(receivers));
            assert!(outputs.into_iter().map(Result::unwrap).eq(0..COUNT));
            for thread in threads {
                thread.join().unwrap();
            }
        }
    });
}

on_every_flavour! {
    a_panic_is_the_callers,
    wakes_of_many_threads_are_not_lost,
}
