//! What a runtime tells of itself.
#![cfg(not(loom))]

#[path = "common/pool.rs"]
mod pool;
#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{Budget, LocalRuntime, Metrics, WorkerMetrics, spawn, yield_now};
use pool::until;
use std::future::pending;
use std::thread;
use std::time::{Duration, Instant};
use watchdog::within;

fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

fn worker(metrics: &Metrics) -> &WorkerMetrics {
    let [worker] = &metrics.workers[..] else { panic!("a LocalRuntime has one worker") };
    worker
}

/// Computes for so long.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn polls_are_counted_exactly_and_by_tasks_only() {
    let rt = runtime();
    let handle = rt.handle();
    assert_eq!(worker(&handle.metrics()).polls, 0);
    rt.block_on(async {
        let tasks: Vec<_> = (0..10)
            .map(|times| {
                spawn(async move {
                    for _ in 0..times {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(worker(&handle.metrics()).polls, 45 + 10);
    let task = rt.spawn_local(pending::<()>());
    assert_eq!(rt.turn(Budget::new()).unwrap().polled, 1);
    assert_eq!(worker(&handle.metrics()).polls, 56);
    assert_eq!(handle.metrics().alive_tasks, 1);
    drop(task);
    drop(rt);
    let after = handle.metrics();
    assert_eq!((after.alive_tasks, worker(&after).polls), (0, 57), "the last is its end");
    assert_eq!((worker(&after).steals, worker(&after).lifo_hits), (0, 0));
}

#[test]
fn a_thread_is_busy_for_as_long_as_it_computes() {
    let rt = runtime();
    let handle = rt.handle();
    let time = Duration::from_millis(30);
    let busy = || worker(&handle.metrics()).busy;
    rt.block_on(async {
        spawn(async move { spin(time) }).await.unwrap();
        yield_now().await;
    });
    assert!(busy() >= time);
    let before = busy();
    rt.block_on(async { spin(time) });
    assert!(busy() >= before + time, "the root counts too");
    let before = busy();
    drop(rt.spawn_local(async move { spin(time) }));
    rt.turn(Budget::new()).unwrap();
    assert!(busy() >= before + time, "in a turn");
}

#[test]
fn a_thread_is_not_busy_while_it_sleeps_or_its_host_does_something_else() {
    let rt = runtime();
    let handle = rt.handle();
    let time = Duration::from_millis(200);
    let idle = |what: &dyn Fn()| {
        // On a busy machine it may stand still where it should not.
        let shares = (0..20).map(|_| {
            let (start, busy) = (Instant::now(), worker(&handle.metrics()).busy);
            what();
            let busy = worker(&handle.metrics()).busy - busy;
            let elapsed = start.elapsed();
            assert!(busy <= elapsed);
            elapsed - busy
        });
        shares.into_iter().any(|idle| idle >= time / 2)
    };
    assert!(idle(&|| rt.block_on(async { sleep(time).await })), "without a timer");
    assert!(idle(&|| thread::sleep(time)));
    assert!(idle(&|| {
        rt.turn(Budget::new()).unwrap();
        thread::sleep(time);
        rt.turn(Budget::new()).unwrap();
    }));
}

#[test]
fn sleeps_are_counted() {
    let rt = runtime();
    let parks = || worker(&rt.handle().metrics()).parks;
    rt.block_on(async {
        spawn(async {}).await.unwrap();
        assert_eq!(parks(), 0);
        for times in 1..4 {
            sleep(Duration::from_millis(3)).await;
            assert!(parks() >= times);
        }
    });
    let before = parks();
    rt.turn(Budget::new()).unwrap();
    assert_eq!(parks(), before, "a turn does not sleep");
}

#[test]
fn in_virtual_time_nothing_takes_any() {
    let rt = LocalRuntime::builder().deterministic(5).build().unwrap();
    rt.block_on(async {
        let tasks: Vec<_> = (0..5).map(|n| spawn(sleep(Duration::from_secs(n)))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(worker(&rt.handle().metrics()).busy, Duration::ZERO);
}

#[test]
fn timers_and_descriptors_that_wait_are_counted_on_any_thread() {
    within(|| {
        let rt = runtime();
        let handle = rt.handle();
        let waiting = || {
            let elsewhere = {
                let handle = handle.clone();
                thread::spawn(move || handle.metrics()).join().unwrap()
            };
            let here = handle.metrics();
            assert_eq!(
                (here.timers, here.registrations),
                (elsewhere.timers, elsewhere.registrations)
            );
            (here.timers, here.registrations)
        };
        assert_eq!(waiting(), (0, 0));
        rt.block_on(async {
            let naps: Vec<_> = (0..3).map(|_| spawn(sleep(Duration::from_secs(3600)))).collect();
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let accepts = spawn(async move { listener.accept().await.unwrap().0 });
            yield_now().await;
            assert_eq!(waiting(), (3, 1), "the listener waits");
            let stream = TcpStream::connect(address).await.unwrap();
            let accepted = accepts.await.unwrap();
            drop((stream, accepted));
            assert_eq!(waiting(), (3, 0));
            for nap in naps {
                nap.abort();
                let _ = nap.await;
            }
            assert_eq!(waiting(), (0, 0));
        });
    });
}

#[test]
fn what_waits_in_queues_is_counted() {
    let rt = runtime();
    let handle = rt.handle();
    for _ in 0..3 {
        drop(rt.spawn_local(async {}));
    }
    let other = handle.clone();
    let elsewhere = move || {
        drop(other.spawn(async {}));
        other.metrics()
    };
    let elsewhere = thread::spawn(elsewhere).join().unwrap();
    for metrics in [elsewhere, handle.metrics()] {
        assert_eq!((worker(&metrics).queued, metrics.injector, metrics.alive_tasks), (3, 1, 4));
    }
    rt.turn(Budget::new()).unwrap();
    let after = handle.metrics();
    assert_eq!((worker(&after).queued, after.injector, after.alive_tasks), (0, 0, 0));
    let other = handle.clone();
    let elsewhere = thread::spawn(move || other.metrics()).join().unwrap();
    assert_eq!(worker(&elsewhere).queued, 0);
}

#[test]
fn blocking_work_is_counted() {
    within(|| {
        let rt = pool::runtime(2, 8);
        let handle = rt.handle();
        let of = || {
            let blocking = handle.metrics().blocking;
            (blocking.limit, blocking.threads, blocking.busy, blocking.queued)
        };
        assert_eq!(of(), (2, 0, 0, 0));
        let releases = [pool::occupy(&handle), pool::occupy(&handle)];
        let queued = handle.spawn_blocking(|| ());
        assert_eq!(of(), (2, 2, 2, 1));
        assert_eq!(pool::counts(&handle.blocking()), (2, 1, 2), "as the live view says");
        assert_eq!(handle.metrics().alive_tasks, 0, "they are no tasks of a worker");
        drop(releases);
        rt.block_on(queued).unwrap();
        until(|| of() == (2, 2, 0, 0));
    });
}

#[test]
fn a_runtime_can_be_measured_all_the_time() {
    within(|| {
        let rt = runtime();
        let handle = rt.handle();
        let task = rt.spawn_local(async {
            for _ in 0..50_000 {
                yield_now().await;
            }
        });
        let other = thread::spawn(move || {
            let mut last = handle.metrics();
            while worker(&last).polls < 50_001 {
                let now = handle.metrics();
                let (worker, before) = (worker(&now), worker(&last));
                assert!(worker.polls >= before.polls && worker.parks >= before.parks);
                assert!(worker.busy >= before.busy && now.alive_tasks <= 1);
                last = now;
            }
        });
        rt.block_on(task).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn several_workers_count_each_by_itself() {
    within(|| {
        let rt = mainspring::Runtime::builder().worker_threads(3).build().unwrap();
        let entered = rt.enter();
        for _ in 0..5 {
            let task = mainspring::spawn_pinned(2, || async {
                for _ in 0..9 {
                    yield_now().await;
                }
            });
            assert!(task.unwrap().wait_blocking(Duration::MAX).unwrap().is_ok());
        }
        let sleeper =
            mainspring::spawn_pinned(1, || mainspring::time::sleep(Duration::from_secs(60)));
        drop(entered);
        let handle = rt.handle();
        // Who is answered at once does not sleep at first.
        let rests = |metrics: &Metrics| metrics.timers > 0 && metrics.workers[2].parks > 0;
        while !rests(&handle.metrics()) {
            std::thread::yield_now();
        }
        let metrics = handle.metrics();
        let polls: Vec<_> = metrics.workers.iter().map(|worker| worker.polls).collect();
        assert_eq!(polls, [0, 1, 50]);
        assert_eq!((metrics.alive_tasks, metrics.timers, metrics.injector), (1, 1, 0));
        drop(sleeper);
    });
}
