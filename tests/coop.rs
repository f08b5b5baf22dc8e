//! A task that always has something to do yields when its budget is spent.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Flavour, on_every_flavour};
use mainspring::coop::{BUDGET, consume_budget, unconstrained};
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::{sleep, timeout};
use mainspring::{spawn, spawn_local, yield_now};
use one_thread::block_on;
use std::cell::Cell;
use std::future::Future;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use watchdog::within;

/// Runs `greedy` beside a neighbour that counts its own polls, and returns the count that the
/// neighbour had reached when `greedy` ended.
async fn neighbours_polls(greedy: impl Future<Output = ()> + 'static) -> usize {
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    let neighbour = spawn_local(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    spawn_local(greedy).await.unwrap();
    neighbour.abort();
    polls.get()
}

#[test]
fn a_loop_over_consume_budget_yields_every_so_often() {
    within(|| {
        block_on(async {
            let rounds = 100 * usize::from(BUDGET);
            let polls = neighbours_polls(async move {
                for _ in 0..rounds {
                    consume_budget().await;
                }
            })
            .await;
            assert!((99..=101).contains(&polls), "{polls}");
        });
    });
}

#[test]
fn the_root_has_a_budget_too() {
    within(|| {
        block_on(async {
            let ran = Rc::new(Cell::new(false));
            let seen = Rc::clone(&ran);
            drop(spawn_local(async move { seen.set(true) }));
            for _ in 0..BUDGET {
                consume_budget().await;
            }
            assert!(!ran.get(), "it is not spent yet");
            consume_budget().await;
            assert!(ran.get());
        });
    });
}

#[test]
fn unconstrained_does_not_yield() {
    within(|| {
        block_on(async {
            let polls = neighbours_polls(unconstrained(async {
                for _ in 0..10_000 {
                    consume_budget().await;
                }
            }))
            .await;
            assert!(polls <= 2, "{polls}");
            // The budget counts again afterwards.
            let polls = neighbours_polls(async {
                unconstrained(async {
                    for _ in 0..10_000 {
                        consume_budget().await;
                    }
                })
                .await;
                for _ in 0..10_000 {
                    consume_budget().await;
                }
            })
            .await;
            assert!(polls >= 50, "{polls}");
        });
    });
}

fn an_operation_that_waits_costs_nothing(on: Flavour) {
    within(move || {
        on.block_on(async {
            spawn(async {
                // Polled by hand within one poll of the task: none of these makes progress.
                let mut waiting = Box::pin(sleep(Duration::from_secs(3600)));
                for _ in 0..10 * usize::from(BUDGET) {
                    assert!(futures::poll!(&mut waiting).is_pending());
                }
                let mut still = Box::pin(consume_budget());
                assert!(futures::poll!(&mut still).is_ready(), "the budget was spent by waiting");
            })
            .await
            .unwrap();
        });
    });
}

#[test]
fn join_handles_of_finished_tasks_count() {
    within(|| {
        block_on(async {
            let tasks: Vec<_> =
                (0..10 * usize::from(BUDGET)).map(|n| spawn(async move { n })).collect();
            while tasks.iter().any(|task| !task.is_finished()) {
                yield_now().await;
            }
            let polls = neighbours_polls(async move {
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.unwrap(), n);
                }
            })
            .await;
            assert!(polls >= 9, "{polls}");
        });
    });
}

#[test]
fn sleeps_that_are_over_count() {
    within(|| {
        block_on(async {
            let polls = neighbours_polls(async {
                for _ in 0..10 * usize::from(BUDGET) {
                    sleep(Duration::ZERO).await;
                }
            })
            .await;
            assert!(polls >= 9, "{polls}");
        });
    });
}

#[test]
fn a_socket_that_always_has_data_counts() {
    within(|| {
        block_on(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let total = 10 * usize::from(BUDGET);
            client.write_all(&vec![7; total]).unwrap();
            let polls = neighbours_polls(async move {
                for _ in 0..total {
                    assert_eq!(server.read(&mut [0]).await.unwrap(), 1);
                }
            })
            .await;
            assert!(polls >= 9, "{polls}");
        });
    });
}

#[test]
fn a_listener_that_always_has_connections_counts() {
    within(|| {
        block_on(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let total = 2 * usize::from(BUDGET);
            let clients: Vec<_> =
                (0..total).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            let polls = neighbours_polls(async move {
                for _ in 0..total {
                    drop(listener.accept().await.unwrap());
                }
            })
            .await;
            drop(clients);
            assert!(polls >= 1, "{polls}");
        });
    });
}

fn a_time_out_fires_over_a_future_that_never_stops(on: Flavour) {
    within(move || {
        on.block_on(async {
            let endless = async {
                loop {
                    consume_budget().await;
                }
            };
            assert!(timeout(Duration::from_millis(5), endless).await.is_err());
            // As a task, and with the reads of a socket as the future.
            let limited = spawn(async {
                let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
                let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (server, _) = listener.accept().await.unwrap();
                let endless = async {
                    loop {
                        client.write_all(b"x").await.unwrap();
                        server.read(&mut [0]).await.unwrap();
                    }
                };
                timeout(Duration::from_millis(5), endless).await.is_err()
            });
            assert!(limited.await.unwrap());
        });
    });
}

#[test]
fn without_a_runtime_there_is_no_budget() {
    within(|| {
        let mut polls = 0;
        futures::executor::block_on(async {
            let mut future = Box::pin(async {
                for _ in 0..10 * BUDGET {
                    consume_budget().await;
                }
            });
            std::future::poll_fn(|cx| {
                polls += 1;
                future.as_mut().poll(cx)
            })
            .await;
        });
        assert_eq!(polls, 1);
    });
}

on_every_flavour! {
    an_operation_that_waits_costs_nothing,
    a_time_out_fires_over_a_future_that_never_stops,
}
