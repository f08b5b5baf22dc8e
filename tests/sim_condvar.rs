//! Tasks that wait until something has changed, under many seeds; some give up, are late, or are
//! aborted, notified or not.
//!
//! Checked: each token that was put wakes somebody for it, whoever gives up, so that all who stay
//! get theirs; none is taken twice; those who are notified one by one are so in their order; the
//! mutex is free at the end.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::{Condvar, Mutex};
use mainspring::time::sleep;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const SEEDS: u64 = 5_000;

struct Store {
    tokens: Arc<Mutex<u64>>,
    put: Condvar,
    taken: Cell<u64>,
}

async fn consume(store: Rc<Store>, mut wanted: u64) {
    while wanted > 0 {
        wander().await;
        let none = |tokens: &mut u64| *tokens == 0;
        let take = async {
            match random_below(3) {
                0 => {
                    let guard = store.tokens.clone().lock_owned().await;
                    *store.put.wait_while_owned(guard, none).await -= 1;
                }
                1 => {
                    let mut guard = store.tokens.lock().await;
                    while *guard == 0 {
                        guard = store.put.wait(guard).await;
                    }
                    *guard -= 1;
                }
                _ => *store.put.wait_while(store.tokens.lock().await, none).await -= 1,
            }
            store.taken.set(store.taken.get() + 1);
        };
        if meddle(take).await.is_some() {
            wanted -= 1;
        }
    }
}

async fn produce(store: Rc<Store>, tokens: u64) {
    for _ in 0..tokens {
        wander().await;
        let mut guard = store.tokens.lock().await;
        *guard += 1;
        let early = random_below(2) == 0;
        if !early {
            wander().await;
            drop(guard);
        }
        match random_below(4) {
            0 => store.put.notify_all(),
            _ => store.put.notify_one(),
        }
    }
}

#[test]
fn no_notification_is_lost_whoever_gives_up() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let tokens = Arc::new(Mutex::new(0));
        let store = Rc::new(Store { tokens, put: Condvar::new(), taken: Cell::new(0) });
        let mut total = 0;
        let consumers: Vec<_> = (0..1 + random_below(5))
            .map(|_| {
                let wanted = 1 + random_below(3);
                total += wanted;
                spawn_local(consume(store.clone(), wanted))
            })
            .collect();
        let first = random_below(total + 1);
        let producers =
            [first, total - first].map(|tokens| spawn_local(produce(store.clone(), tokens))).into();
        let abort = random_below(2) == 0;
        let outcomes = finish(consumers, abort).await;
        assert!(abort || outcomes.iter().all(Option::is_some));
        finish(producers, false).await;
        let left = *store.tokens.try_lock().expect("it is free at the end");
        assert_eq!(left + store.taken.get(), total);
        assert_eq!(Arc::strong_count(&store.tokens), 1);
    });
}

#[test]
fn those_who_wait_are_notified_in_their_order() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let shared = Rc::new((Mutex::new(()), Condvar::new()));
        let (began, went) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let tasks: Vec<_> = (0..2 + random_below(6))
            .map(|me| {
                let (shared, began, went) = (shared.clone(), began.clone(), went.clone());
                spawn_local(async move {
                    wander().await;
                    let guard = shared.0.lock().await;
                    began.borrow_mut().push(me);
                    let _guard = shared.1.wait(guard).await;
                    went.borrow_mut().push(me);
                })
            })
            .collect();
        let count = tasks.len();
        while began.borrow().len() < count || shared.0.try_lock().is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        for n in 1..=count {
            shared.1.notify_one();
            while went.borrow().len() < n {
                sleep(Duration::from_millis(1)).await;
            }
            // Whom nobody notified waits on.
            sleep(Duration::from_millis(1)).await;
            assert_eq!(went.borrow().len(), n);
        }
        assert_eq!(*went.borrow(), *began.borrow());
        finish(tasks, false).await;
    });
}
