//! The blocking ends of channels, beside a runtime.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use mainspring::sync::{mpsc, oneshot};
use mainspring::{spawn, spawn_blocking};
use std::thread;
use watchdog::within;

fn threads_and_closures_block_where_tasks_wait(on: Flavour) {
    within(move || {
        let (requests, mut inbox) = mpsc::channel::<(u32, oneshot::Sender<u32>)>(2);
        let clients: Vec<_> = (0..3)
            .map(|me| {
                let requests = requests.clone();
                thread::spawn(move || {
                    for n in 0..100 {
                        let (answer, answered) = oneshot::channel();
                        requests.blocking_send((me * 1_000 + n, answer)).unwrap();
                        assert_eq!(answered.blocking_recv(), Ok(me * 2_000 + 2 * n));
                    }
                })
            })
            .collect();
        drop(requests);
        let served = on.block_on(async {
            let (work, mut working) = mpsc::channel::<(u32, oneshot::Sender<u32>)>(1);
            // A closure has no budget that could run out.
            let doubling = spawn_blocking(move || {
                let mut served = 0;
                while let Some((n, answer)) = working.blocking_recv() {
                    answer.send(2 * n).unwrap();
                    served += 1;
                }
                served
            });
            let passing = spawn(async move {
                while let Some(request) = inbox.recv().await {
                    work.send(request).await.unwrap();
                }
            });
            passing.await.unwrap();
            doubling.await.unwrap()
        });
        assert_eq!(served, 300);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

fn a_task_and_the_root_are_not_blocked(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (sender, mut receiver) = mpsc::channel(1);
            let refused = spawn(async move { sender.blocking_send(1) }).await;
            assert!(refused.unwrap_err().is_panic());
            let root = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                receiver.blocking_recv();
            }));
            let text = *root.unwrap_err().downcast::<String>().unwrap();
            assert!(text.contains("await `recv` instead"), "{text}");
            assert_eq!(receiver.recv().await, None);
        });
    });
}

on_every_flavour! {
    threads_and_closures_block_where_tasks_wait,
    a_task_and_the_root_are_not_blocked,
}
