//! Values that are set once, by tasks that give up, are late, are aborted or fail.
//!
//! Checked: one attempt at a time, in the order in which they came; one value, the same for all; an
//! attempt that ends without a value is followed by the next; nobody waits when it is there.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::once::SetError;
use mainspring::sync::{OnceCell, SetOnce};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Those who ask, in the order in which they came.
#[derive(Clone, Default)]
struct Asking(Rc<RefCell<Vec<u64>>>);

struct Asks {
    id: u64,
    asking: Asking,
}

impl Asking {
    fn enter(&self, id: u64) -> Asks {
        self.0.borrow_mut().push(id);
        Asks { id, asking: self.clone() }
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        self.asking.0.borrow_mut().retain(|id| *id != self.id);
    }
}

#[test]
fn one_value_is_made_by_one_at_a_time_in_order() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let cell = Rc::new(OnceCell::<u64>::new());
        let asking = Asking::default();
        let (made, next) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
        let tasks = (0..2 + random_below(5)).map(|_| {
            let (cell, asking) = (cell.clone(), asking.clone());
            let (made, next) = (made.clone(), next.clone());
            spawn_local(async move {
                let mut seen = None;
                for _ in 0..1 + random_below(3) {
                    wander().await;
                    next.set(next.get() + 1);
                    let id = next.get();
                    let ask = async {
                        let place = asking.enter(id);
                        let attempt = async || {
                            assert_eq!(asking.0.borrow().first(), Some(&id), "its turn");
                            wander().await;
                            assert_eq!(asking.0.borrow().first(), Some(&id), "still its turn");
                            assert_eq!(cell.set(0), Err(SetError::Initializing(0)));
                            if random_below(2) == 0 {
                                return Err("failed");
                            }
                            made.borrow_mut().push(id);
                            Ok(id)
                        };
                        let value = cell.get_or_try_init(attempt).await.copied();
                        drop(place);
                        value
                    };
                    if let Some(Ok(value)) = meddle(ask).await {
                        assert!(seen.is_none_or(|seen| seen == value));
                        seen = Some(value);
                    }
                }
                seen
            })
        });
        let seen = finish(tasks.collect(), random_below(2) == 0).await;
        let made = made.take();
        assert!(made.len() <= 1, "one value");
        assert_eq!(cell.get(), made.first());
        assert!(seen.into_iter().flatten().flatten().all(|seen| Some(&seen) == made.first()));
        // Whatever happened, it can be used.
        let value = *cell.get_or_init(async || 0).await;
        assert_eq!(value, made.first().copied().unwrap_or(0));
    });
}

#[test]
fn what_is_set_once_is_the_same_for_all_that_wait() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let once = Rc::new(SetOnce::new());
        let won = Rc::new(Cell::new(None));
        let waiters = (0..1 + random_below(5)).map(|_| {
            let once = once.clone();
            spawn_local(async move {
                wander().await;
                let seen = meddle(once.wait()).await.copied();
                assert_eq!(seen, once.get().copied(), "who gives up does so before it is set");
                seen
            })
        });
        let waiters: Vec<_> = waiters.collect();
        let setters = (0..1 + random_below(3)).map(|n| {
            let (once, won) = (once.clone(), won.clone());
            spawn_local(async move {
                wander().await;
                let set = once.set(n);
                assert_eq!(set.is_ok(), won.get().is_none());
                if set.is_ok() {
                    won.set(Some(n));
                }
                assert_eq!(once.get().copied(), won.get());
            })
        });
        let setters = setters.collect();
        // All waiters that are not aborted come to an end, or the run is a deadlock.
        let seen = finish(waiters, random_below(2) == 0).await;
        finish(setters, false).await;
        assert!(seen.into_iter().flatten().flatten().all(|seen| Some(seen) == won.get()));
    });
}
