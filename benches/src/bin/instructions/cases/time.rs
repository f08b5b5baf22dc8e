//! Timers.

use super::{Case, MANY, rt};
use crate::clock;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How many different moments sleeps end at.
const SPREAD: usize = 97;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "sleep_cancel",
        meaning: "arm a sleep of a minute and drop it",
        count: 20_000,
        run: |n| {
            rt::block_on(async move {
                for _ in 0..n {
                    let mut sleep = pin!(rt::sleep(Duration::from_secs(60)));
                    poll_fn(|cx| {
                        assert!(sleep.as_mut().poll(cx).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                }
            })
        },
    },
    Case {
        name: "sleep_fired",
        meaning: "1000 tasks sleep over and over, each for its own 1 to 97 ms: one sleep, from armed to polled",
        count: 20_000,
        run: |n| {
            clock::jump_when_idle();
            rt::block_on(sleep_fired(n))
        },
    },
];

async fn sleep_fired(n: usize) {
    let task = |i: usize| async move {
        for _ in 0..n / MANY {
            rt::sleep(Duration::from_millis((1 + i % SPREAD) as u64)).await;
        }
    };
    let tasks: Vec<_> = (0..MANY).map(|i| rt::spawn(task(i))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}
