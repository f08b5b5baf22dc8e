//! The lock for readers and writers under many seeds, with tasks that give up, are late, or are
//! aborted while they hold it.
//!
//! Checked: one writer alone, or readers; first come, first served; no writer between a write and
//! the read that it is downgraded to; all that were not aborted come to an end; it is free at the
//! end.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::RwLock;
use mainspring::sync::rwlock::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockWriteGuard};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const SEEDS: u64 = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

#[derive(Default)]
struct Book {
    readers: Cell<u64>,
    writing: Cell<bool>,
    waiting: RefCell<BTreeMap<u64, Way>>,
    came: Cell<u64>,
}

struct Place<'a>(&'a Book, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.borrow_mut().remove(&self.1);
    }
}

/// Somebody that has the lock; it may be aborted.
struct Inside(Rc<Book>, Way);

impl Inside {
    fn downgrade(mut self) -> Self {
        assert!(self.0.writing.replace(false));
        self.0.readers.set(self.0.readers.get() + 1);
        self.1 = Way::Read;
        self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        match self.1 {
            Way::Read => self.0.readers.set(self.0.readers.get() - 1),
            Way::Write => assert!(self.0.writing.replace(false)),
        }
    }
}

impl Book {
    fn enter(self: Rc<Self>, way: Way) -> Inside {
        assert!(!self.writing.get(), "a writer has it");
        match way {
            Way::Read => self.readers.set(self.readers.get() + 1),
            Way::Write => {
                assert_eq!(self.readers.get(), 0, "a reader has it");
                self.writing.set(true);
            }
        }
        Inside(self, way)
    }

    /// Awaits `lock`, which locks that way, and keeps the book of it.
    async fn keep<F: Future>(self: Rc<Self>, way: Way, lock: F) -> (F::Output, Inside) {
        let mut lock = pin!(lock);
        let mut place = None;
        let guard = poll_fn(|cx| {
            let polled = lock.as_mut().poll(cx);
            if polled.is_pending() && place.is_none() {
                let number = self.came.replace(self.came.get() + 1);
                self.waiting.borrow_mut().insert(number, way);
                place = Some(Place(&self, number));
            }
            polled
        })
        .await;
        let mine = place.as_ref().map_or(u64::MAX, |place| place.1);
        for (_, other) in self.waiting.borrow().range(..mine) {
            // Readers that were let in together look in any order.
            assert_eq!((*other, way), (Way::Read, Way::Read), "one that came before still waits");
        }
        drop(place);
        (guard, self.clone().enter(way))
    }
}

async fn rounds(lock: Arc<RwLock<(u64, u64)>>, book: Rc<Book>, rounds: u64) {
    let read = || book.clone().keep(Way::Read, lock.clone().read_owned());
    let write = || book.clone().keep(Way::Write, lock.write());
    let owned = || book.clone().keep(Way::Write, lock.clone().write_owned());
    for _ in 0..rounds {
        wander().await;
        match random_below(8) {
            0 => {
                if let Ok(guard) = lock.try_read() {
                    let _inside = book.clone().enter(Way::Read);
                    assert_eq!(guard.0, guard.1);
                    wander().await;
                }
            }
            1 => {
                if let Ok(mut guard) = lock.try_write() {
                    let _inside = book.clone().enter(Way::Write);
                    wander().await;
                    *guard = (guard.0 + 1, guard.1 + 1);
                }
            }
            2 => {
                let (mut guard, inside) = write().await;
                *guard = (guard.0 + 1, guard.1 + 1);
                let seen = *guard;
                wander().await;
                let (guard, _inside) = (RwLockWriteGuard::downgrade(guard), inside.downgrade());
                wander().await;
                assert_eq!(*guard, seen, "a writer came in between");
            }
            3 => {
                if let Some((guard, inside)) = meddle(owned()).await {
                    let seen = *guard;
                    let guard = OwnedRwLockWriteGuard::downgrade(guard);
                    let _inside = inside.downgrade();
                    let part = OwnedRwLockReadGuard::map(guard, |pair| &pair.0);
                    wander().await;
                    assert_eq!(*part, seen.0, "a writer came in between");
                }
            }
            4 => {
                if let Some((guard, _inside)) = meddle(write()).await {
                    let mut part = RwLockWriteGuard::map(guard, |pair| pair);
                    wander().await;
                    *part = (part.0 + 1, part.1 + 1);
                }
            }
            _ => {
                if let Some((guard, _inside)) = meddle(read()).await {
                    let seen = *guard;
                    meddle(wander()).await;
                    assert_eq!((seen.0, *guard), (seen.1, seen));
                }
            }
        }
    }
}

#[test]
fn readers_or_one_writer_in_order_whoever_gives_up() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let lock = match random_below(2) {
            0 => RwLock::new((0, 0)),
            _ => RwLock::with_max_readers((0, 0), 1 + random_below(3) as u32),
        };
        let lock = Arc::new(lock);
        let book = Rc::new(Book::default());
        let tasks: Vec<_> = (0..2 + random_below(6))
            .map(|_| spawn_local(rounds(lock.clone(), book.clone(), 1 + random_below(6))))
            .collect();
        let abort = random_below(2) == 0;
        let outcomes = finish(tasks, abort).await;
        assert!(abort || outcomes.iter().all(Option::is_some));
        assert!(book.waiting.borrow().is_empty() && book.readers.get() == 0);
        assert!(lock.try_write().is_ok(), "it is free at the end");
        assert!(Arc::into_inner(lock).is_some(), "nobody has it any more");
    });
}
