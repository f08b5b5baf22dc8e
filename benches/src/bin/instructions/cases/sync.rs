//! What tasks coordinate with.

use super::{Case, MANY, rt};
use std::hint::black_box;
use std::sync::Arc;

/// Of bounded channels that are to be full now and then.
const CAPACITY: usize = 128;
/// So few that most of the tasks wait.
const PERMITS: usize = 10;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "oneshot",
        meaning: "make a oneshot channel, send, receive, in one task",
        count: 20_000,
        run: |n| {
            rt::block_on(async move {
                for i in 0..n {
                    let (sender, receiver) = rt::oneshot::channel();
                    sender.send(i).unwrap();
                    black_box(receiver.await.unwrap());
                }
            })
        },
    },
    Case {
        name: "request_reply",
        meaning: "send a request with a oneshot sender in it to a task by mpsc, await the reply",
        count: 10_000,
        run: |n| rt::block_on(request_reply(n)),
    },
    Case {
        name: "ping_pong",
        meaning: "a message to another task and one back, by two bounded mpsc: both ways",
        count: 10_000,
        run: |n| rt::block_on(ping_pong(n)),
    },
    Case {
        name: "mpsc_1_1",
        meaning: "a message by bounded mpsc (128), one task sends, one receives",
        count: 20_000,
        run: |n| rt::block_on(mpsc(n, 1)),
    },
    Case {
        name: "mpsc_4_1",
        meaning: "the same with four that send",
        count: 20_000,
        run: |n| rt::block_on(mpsc(n, 4)),
    },
    Case {
        name: "mutex",
        meaning: "lock and unlock a mutex that nobody else wants",
        count: 40_000,
        run: |n| {
            rt::block_on(async move {
                let mutex = rt::Mutex::new(0);
                for _ in 0..n {
                    *mutex.lock().await += 1;
                }
            })
        },
    },
    Case {
        name: "mutex_1000",
        meaning: "the same by 1000 tasks that yield while they hold it",
        count: 20_000,
        run: |n| rt::block_on(mutex_many(n)),
    },
    Case {
        name: "semaphore",
        meaning: "acquire and give back a permit that is free",
        count: 40_000,
        run: |n| {
            rt::block_on(async move {
                let semaphore = rt::Semaphore::new(1);
                for _ in 0..n {
                    drop(semaphore.acquire().await.unwrap());
                }
            })
        },
    },
    Case {
        name: "semaphore_1000",
        meaning: "the same by 1000 tasks that yield while they have one of 10",
        count: 20_000,
        run: |n| rt::block_on(semaphore_many(n)),
    },
];

async fn request_reply(n: usize) {
    let (requests, mut taken) = rt::mpsc::channel::<(usize, rt::oneshot::Sender<usize>)>(16);
    let server = rt::spawn(async move {
        while let Some((value, reply)) = taken.recv().await {
            reply.send(value).unwrap();
        }
    });
    let client = rt::spawn(async move {
        for i in 0..n {
            let (reply, replied) = rt::oneshot::channel();
            assert!(requests.send((i, reply)).await.is_ok());
            black_box(replied.await.unwrap());
        }
    });
    client.await.unwrap();
    server.await.unwrap();
}

async fn ping_pong(n: usize) {
    let (ping, mut pinged) = rt::mpsc::channel::<usize>(1);
    let (pong, mut ponged) = rt::mpsc::channel::<usize>(1);
    let other = rt::spawn(async move {
        while let Some(value) = pinged.recv().await {
            pong.send(value).await.unwrap();
        }
    });
    let own = rt::spawn(async move {
        for i in 0..n {
            ping.send(i).await.unwrap();
            black_box(ponged.recv().await.unwrap());
        }
    });
    own.await.unwrap();
    other.await.unwrap();
}

async fn mpsc(n: usize, senders: usize) {
    let (sender, mut receiver) = rt::mpsc::channel::<usize>(CAPACITY);
    let receiving = rt::spawn(async move {
        while let Some(value) = receiver.recv().await {
            black_box(value);
        }
    });
    for _ in 0..senders {
        let sender = sender.clone();
        drop(rt::spawn(async move {
            for i in 0..n / senders {
                sender.send(i).await.unwrap();
            }
        }));
    }
    drop(sender);
    receiving.await.unwrap();
}

async fn mutex_many(n: usize) {
    let mutex = Arc::new(rt::Mutex::new(0));
    let task = |mutex: Arc<rt::Mutex<usize>>| async move {
        for _ in 0..n / MANY {
            let mut guard = mutex.lock().await;
            rt::yield_now().await;
            *guard += 1;
        }
    };
    let tasks: Vec<_> = (0..MANY).map(|_| rt::spawn(task(Arc::clone(&mutex)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn semaphore_many(n: usize) {
    let semaphore = Arc::new(rt::Semaphore::new(PERMITS));
    let task = |semaphore: Arc<rt::Semaphore>| async move {
        for _ in 0..n / MANY {
            let permit = semaphore.acquire().await.unwrap();
            rt::yield_now().await;
            drop(permit);
        }
    };
    let tasks: Vec<_> = (0..MANY).map(|_| rt::spawn(task(Arc::clone(&semaphore)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}
