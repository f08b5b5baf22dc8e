//! All workers are stuck, and everything else goes on: threads stand in for them.
//!
//! The stuck tasks block until the test has seen the others go on.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/peer.rs"]
mod peer;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{block, release, until, wait, wait_once};
use mainspring::hooks::Hooks;
use mainspring::net::TcpStream;
use mainspring::time::sleep;
use mainspring::{Runtime, spawn, yield_now};
use peer::{ask, connection};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Start(usize),
    Rescue { rescuer: usize, stuck: usize },
    Stop(usize),
}

#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Told {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Hooks for Told {
    fn on_worker_start(&self, worker: usize) {
        self.tell(Event::Start(worker));
    }

    fn on_rescue(&self, rescuer: usize, stuck: usize) {
        self.tell(Event::Rescue { rescuer, stuck });
    }

    fn on_worker_stop(&self, worker: usize) {
        self.tell(Event::Stop(worker));
    }
}

/// Ends the runtime, and finds that what it told is what it counted, and in order.
fn end(rt: Runtime, told: &Told) {
    let (handle, workers) = (rt.handle(), rt.handle().workers());
    drop(rt);
    let told = told.0.lock().unwrap().clone();
    let rescues = told.iter().filter(|event| matches!(event, Event::Rescue { .. })).count();
    assert!(rescues > 0);
    assert_eq!((handle.metrics().rescues, handle.metrics().rescuers), (rescues as u64, 0));
    let mut there = vec![false; workers + 64];
    for event in &told {
        match *event {
            Event::Start(thread) => assert!(!std::mem::replace(&mut there[thread], true)),
            Event::Rescue { rescuer, stuck } => {
                assert!(rescuer >= workers && there[rescuer] && there[stuck], "{told:?}");
                assert_ne!(rescuer, stuck);
            }
            Event::Stop(thread) => assert!(std::mem::replace(&mut there[thread], false)),
        }
    }
    assert!(!there.contains(&true), "{told:?}");
}

/// What all tasks of [`fill`] have in common.
#[derive(Default)]
struct Shared {
    beats: Vec<AtomicUsize>,
    over: AtomicBool,
}

/// On one worker: a task with a timer there, one with a socket there, one that blocks, and one in the slot
/// behind it.
async fn fill(
    worker: usize,
    shared: Arc<Shared>,
    stream: TcpStream,
    blocks: impl FnOnce() + Send + 'static,
    begun: Sender<()>,
    victims: Sender<()>,
) {
    let mut timer = pin!(sleep(ms(1)));
    wait_once(timer.as_mut()).await;
    // Each is next on this worker, so nothing else comes between.
    let echo = spawn(async move {
        let mut byte = [0];
        let blocker = {
            let mut read = pin!(stream.read(&mut byte));
            wait_once(read.as_mut()).await;
            let blocker = spawn(async move {
                let victim = spawn(async move { victims.send(()).unwrap() });
                begun.send(()).unwrap();
                blocks();
                victim.await.unwrap();
            });
            assert_eq!(read.await.unwrap(), 1);
            blocker
        };
        stream.write_all(&byte).await.unwrap();
        while stream.read(&mut byte).await.unwrap() > 0 {
            stream.write_all(&byte).await.unwrap();
        }
        blocker.await.unwrap();
    });
    timer.await;
    while !shared.over.load(SeqCst) {
        shared.beats[worker].fetch_add(1, SeqCst);
        sleep(ms(1)).await;
    }
    echo.await.unwrap();
}

#[test]
fn timers_sockets_and_slots_of_all_workers_go_on() {
    for workers in [1, 2, 4] {
        within(move || {
            let told = Arc::<Told>::default();
            let builder = Runtime::builder().worker_threads(workers).hooks(told.clone());
            let rt = builder.build().unwrap();
            let beats = (0..workers).map(|_| AtomicUsize::new(0)).collect();
            let shared = Arc::new(Shared { beats, ..Shared::default() });
            let ((begin, begun), (run, ran)) = (mpsc::channel(), mpsc::channel());
            let (mut gates, mut peers, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
            for worker in 0..workers {
                let ((gate, blocks), (stream, peer)) = (blocked::gate(), connection(&rt));
                let (begin, run) = (begin.clone(), run.clone());
                let fills = fill(worker, shared.clone(), stream, blocks, begin, run);
                let pinned = rt.handle().spawn_pinned(worker, move || async { Some(spawn(fills)) });
                tasks.extend(wait(pinned.ok().unwrap()));
                gates.push(gate);
                peers.push(peer);
            }
            // From here on all are blocked.
            (0..workers).for_each(|_| begun.recv().unwrap());
            (0..workers).for_each(|_| ran.recv().unwrap());
            peers.iter_mut().for_each(|peer| ask(peer, 20));
            for beats in &shared.beats {
                let before = beats.load(SeqCst);
                until(|| beats.load(SeqCst) >= before + 20);
            }
            assert_eq!(wait(rt.spawn(async { spawn(async { 7 }).await.unwrap() })), 7);
            let metrics = rt.handle().metrics();
            assert!(metrics.rescues > 0 && (1..=64).contains(&metrics.rescuers), "{metrics:?}");
            drop((gates, peers));
            shared.over.store(true, SeqCst);
            tasks.into_iter().for_each(wait);
            end(rt, &told);
        });
    }
}

#[test]
fn many_more_tasks_block_than_there_are_workers() {
    within(|| {
        for (workers, count) in [(1, 2), (2, 4), (4, 8), (1, 20), (2, 40), (4, 67)] {
            let told = Arc::<Told>::default();
            let builder = Runtime::builder().worker_threads(workers).hooks(told.clone());
            let rt = builder.build().unwrap();
            // All of them have begun, so there is a thread for each.
            let blocked = block(&rt, count);
            let beats = rt.spawn(async {
                for _ in 0..20 {
                    sleep(ms(1)).await;
                    spawn(yield_now()).await.unwrap();
                }
            });
            wait(beats);
            let metrics = rt.handle().metrics();
            assert!((count - workers + 1..=64).contains(&metrics.rescuers), "{metrics:?}");
            assert!(metrics.rescuers_without_a_poll >= count - workers, "{metrics:?}");
            release(blocked);
            end(rt, &told);
        }
    });
}

/// Blocks the first worker that is about to sleep.
struct BlocksInPark(Mutex<Option<Box<dyn FnOnce() + Send>>>, Sender<usize>);

impl Hooks for BlocksInPark {
    fn on_park(&self, worker: usize) {
        let blocks = self.0.lock().unwrap().take();
        if let Some(blocks) = blocks {
            self.1.send(worker).unwrap();
            blocks();
        }
    }
}

/// Nobody else is called while somebody searches: here that is one that does not come to it.
#[test]
fn a_worker_is_stuck_while_it_searches() {
    within(|| {
        for _ in 0..5 {
            let ((release_hook, blocks), (tell, told)) = (blocked::gate(), mpsc::channel());
            let hooks = Arc::new(BlocksInPark(Mutex::new(Some(Box::new(blocks))), tell));
            let rt = Runtime::builder().worker_threads(2).hooks(hooks).build().unwrap();
            let stuck = told.recv().unwrap();
            let other = blocked::block_worker(&rt, 1 - stuck);
            until(|| rt.handle().metrics().rescues > 0);
            release([other]);
            for _ in 0..20 {
                // All the others sleep, then.
                std::thread::sleep(ms(3));
                assert_eq!(wait(rt.spawn(async { 7 })), 7);
            }
            drop(release_hook);
        }
    });
}
