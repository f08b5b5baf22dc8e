//! What people first try when they learn to coordinate tasks: a counter that races, an event that a
//! thread sets, a barrier, a condition and a bounded queue, a semaphore.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::sim::{self, random_below};
use mainspring::sync::{Barrier, Condvar, Event, Mutex, Semaphore, mpsc};
use mainspring::time::{Instant, sleep};
use mainspring::{Handle, JoinHandle, block_on, spawn, yield_now};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}

/// That it goes wrong without the lock, and how, `sim_shortest` shows.
#[test]
fn a_lock_keeps_the_racing_counter_at_zero() {
    sim::check(0..500, || async {
        let counter = Arc::new(Mutex::new(0));
        let tasks = (0..3)
            .map(|_| {
                let counter = counter.clone();
                spawn(async move {
                    let mut counter = counter.lock().await;
                    *counter += 1;
                    yield_now().await;
                    *counter -= 1;
                    yield_now().await;
                    *counter
                })
            })
            .collect();
        assert_eq!(join(tasks).await, [0, 0, 0]);
    });
}

#[test]
fn an_event_that_a_thread_sets_lets_all_go() {
    within(|| {
        block_on(async {
            let event = Arc::new(Event::new());
            let tasks = (0..3)
                .map(|n| {
                    let event = event.clone();
                    spawn(async move {
                        event.wait().await;
                        n
                    })
                })
                .collect();
            yield_now().await;
            let setter = event.clone();
            let thread = thread::spawn(move || setter.set());
            assert_eq!(join(tasks).await, [0, 1, 2]);
            thread.join().unwrap();
        });
    });
}

/// As one who knows `call_soon_threadsafe` would do it: the thread asks the loop to set the event.
#[test]
fn an_event_is_set_by_a_call_that_a_thread_asks_for() {
    within(|| {
        block_on(async {
            let event = Arc::new(Event::new());
            let (handle, setter) = (Handle::current(), event.clone());
            let thread = thread::spawn(move || handle.call_soon(move || setter.set()));
            event.wait().await;
            drop(thread.join().unwrap());
        });
    });
}

#[test]
fn a_barrier_of_three_lets_three_go_at_a_time() {
    sim::check(0..500, || async {
        let barrier = Arc::new(Barrier::new(3));
        let arrived = Arc::new(StdMutex::new([0; 4]));
        let tasks = (0..3)
            .map(|_| {
                let (barrier, arrived) = (barrier.clone(), arrived.clone());
                spawn(async move {
                    let mut led = 0;
                    for round in 0..4 {
                        sleep(ms(random_below(3))).await;
                        arrived.lock().unwrap()[round] += 1;
                        led += u32::from(barrier.wait().await.is_leader());
                        assert_eq!(arrived.lock().unwrap()[round], 3, "all have arrived");
                    }
                    led
                })
            })
            .collect();
        let led = join(tasks).await;
        assert_eq!(led.iter().sum::<u32>(), 4, "one leads each round");
    });
}

/// A queue of five places under a condition; ten items go through it in their order.
#[test]
fn a_condition_guards_a_queue_of_five() {
    struct Shared {
        queue: Mutex<VecDeque<u32>>,
        changed: Condvar,
    }
    sim::check(0..500, || async {
        let shared =
            Arc::new(Shared { queue: Mutex::new(VecDeque::new()), changed: Condvar::new() });
        let producer = {
            let shared = shared.clone();
            spawn(async move {
                for item in 0..10 {
                    sleep(ms(random_below(3))).await;
                    let queue = shared.queue.lock().await;
                    let mut queue =
                        shared.changed.wait_while(queue, |queue| queue.len() == 5).await;
                    queue.push_back(item);
                    assert!(queue.len() <= 5);
                    shared.changed.notify_all();
                }
            })
        };
        let mut items = Vec::new();
        while items.len() < 10 {
            sleep(ms(random_below(3))).await;
            let queue = shared.queue.lock().await;
            let mut queue = shared.changed.wait_while(queue, |queue| queue.is_empty()).await;
            items.extend(queue.pop_front());
            shared.changed.notify_all();
        }
        producer.await.unwrap();
        assert_eq!(items, (0..10).collect::<Vec<_>>());
    });
}

/// The same by the channel that is made for it.
#[test]
fn a_channel_of_five_places_carries_ten_items() {
    sim::check(0..500, || async {
        let (sender, mut receiver) = mpsc::channel(5);
        let producer = spawn(async move {
            for item in 0..10 {
                sleep(ms(random_below(3))).await;
                sender.send(item).await.unwrap();
            }
        });
        let mut items = Vec::new();
        loop {
            assert!(receiver.len() <= 5);
            sleep(ms(random_below(3))).await;
            match receiver.recv().await {
                Some(item) => items.push(item),
                None => break,
            }
        }
        producer.await.unwrap();
        assert_eq!(items, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn a_semaphore_of_four_lets_four_work_at_a_time() {
    sim::check(0..500, || async {
        let semaphore = Arc::new(Semaphore::new(4));
        let working = Arc::new(StdMutex::new((0, 0)));
        let start = Instant::now();
        let tasks = (0..10)
            .map(|_| {
                let (semaphore, working) = (semaphore.clone(), working.clone());
                spawn(async move {
                    let _permit = semaphore.acquire().await.unwrap();
                    {
                        let mut working = working.lock().unwrap();
                        working.0 += 1;
                        working.1 = working.1.max(working.0);
                    }
                    sleep(Duration::from_secs(1)).await;
                    working.lock().unwrap().0 -= 1;
                })
            })
            .collect();
        join(tasks).await;
        assert_eq!(*working.lock().unwrap(), (0, 4), "now, and at most");
        assert_eq!(start.elapsed(), Duration::from_secs(3), "4 + 4 + 2");
        assert_eq!(semaphore.available_permits(), 4);
    });
}
