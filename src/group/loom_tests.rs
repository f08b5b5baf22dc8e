//! Models of the list of those who were woken: a wake meets a poll, another wake, and the drop of
//! whoever polls.

use super::join_all::{join_all, try_join_all};
use super::ready::ReadyList;
use crate::primitives::{Arc, AtomicUsize, Ordering, thread};
use crate::sync::oneshot;
use loom::future::block_on;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls `future` once and drops it.
fn give_up<F: Future>(future: F) -> Option<F::Output> {
    let waker = Waker::from(std::sync::Arc::new(Count(AtomicUsize::new(0))));
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// Steps of a member, each told of by a wake: the group sees the last, however the wakes and the
/// looks fall together. Nothing but the wakes orders what the two threads do.
#[test]
fn loom_ready_wakes_meet_looks() {
    model(3, || {
        let list = ReadyList::new();
        let ticket = list.ticket(0);
        let steps = Arc::new(AtomicUsize::new(0));
        let member = {
            let steps = steps.clone();
            let waker = Waker::from(ticket.clone());
            thread::spawn(move || {
                steps.store(1, Ordering::Relaxed);
                waker.wake_by_ref();
                steps.store(2, Ordering::Relaxed);
                waker.wake();
            })
        };
        give_up(poll_fn(|cx| list.poll_any(cx)));
        loop {
            assert_eq!(block_on(poll_fn(|cx| list.poll_pop(cx))), 0);
            ticket.begin();
            if steps.load(Ordering::Relaxed) == 2 {
                break;
            }
        }
        member.join().unwrap();
    });
}

#[test]
fn loom_ready_two_members_are_woken_as_the_group_begins_to_wait() {
    model(3, || {
        let list = ReadyList::new();
        let members: Vec<_> = (0..2)
            .map(|key| {
                let waker = Waker::from(list.ticket(key));
                thread::spawn(move || {
                    waker.wake_by_ref();
                    waker.wake();
                })
            })
            .collect();
        let one = block_on(poll_fn(|cx| list.poll_pop(cx)));
        let two = block_on(poll_fn(|cx| list.poll_pop(cx)));
        assert_eq!(one + two, 1, "each once");
        assert_eq!(list.pop(), None);
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn loom_ready_a_wake_meets_the_drop_of_the_group() {
    model(3, || {
        let list = ReadyList::new();
        let count = std::sync::Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let ticket = Waker::from(list.ticket(0));
        let member = thread::spawn(move || ticket.wake());
        let polled = list.poll_pop(&mut Context::from_waker(&waker));
        drop(list);
        member.join().unwrap();
        let woken = count.0.load(Ordering::SeqCst);
        assert!(woken <= usize::from(polled.is_pending()));
        drop(waker);
        assert_eq!(std::sync::Arc::strong_count(&count), 1, "nobody keeps the waker");
    });
}

#[test]
fn loom_join_all_is_woken_for_each_and_another_gives_up() {
    model(2, || {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
        let (gone, quits) = oneshot::channel::<u32>();
        let threads: Vec<_> = senders
            .into_iter()
            .zip([Some(gone), None])
            .map(|(sender, gone)| {
                thread::spawn(move || {
                    if let Some(gone) = gone {
                        let _ = gone.send(0);
                    }
                    sender.send(5).unwrap();
                })
            })
            .collect();
        give_up(join_all([quits]));
        assert_eq!(block_on(join_all(receivers)), [Ok(5), Ok(5)]);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn loom_try_join_all_drops_the_others_as_they_are_woken() {
    model(2, || {
        let (failing, fails) = oneshot::channel::<u32>();
        let (sender, receiver) = oneshot::channel();
        let threads = [
            thread::spawn(move || drop(failing)),
            thread::spawn(move || {
                let _ = sender.send(5);
            }),
        ];
        assert!(block_on(try_join_all([fails, receiver])).is_err());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
