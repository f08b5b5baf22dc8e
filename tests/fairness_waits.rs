//! Whoever is answered at once by another thread, again and again, looks what the kernel has in between.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::task::AtomicWaker;
use mainspring::net::TcpStream;
use mainspring::{LocalRuntime, Runtime, spawn_local, spawn_pinned, yield_now};
use std::future::poll_fn;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use watchdog::within;

/// Each test needs two processors.
static ALONE: Mutex<()> = Mutex::new(());

/// Long enough that a few of them are more than events may wait for, and answers are late.
const LATE: Duration = Duration::from_micros(20);

/// In [`LATE`] answers, every second one, that is 320 µs.
const MOST_ROUNDS: u64 = 32;

const OVER: u64 = u64::MAX;

/// A thread that answers each question, and what they share.
#[derive(Default)]
struct Answers {
    /// Twice its number, and one more if it is to be answered late.
    question: AtomicU64,
    answer: AtomicU64,
    asks: AtomicWaker,
}

impl Answers {
    fn begin() -> (Arc<Self>, thread::JoinHandle<()>) {
        let answers = Arc::new(Self::default());
        let answering = Arc::clone(&answers);
        (answers, thread::spawn(move || answering.serve()))
    }

    fn serve(&self) {
        let mut last = 0;
        loop {
            let question = self.question.load(SeqCst);
            if question == OVER {
                return;
            }
            if question == last {
                std::hint::spin_loop();
                continue;
            }
            let since = Instant::now();
            while question % 2 == 1 && since.elapsed() < LATE {}
            last = question;
            self.answer.store(question, SeqCst);
            self.asks.wake();
        }
    }

    async fn ask(&self, number: u64, late: bool) {
        let question = 2 * number + u64::from(late);
        self.question.store(question, SeqCst);
        let answered = poll_fn(|cx| {
            self.asks.register(cx.waker());
            match self.answer.load(SeqCst) == question {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        answered.await;
    }
}

/// Asks beside a reader, which `begin` begins on the same thread; so many rounds the reader waits at the
/// most for what was there from the first.
async fn most_rounds(
    answers: &Answers,
    begin: impl FnOnce(std::net::TcpStream, Arc<AtomicU64>),
) -> u64 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let read = Arc::new(AtomicU64::new(0));
    begin(listener.accept().unwrap().0, Arc::clone(&read));
    let (mut number, mut most) = (0, 0);
    for written in 1..=20 {
        // Polls are short, so there may be many of them before the next look.
        for _ in 0..2000 + 13 * written {
            yield_now().await;
        }
        assert_eq!(peer.write(&[0]).unwrap(), 1);
        let first = number;
        while read.load(SeqCst) < written {
            number += 1;
            answers.ask(number, number % 2 == 0).await;
        }
        most = most.max(number - first);
    }
    answers.question.store(OVER, SeqCst);
    most
}

async fn read_all(stream: std::net::TcpStream, read: Arc<AtomicU64>) {
    stream.set_nonblocking(true).unwrap();
    let stream = TcpStream::from_std(stream).unwrap();
    while stream.read(&mut [0]).await.unwrap() > 0 {
        read.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_loop_of_one_thread() {
    within(|| {
        let _alone = ALONE.lock();
        let (answers, thread) = Answers::begin();
        let rt = LocalRuntime::builder().build().unwrap();
        let most = rt.block_on(most_rounds(&answers, |stream, read| {
            drop(spawn_local(read_all(stream, read)));
        }));
        assert!(most <= MOST_ROUNDS, "{most}");
        thread.join().unwrap();
    });
}

#[test]
fn a_worker_of_several() {
    within(|| {
        let _alone = ALONE.lock();
        let (answers, thread) = Answers::begin();
        let rt = Runtime::builder().worker_threads(2).build().unwrap();
        let asks = || async move {
            // In the driver of the same worker.
            let begin = |stream, read| drop(spawn_pinned(0, || read_all(stream, read)).unwrap());
            most_rounds(&answers, begin).await
        };
        let most = rt.block_on(async { spawn_pinned(0, asks).unwrap().await.unwrap() });
        assert!(most <= MOST_ROUNDS, "{most}");
        thread.join().unwrap();
    });
}
