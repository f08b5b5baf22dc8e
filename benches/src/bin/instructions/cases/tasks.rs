//! Tasks: spawning, waking, yielding.

use super::{Case, MANY, rt};
use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::task::{Poll, Waker};
use std::thread::LocalKey;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "spawn_join",
        meaning: "spawn a task from the root and await it, one at a time",
        count: 20_000,
        run: |n| rt::block_on(spawn_join(n)),
    },
    Case {
        name: "spawn_join_inside",
        meaning: "the same from inside a task",
        count: 20_000,
        run: |n| rt::block_on(async move { rt::spawn(spawn_join(n)).await.unwrap() }),
    },
    Case {
        name: "spawn_join_send",
        meaning: "the same from the root by the spawn that wants `Send` (tokio has but that one)",
        count: 20_000,
        run: |n| {
            rt::block_on(async move {
                for i in 0..n {
                    black_box(rt::spawn_send(async move { i }).await.unwrap());
                }
            })
        },
    },
    Case {
        name: "spawn_join_large",
        meaning: "the same from the root with a future of 4 KiB, as those of connections may be",
        count: 10_000,
        run: |n| rt::block_on(spawn_join_large(n)),
    },
    Case {
        name: "spawn_1000",
        meaning: "spawn 1000 tasks, then await them all",
        count: 20_000,
        run: |n| rt::block_on(spawn_many(n)),
    },
    Case {
        name: "spawn_chained",
        meaning: "a task spawns the next one and ends, 1000 in a row",
        count: 20_000,
        run: |n| rt::block_on(spawn_chained(n)),
    },
    Case {
        name: "wake",
        meaning: "a task wakes another by a cloned waker, and is woken by it: one wake and poll",
        count: 40_000,
        run: |n| {
            rt::block_on(async move {
                let other = rt::spawn(take_turns(n / 2, &SECOND, &FIRST));
                rt::spawn(take_turns(n / 2, &FIRST, &SECOND)).await.unwrap();
                other.await.unwrap();
            })
        },
    },
    Case {
        name: "wake_root",
        meaning: "the same between the root and a task",
        count: 40_000,
        run: |n| {
            rt::block_on(async move {
                let other = rt::spawn(take_turns(n / 2, &SECOND, &FIRST));
                take_turns(n / 2, &FIRST, &SECOND).await;
                other.await.unwrap();
            })
        },
    },
    Case {
        name: "yield_lone",
        meaning: "the only task yields",
        count: 40_000,
        run: |n| rt::block_on(async move { rt::spawn(yields(n)).await.unwrap() }),
    },
    Case {
        name: "yield_root",
        meaning: "the root yields, and there are no tasks",
        count: 40_000,
        run: |n| rt::block_on(yields(n)),
    },
    Case {
        name: "yield_1000",
        meaning: "each of 1000 tasks yields in its turn",
        count: 40_000,
        run: |n| {
            rt::block_on(async move {
                let tasks: Vec<_> = (0..MANY).map(|_| rt::spawn(yields(n / MANY))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            })
        },
    },
];

async fn spawn_join(n: usize) {
    for i in 0..n {
        black_box(rt::spawn(async move { i }).await.unwrap());
    }
}

async fn spawn_join_large(n: usize) {
    for i in 0..n {
        let large = async move {
            let mut buffer = MaybeUninit::<[u8; 4096]>::uninit();
            // It is there across the await, so it is in the future; nobody writes it.
            black_box(&mut buffer);
            rt::yield_now().await;
            black_box(&mut buffer);
            i
        };
        black_box(rt::spawn(large).await.unwrap());
    }
}

async fn spawn_many(n: usize) {
    let mut tasks = Vec::with_capacity(MANY);
    for _ in 0..n / MANY {
        tasks.extend((0..MANY).map(|i| rt::spawn(async move { i })));
        for task in tasks.drain(..) {
            black_box(task.await.unwrap());
        }
    }
}

async fn spawn_chained(n: usize) {
    for _ in 0..n / MANY {
        let (done, ended) = rt::oneshot::channel();
        chain(MANY, done);
        ended.await.unwrap();
    }
}

fn chain(left: usize, done: rt::oneshot::Sender<()>) {
    // Nobody awaits it.
    drop(rt::spawn(async move {
        match left {
            0 => done.send(()).unwrap(),
            _ => chain(left - 1, done),
        }
    }));
}

async fn yields(n: usize) {
    for _ in 0..n {
        rt::yield_now().await;
    }
}

thread_local! {
    static FIRST: Cell<Option<Waker>> = const { Cell::new(None) };
    static SECOND: Cell<Option<Waker>> = const { Cell::new(None) };
}

type Slot = &'static LocalKey<Cell<Option<Waker>>>;

/// So often: leaves its waker in its own slot, and wakes who left one in the other.
async fn take_turns(n: usize, own: Slot, other: Slot) {
    let mut left = n;
    poll_fn(|cx| {
        own.set(Some(cx.waker().clone()));
        if let Some(waker) = other.take() {
            waker.wake();
        }
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
