//! Notifications to tasks that give up, are late and are aborted, against a model.
//!
//! Checked: each goes to the one whose turn it is, first or last; one that its receiver did not see
//! goes on in the same direction; one to all reaches all that were there; one is kept at the most;
//! none is lost, so that a queue guarded by notifications is always emptied.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/chaos.rs"]
mod chaos;
#[path = "common/modelled.rs"]
mod modelled;

use chaos::{finish, meddle, wander};
use futures::FutureExt;
use mainspring::sim::{Sim, random_below};
use mainspring::sync::Notify;
use mainspring::{spawn, spawn_local, yield_now};
use modelled::{Checked, Line, Model, Place, Stands};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq)]
enum By {
    One,
    Last,
    All,
}

#[derive(Default)]
struct Bell {
    is_kept: bool,
    // What is said of one: by which call it was notified, if it was.
    line: Line<Option<By>>,
}

impl Model for Bell {
    type Claim = Option<By>;

    fn line(&mut self) -> &mut Line<Option<By>> {
        &mut self.line
    }

    fn at_once(&mut self, _: &mut Option<By>) -> bool {
        std::mem::take(&mut self.is_kept)
    }

    fn left(&mut self, place: Place<Option<By>>) {
        if let (Stands::Served, Some(by @ (By::One | By::Last))) = (place.stands, place.claim) {
            self.notify(by);
        }
    }
}

impl Bell {
    fn notify(&mut self, by: By) {
        let mut waiting = self.line.waiting();
        let place = match by {
            By::One => waiting.next(),
            By::Last => waiting.next_back(),
            By::All => {
                drop(waiting);
                for place in self.line.all().filter(|place| place.stands != Stands::Served) {
                    (place.stands, place.claim) = (Stands::Served, Some(by));
                }
                return;
            }
        };
        match place {
            Some(place) => (place.stands, place.claim) = (Stands::Served, Some(by)),
            None => {
                drop(waiting);
                self.is_kept = true;
            }
        }
    }
}

#[test]
fn notifications_go_where_the_model_sends_them() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let notify = Arc::new(Notify::new());
        let model = Rc::new(RefCell::new(Bell::default()));
        let alive = Rc::new(());
        let tasks = (0..2 + random_below(4)).map(|_| {
            let (notify, model, alive) = (notify.clone(), model.clone(), alive.clone());
            spawn_local(async move {
                for _ in 0..random_below(4) {
                    let notified = notify.clone().notified_owned();
                    let notified = Checked::new(&model, None, notified);
                    wander().await;
                    meddle(notified).await;
                }
                drop(alive);
            })
        });
        let tasks = tasks.collect();
        let notifier = {
            let (notify, model) = (notify.clone(), model.clone());
            spawn_local(async move {
                for _ in 0..1_000 {
                    if Rc::strong_count(&alive) == 1 {
                        return;
                    }
                    let by = [By::One, By::One, By::Last, By::All][random_below(4) as usize];
                    model.borrow_mut().notify(by);
                    match by {
                        By::One => notify.notify_one(),
                        By::Last => notify.notify_last(),
                        By::All => notify.notify_waiters(),
                    }
                    wander().await;
                    yield_now().await;
                }
                panic!("somebody was notified, and does not go on");
            })
        };
        finish(tasks, random_below(2) == 0).await;
        notifier.await.unwrap();
        assert!(model.borrow().line.is_empty());
        let is_kept = notify.notified().now_or_never().is_some();
        assert_eq!(is_kept, model.borrow().is_kept);
    });
}

#[test]
fn a_queue_is_emptied_by_whoever_is_left() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let jobs = Arc::new((Mutex::new(VecDeque::new()), Notify::new()));
        let done = Arc::new((Mutex::new(Vec::new()), Notify::new()));
        let take_all = |jobs: &Mutex<VecDeque<u64>>, done: &(Mutex<Vec<u64>>, Notify)| {
            while let Some(job) = jobs.lock().unwrap().pop_front() {
                done.0.lock().unwrap().push(job);
                done.1.notify_one();
            }
        };
        // Those that may give up at any await, except between a notification and the queue.
        let tasks = (0..random_below(4)).map(|_| {
            let (jobs, done) = (jobs.clone(), done.clone());
            spawn(async move {
                for _ in 0..8 {
                    if meddle(jobs.1.notified()).await.is_some() {
                        take_all(&jobs.0, &done);
                    }
                    wander().await;
                }
            })
        });
        let tasks = tasks.collect();
        let survivor = spawn({
            let (jobs, done) = (jobs.clone(), done.clone());
            async move {
                loop {
                    jobs.1.notified().await;
                    take_all(&jobs.0, &done);
                }
            }
        });
        let amount = random_below(12);
        let producer = spawn({
            let jobs = jobs.clone();
            async move {
                for job in 0..amount {
                    jobs.0.lock().unwrap().push_back(job);
                    if random_below(2) == 0 {
                        jobs.1.notify_one()
                    } else {
                        jobs.1.notify_last()
                    }
                    wander().await;
                }
            }
        });
        while done.0.lock().unwrap().len() < amount as usize {
            done.1.notified().await;
        }
        producer.await.unwrap();
        // Those that wait for more end here, by an abort or by notifications to all.
        let ringing = spawn(async move {
            loop {
                jobs.1.notify_waiters();
                mainspring::time::sleep(Duration::from_millis(1)).await;
            }
        });
        finish(tasks, true).await;
        survivor.abort();
        ringing.abort();
        assert_eq!(*done.0.lock().unwrap(), Vec::from_iter(0..amount), "each once, in order");
    });
}

#[test]
fn a_change_told_to_all_is_missed_by_nobody_that_began_before_looking() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let state = Arc::new((Mutex::new(0_u64), Notify::new()));
        let last = 1 + random_below(5);
        let tasks = (0..1 + random_below(4)).map(|_| {
            let state = state.clone();
            spawn(async move {
                loop {
                    let mut notified = pin!(state.1.notified());
                    let is_enabled = random_below(2) == 0 && notified.as_mut().enable();
                    if *state.0.lock().unwrap() == last {
                        return;
                    }
                    assert!(!is_enabled, "nobody has told, and nothing is kept");
                    wander().await;
                    match random_below(3) {
                        0 => drop(meddle(notified).await),
                        1 => {
                            // Once more, as a poll that is not the first.
                            let polled =
                                poll_fn(|cx| Poll::Ready(notified.as_mut().poll_unpin(cx)));
                            if polled.await.is_pending() {
                                notified.await;
                            }
                        }
                        _ => notified.await,
                    }
                }
            })
        });
        let tasks = tasks.collect();
        let teller = spawn({
            let state = state.clone();
            async move {
                for n in 1..=last {
                    wander().await;
                    *state.0.lock().unwrap() = n;
                    state.1.notify_waiters();
                }
            }
        });
        // Who is not aborted sees the last one, or the run is a deadlock.
        finish(tasks, random_below(2) == 0).await;
        teller.await.unwrap();
        assert!(state.1.notified().now_or_never().is_none(), "nothing is kept");
    });
}
