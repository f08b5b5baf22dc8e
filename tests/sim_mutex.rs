//! The mutex under many seeds, with tasks that give up, are late, or are aborted while they hold it.
//!
//! Checked: one holder at a time; those who wait get it in their order; nobody waits for more than
//! `2k + 1` others, where `k` waited before; all that were not aborted come to an end; it is free at
//! the end.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::Mutex;
use mainspring::sync::mutex::{MappedMutexGuard, MutexGuard, OwnedMutexGuard};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const SEEDS: u64 = 5_000;

#[derive(Default)]
struct Book {
    inside: Cell<bool>,
    // How often the mutex was taken.
    taken: Cell<u64>,
    // Those who wait: when they came, and how often it may be taken before they get it.
    waiting: RefCell<BTreeMap<u64, u64>>,
    came: Cell<u64>,
}

/// The place of one that waits, given up when it is dropped.
struct Place<'a>(&'a Book, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.borrow_mut().remove(&self.1);
    }
}

/// Somebody that has the mutex; it may be aborted.
struct Inside(Rc<Book>);

impl Drop for Inside {
    fn drop(&mut self) {
        assert!(self.0.inside.replace(false));
    }
}

impl Book {
    fn enter(self: Rc<Self>) -> Inside {
        assert!(!self.inside.replace(true), "two have the mutex");
        self.taken.set(self.taken.get() + 1);
        Inside(self)
    }

    /// Awaits `lock`, which locks the mutex, and keeps the book of it.
    async fn keep<F: Future>(self: Rc<Self>, lock: F) -> (F::Output, Inside) {
        let mut lock = pin!(lock);
        let mut place = None;
        let guard = poll_fn(|cx| {
            let polled = lock.as_mut().poll(cx);
            if polled.is_pending() && place.is_none() {
                let number = self.came.replace(self.came.get() + 1);
                let mut waiting = self.waiting.borrow_mut();
                let most = self.taken.get() + 2 * waiting.len() as u64 + 1;
                waiting.insert(number, most);
                place = Some(Place(&self, number));
            }
            polled
        })
        .await;
        if let Some(Place(_, number)) = &place {
            let waiting = self.waiting.borrow();
            let (first, most) = waiting.first_key_value().unwrap();
            assert_eq!(first, number, "one that waited longer still waits");
            assert!(self.taken.get() <= *most, "too many had it before");
        }
        drop(place);
        (guard, self.clone().enter())
    }
}

async fn rounds(mutex: Arc<Mutex<(u64, u64)>>, book: Rc<Book>, rounds: u64) {
    let (lock, owned) = (|| book.clone().keep(mutex.lock()), || mutex.clone().lock_owned());
    for _ in 0..rounds {
        wander().await;
        match random_below(6) {
            0 => {
                if let Ok(mut guard) = mutex.try_lock() {
                    let _inside = book.clone().enter();
                    guard.0 += 1;
                    wander().await;
                    guard.1 += 1;
                }
            }
            1 => {
                if let Some((guard, _inside)) = meddle(book.clone().keep(owned())).await {
                    let mut one = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
                    wander().await;
                    *one += 1;
                }
            }
            2 => {
                let (guard, _inside) = lock().await;
                let one = MutexGuard::map(guard, |pair| &mut pair.1);
                let mut one = MappedMutexGuard::map(one, |one| one);
                wander().await;
                *one += 1;
            }
            _ => {
                if let Some((mut guard, _inside)) = meddle(lock()).await {
                    guard.0 += 1;
                    // Given up or aborted in here, it unlocks.
                    meddle(wander()).await;
                    guard.1 += 1;
                }
            }
        }
    }
}

#[test]
fn one_holder_at_a_time_in_order_whoever_gives_up() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let mutex = Arc::new(Mutex::new((0, 0)));
        let book = Rc::new(Book::default());
        let tasks: Vec<_> = (0..2 + random_below(5))
            .map(|_| spawn_local(rounds(mutex.clone(), book.clone(), 1 + random_below(6))))
            .collect();
        let abort = random_below(2) == 0;
        let outcomes = finish(tasks, abort).await;
        assert!(abort || outcomes.iter().all(Option::is_some));
        assert!(book.waiting.borrow().is_empty());
        assert!(mutex.try_lock().is_ok(), "it is free at the end");
        let mutex = Arc::into_inner(mutex).expect("nobody has it any more");
        let (a, b) = mutex.into_inner();
        assert!(a + b <= 2 * book.taken.get());
    });
}

#[test]
fn nothing_is_lost_where_nobody_gives_up() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let mutex = Arc::new(Mutex::new(0));
        let (tasks, times) = (2 + random_below(6), 1 + random_below(6));
        let handles = (0..tasks)
            .map(|_| {
                let mutex = mutex.clone();
                spawn_local(async move {
                    for _ in 0..times {
                        let mut guard = mutex.lock().await;
                        let seen = *guard;
                        // Each yields while it holds it, now and then.
                        poll_fn(|cx| {
                            if random_below(3) == 0 {
                                cx.waker().wake_by_ref();
                                return Poll::Pending;
                            }
                            Poll::Ready(())
                        })
                        .await;
                        *guard = seen + 1;
                    }
                })
            })
            .collect();
        finish(handles, false).await;
        assert_eq!(*mutex.try_lock().unwrap(), tasks * times);
    });
}
