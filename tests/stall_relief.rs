//! What lies behind a worker that is stuck goes on on one that has nothing to do.
//!
//! Each stuck task blocks until the test has seen the others go on, so that it would hang if they had to
//! wait for it. Nobody stands in for it here: relief alone does it.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/peer.rs"]
mod peer;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{block_worker, release, until, wait, wait_once};
use futures::channel::oneshot;
use mainspring::hooks::Hooks;
use mainspring::http::{Request, Router, Server};
use mainspring::time::{Sleep, sleep};
use mainspring::{Runtime, spawn};
use peer::{ask, connection};
use std::future::Future;
use std::io::{Read, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;
use watchdog::within;

const LONG: Duration = Duration::from_secs(3600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What was told of relief: by whom, from behind whom, and how many tasks.
#[derive(Default)]
struct Told(Mutex<Vec<(usize, usize, usize)>>);

impl Hooks for Told {
    fn on_relief(&self, worker: usize, stuck: usize, tasks: usize) {
        self.0.lock().unwrap().push((worker, stuck, tasks));
    }

    fn on_rescue(&self, rescuer: usize, stuck: usize) {
        panic!("{rescuer} stands in for {stuck}");
    }
}

fn runtime(workers: usize) -> (Runtime, Arc<Told>) {
    let told = Arc::<Told>::default();
    let builder = Runtime::builder().worker_threads(workers).hooks(told.clone());
    (builder.stall_after(LONG).build().unwrap(), told)
}

/// Ends the runtime, with what it has told and counted.
fn end(rt: Runtime, told: &Told) -> Vec<(usize, usize, usize)> {
    let (handle, workers) = (rt.handle(), rt.handle().workers());
    drop(rt);
    let metrics = handle.metrics();
    assert_eq!((metrics.rescues, metrics.rescuers, metrics.rescuers_without_a_poll), (0, 0, 0));
    let told = told.0.lock().unwrap().clone();
    assert_eq!(metrics.reliefs, told.len() as u64);
    for (worker, stuck, tasks) in &told {
        assert!(worker != stuck && worker.max(stuck) < &workers && *tasks > 0, "{told:?}");
    }
    told
}

#[test]
fn what_a_task_has_spawned_before_it_blocks() {
    within(|| {
        for (workers, tasks) in [(2, 1), (2, 2), (2, 100), (4, 1), (4, 1000)] {
            let (rt, told) = runtime(workers);
            for _ in 0..3 {
                // Short polls: after them a worker keeps much to itself.
                wait(rt.spawn(async {
                    for _ in 0..2000 {
                        spawn(async {}).await.unwrap();
                    }
                }));
                let blocks = rt.spawn(async move {
                    let (run, ran) = mpsc::channel();
                    for n in 0..tasks {
                        let run = run.clone();
                        drop(spawn(async move { run.send(n).unwrap() }));
                    }
                    // The last one is in the slot, where others take nothing.
                    let mut ran: Vec<_> = ran.iter().take(tasks).collect();
                    ran.sort_unstable();
                    assert!(ran.into_iter().eq(0..tasks), "each of them once");
                });
                wait(blocks);
            }
            let told = end(rt, &told);
            assert!(told.len() >= 3, "{told:?}");
        }
    });
}

#[test]
fn a_task_that_it_has_woken_before_it_blocks() {
    within(|| {
        let (rt, told) = runtime(2);
        for _ in 0..5 {
            let (wake, woken) = oneshot::channel();
            let (run, ran) = mpsc::channel();
            let victim = rt.spawn(async move {
                let said = woken.await.unwrap();
                run.send(said).unwrap();
            });
            let blocks = rt.spawn(async move {
                wake.send(7).unwrap();
                assert_eq!(ran.recv().unwrap(), 7);
            });
            wait(victim);
            wait(blocks);
        }
        end(rt, &told);
    });
}

/// A waker that tells the test.
struct Tells(mpsc::SyncSender<()>);

impl Wake for Tells {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(());
    }
}

/// Waits for the timer by blocking.
fn block_for(mut timer: Pin<&mut Sleep>) {
    let (fire, fired) = mpsc::sync_channel(1);
    let waker = Waker::from(Arc::new(Tells(fire)));
    while timer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        fired.recv().unwrap();
    }
}

#[test]
fn timers_that_belong_to_it() {
    within(|| {
        let (rt, told) = runtime(2);
        // Nobody knows of them but the worker that blocks for them, and whoever looks at its timers.
        let blocks = rt.spawn(async {
            for time in [1, 20, 3] {
                block_for(pin!(sleep(ms(time))));
            }
        });
        wait(blocks);

        let beats = rt.spawn(async {
            let mut timer = pin!(sleep(ms(5)));
            wait_once(timer.as_mut()).await;
            let (beat, beats) = mpsc::channel();
            // It is next on this worker, so nothing else comes between.
            let blocks = spawn(async move { beats.iter().take(20).count() });
            timer.await;
            for _ in 0..20 {
                beat.send(()).unwrap();
                sleep(ms(1)).await;
            }
            blocks.await.unwrap()
        });
        assert_eq!(wait(beats), 20);
        assert!(!end(rt, &told).is_empty());
    });
}

#[test]
fn sockets_that_belong_to_it() {
    within(|| {
        let (rt, told) = runtime(2);
        let (stream, mut peer) = connection(&rt);
        let echo = rt.spawn(async move {
            let mut byte = [0];
            let (release, blocked) = mpsc::channel::<()>();
            let (begin_to_block, blocks) = mpsc::channel();
            let blocker = {
                let mut read = pin!(stream.read(&mut byte));
                wait_once(read.as_mut()).await;
                let blocker = spawn(async move {
                    begin_to_block.send(()).unwrap();
                    let _ = blocked.recv();
                });
                // The peer writes only when this worker is blocked.
                let asks = thread::spawn(move || {
                    blocks.recv().unwrap();
                    ask(&mut peer, 20);
                });
                assert_eq!(read.await.unwrap(), 1);
                (blocker, asks)
            };
            stream.write_all(&byte).await.unwrap();
            while stream.read(&mut byte).await.unwrap() > 0 {
                stream.write_all(&byte).await.unwrap();
            }
            // All were answered while the other blocked.
            drop(release);
            blocker.0.await.unwrap();
            blocker.1
        });
        wait(echo).join().unwrap();
        assert!(!end(rt, &told).is_empty());
    });
}

#[test]
fn what_was_to_begin_there_and_what_is_woken_from_outside() {
    within(|| {
        for blocked in [0, 1] {
            let (rt, told) = runtime(2);
            let stuck = block_worker(&rt, blocked);
            let server = Server::builder()
                .addr("127.0.0.1:0")
                .build(Router::new().get("/", |_: Request| async { "hello" }))
                .unwrap();
            let (addr, handle) = (server.local_addr(), server.handle());
            let serves = rt.spawn(server.run());
            let listeners = if cfg!(target_os = "linux") { 2 } else { 1 };
            until(|| handle.metrics().listeners == listeners);
            // The kernel gives some of them to the one that is blocked.
            for _ in 0..20 {
                let mut client = std::net::TcpStream::connect(addr).unwrap();
                let head = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
                client.write_all(head.as_bytes()).unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert!(answer.ends_with("hello"), "{answer}");
            }
            handle.shutdown(LONG);
            assert_eq!(wait(serves).unwrap().served, 20);
            release([stuck]);
            let told = end(rt, &told);
            assert!(told.iter().any(|(_, stuck, _)| *stuck == blocked), "{told:?}");
        }
    });
}
