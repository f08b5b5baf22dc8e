//! A semaphore whose users give up, are late and are aborted, against a model.
//!
//! Checked: those who wait collect permits in their order, and nobody takes one past them; what one
//! collected that leaves goes to the others; closing tells all; no permit is lost or made.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;
#[path = "common/modelled.rs"]
mod modelled;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::Semaphore;
use mainspring::sync::semaphore::OwnedPermit;
use modelled::{Checked, Line, Model, Place, Stands};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What one wants, and has so far.
struct Claim {
    wanted: usize,
    got: usize,
}

#[derive(Default)]
struct Permits {
    free: usize,
    is_closed: bool,
    line: Line<Claim>,
}

impl Model for Permits {
    type Claim = Claim;

    fn line(&mut self) -> &mut Line<Claim> {
        &mut self.line
    }

    fn at_once(&mut self, claim: &mut Claim) -> bool {
        if self.is_closed || claim.wanted == 0 {
            return true;
        }
        let is_free = self.line.waiting().next().is_none() && self.free >= claim.wanted;
        if is_free {
            self.free -= claim.wanted;
        }
        is_free
    }

    fn joined(&mut self) {
        self.put(0);
    }

    fn left(&mut self, place: Place<Claim>) {
        self.put(place.claim.got);
    }
}

impl Permits {
    fn put(&mut self, n: usize) {
        self.free += n;
        for Place { claim, stands, .. } in self.line.waiting() {
            let given = self.free.min(claim.wanted - claim.got);
            self.free -= given;
            claim.got += given;
            if claim.got < claim.wanted {
                return;
            }
            *stands = Stands::Served;
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        for Place { claim, stands, .. } in self.line.waiting() {
            self.free += std::mem::take(&mut claim.got);
            *stands = Stands::Served;
        }
    }
}

/// A permit that the model knows of, given back in both.
struct Held {
    permit: Option<OwnedPermit>,
    model: Rc<RefCell<Permits>>,
}

impl Held {
    fn forget(mut self) -> usize {
        self.permit.take().map_or(0, |permit| {
            let n = permit.num_permits();
            permit.forget();
            n
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.model.borrow_mut().put(permit.num_permits());
        }
    }
}

#[test]
fn permits_go_where_the_model_gives_them() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let first = random_below(4) as usize;
        let semaphore = Arc::new(Semaphore::new(first));
        let total = Rc::new(Cell::new(first));
        let model = Rc::new(RefCell::new(Permits { free: first, ..Permits::default() }));
        let tasks = (0..2 + random_below(5)).map(|_| {
            let (semaphore, model, total) = (semaphore.clone(), model.clone(), total.clone());
            spawn_local(async move {
                for _ in 0..random_below(4) {
                    wander().await;
                    let wanted = random_below(4) as usize;
                    let acquire = semaphore.clone().acquire_many_owned(wanted);
                    let claim = Claim { wanted, got: 0 };
                    let acquired = match meddle(Checked::new(&model, claim, acquire)).await {
                        Some(Ok(permit)) => permit,
                        // Also where the semaphore was closed after the wait had begun.
                        Some(Err(_)) => {
                            assert!(semaphore.is_closed());
                            continue;
                        }
                        None => continue,
                    };
                    assert_eq!(acquired.num_permits(), wanted);
                    let held = Held { permit: Some(acquired), model: model.clone() };
                    wander().await;
                    if random_below(8) == 0 {
                        total.set(total.get() - held.forget());
                    }
                }
            })
        });
        let tasks = tasks.collect();
        let other = {
            let (semaphore, model, total) = (semaphore.clone(), model.clone(), total.clone());
            spawn_local(async move {
                for _ in 0..random_below(8) {
                    wander().await;
                    let n = random_below(3) as usize;
                    match random_below(4) {
                        0 => {
                            let found = semaphore.forget_permits(n);
                            assert_eq!(found, n.min(model.borrow().free));
                            model.borrow_mut().free -= found;
                            total.set(total.get() - found);
                        }
                        1 => {
                            let taken = semaphore.try_acquire_many(n);
                            let mut model = model.borrow_mut();
                            let passes = model.at_once(&mut Claim { wanted: n, got: 0 });
                            assert_eq!(taken.is_ok(), passes && !model.is_closed);
                            if taken.is_ok() {
                                model.put(n);
                            }
                        }
                        _ => {
                            model.borrow_mut().put(n);
                            semaphore.add_permits(n);
                            total.set(total.get() + n);
                        }
                    }
                    assert_eq!(semaphore.available_permits(), model.borrow().free);
                }
                // So that those who want more than there is come to an end: enough, or none ever.
                if random_below(2) == 0 {
                    model.borrow_mut().close();
                    semaphore.close();
                } else {
                    loop {
                        model.borrow_mut().put(3);
                        semaphore.add_permits(3);
                        total.set(total.get() + 3);
                        if total.get() >= 60 {
                            break;
                        }
                        wander().await;
                    }
                }
            })
        };
        finish(tasks, random_below(2) == 0).await;
        other.await.unwrap();
        assert!(model.borrow().line.is_empty());
        assert_eq!(semaphore.available_permits(), total.get(), "all are free at the end");
        assert_eq!(model.borrow().free, total.get());
    });
}

#[test]
fn no_more_are_inside_than_there_are_permits() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let permits = 1 + random_below(3) as usize;
        let semaphore = Rc::new(Semaphore::new(permits));
        let inside = Rc::new(());
        let tasks = (0..2 + random_below(6)).map(|_| {
            let (semaphore, inside) = (semaphore.clone(), Rc::downgrade(&inside));
            spawn_local(async move {
                for _ in 0..1 + random_below(3) {
                    let Some(permit) = meddle(semaphore.acquire()).await else { continue };
                    let mark = inside.upgrade().expect("the test holds one");
                    assert!(Rc::strong_count(&mark) <= permits + 1);
                    wander().await;
                    drop(mark);
                    drop(permit);
                }
            })
        });
        // All that are not aborted come to their end, or the run is a deadlock.
        finish(tasks.collect(), random_below(2) == 0).await;
        assert_eq!(semaphore.available_permits(), permits);
    });
}
