//! Whatever keeps the queue full, timers fire, sockets are served, and other threads are heard.
#![cfg(not(loom))]

#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use futures::channel::oneshot;
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::{Instant, sleep, sleep_until};
use mainspring::{Handle, LocalRuntime, spawn, spawn_local, yield_now};
use one_thread::block_on;
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::thread;
use std::time::Duration;
use watchdog::within;

/// Runs `test` as root and as a task, beside nothing, one, and many tasks that always yield; some
/// of them slow.
fn under_load<F: Future<Output = ()> + 'static>(test: impl Fn() -> F + Send + 'static) {
    within(move || {
        for (quick, slow) in [(0, 0), (1, 0), (300, 0), (0, 3), (300, 3)] {
            let rt = LocalRuntime::builder().build().unwrap();
            for n in 0..quick + slow {
                drop(rt.spawn_local(async move {
                    loop {
                        if n < slow {
                            let start = Instant::now();
                            while start.elapsed() < Duration::from_millis(1) {}
                        }
                        yield_now().await;
                    }
                }));
            }
            rt.block_on(test());
            rt.block_on(async { spawn_local(test()).await.unwrap() });
        }
    });
}

#[test]
fn timers_fire() {
    under_load(|| async {
        for _ in 0..3 {
            let start = Instant::now();
            sleep(Duration::from_millis(2)).await;
            assert!(start.elapsed() >= Duration::from_millis(2));
        }
    });
}

#[test]
fn sockets_are_served() {
    under_load(|| async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = spawn(async move {
            let client = TcpStream::connect(address).await.unwrap();
            for n in 0..5 {
                client.write_all(&[n]).await.unwrap();
                let mut back = [0];
                assert_eq!(client.read(&mut back).await.unwrap(), 1);
                assert_eq!(back, [n]);
            }
        });
        let (server, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 16];
        loop {
            let count = server.read(&mut buffer).await.unwrap();
            if count == 0 {
                break;
            }
            server.write_all(&buffer[..count]).await.unwrap();
        }
        client.await.unwrap();
    });
}

#[test]
fn other_threads_are_heard() {
    under_load(|| async {
        let handle = Handle::current();
        let (tx, rx) = oneshot::channel();
        let thread = thread::spawn(move || {
            for n in 0..5 {
                assert_eq!(futures::executor::block_on(handle.spawn(async move { n })).unwrap(), n);
            }
            tx.send(()).unwrap();
        });
        rx.await.unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn a_root_that_always_yields_lets_everything_run() {
    within(|| {
        block_on(async {
            let done = Rc::new(Cell::new(0));
            for n in 0..50 {
                let done = Rc::clone(&done);
                drop(spawn_local(async move {
                    sleep(Duration::from_millis(n % 5)).await;
                    done.set(done.get() + 1);
                }));
            }
            while done.get() < 50 {
                yield_now().await;
            }
        });
    });
}

#[test]
fn yielding_lets_all_that_is_ready_run_once() {
    within(|| {
        block_on(async {
            // More than are polled between two looks at the driver.
            let polls = Rc::new(Cell::new(0));
            for _ in 0..1000 {
                let polls = Rc::clone(&polls);
                drop(spawn_local(async move {
                    loop {
                        polls.set(polls.get() + 1);
                        yield_now().await;
                    }
                }));
            }
            for round in 1..=10 {
                yield_now().await;
                assert_eq!(polls.get(), 1000 * round);
            }
        });
    });
}

#[test]
fn events_come_in_their_order_beside_a_busy_task() {
    within(|| {
        block_on(async {
            drop(spawn(async {
                loop {
                    yield_now().await;
                }
            }));
            let order = Rc::new(std::cell::RefCell::new(Vec::new()));
            // So far away that all are armed before the first is due, however busy the machine.
            let start = Instant::now() + Duration::from_millis(300);
            let tasks: Vec<_> = [30_u64, 10, 20, 0, 40]
                .into_iter()
                .map(|ms| {
                    let order = Rc::clone(&order);
                    spawn_local(async move {
                        sleep_until(start + Duration::from_millis(ms)).await;
                        order.borrow_mut().push(ms);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*order.borrow(), [0, 10, 20, 30, 40]);
        });
    });
}
