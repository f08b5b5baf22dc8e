//! Futures that are compared with a model, poll by poll: those that wait in a line, and what the
//! model says of them.
//!
//! All tasks of a simulation share one thread, so a step of the model and the step of what it models
//! happen together. A wake that is lost shows elsewhere: nothing is left that can run.
#![allow(dead_code)]

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What is too simple to be wrong.
pub(crate) trait Model {
    /// What it knows of one that waits.
    type Claim;

    fn line(&mut self) -> &mut Line<Self::Claim>;

    /// Whether one that comes need not wait.
    fn at_once(&mut self, claim: &mut Self::Claim) -> bool;

    /// One left that waited, or was served and did not see it.
    fn left(&mut self, place: Place<Self::Claim>);

    /// One has joined the line.
    fn joined(&mut self) {}
}

/// Those that are there, in the order in which they began to wait.
pub(crate) struct Line<C> {
    next: usize,
    places: Vec<Place<C>>,
}

pub(crate) struct Place<C> {
    id: usize,
    pub(crate) claim: C,
    pub(crate) stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    New,
    Waits,
    Served,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Self { next: 0, places: Vec::new() }
    }
}

impl<C> Line<C> {
    /// Those that wait, the first first.
    pub(crate) fn waiting(&mut self) -> impl DoubleEndedIterator<Item = &mut Place<C>> {
        self.places.iter_mut().filter(|place| place.stands == Stands::Waits)
    }

    /// All, those included that are new or were served.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Place<C>> {
        self.places.iter_mut()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn enter(&mut self, claim: C) -> usize {
        self.next += 1;
        self.places.push(Place { id: self.next, claim, stands: Stands::New });
        self.next
    }

    fn remove(&mut self, id: usize) -> Place<C> {
        let at = self.places.iter().position(|place| place.id == id).expect("it is there");
        self.places.remove(at)
    }
}

/// A future that is ready when the model says so, and not before.
pub(crate) struct Checked<M: Model, F> {
    id: Option<usize>,
    model: Rc<RefCell<M>>,
    future: Pin<Box<F>>,
}

impl<M: Model, F: Future> Checked<M, F> {
    pub(crate) fn new(model: &Rc<RefCell<M>>, claim: M::Claim, future: F) -> Self {
        let id = model.borrow_mut().line().enter(claim);
        Self { id: Some(id), model: model.clone(), future: Box::pin(future) }
    }
}

impl<M: Model, F: Future> Future for Checked<M, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let id = self.id.expect("it was ready before");
        let ready = look(&mut *self.model.borrow_mut(), id);
        if ready {
            self.id = None;
        }
        let polled = self.future.as_mut().poll(cx);
        assert_eq!(polled.is_ready(), ready, "ready, where the model says {ready}");
        polled
    }
}

/// Whether the one with this number goes on now; if not, it is in the line from now on.
fn look<M: Model>(model: &mut M, id: usize) -> bool {
    if model.line().waiting().any(|place| place.id == id) {
        return false;
    }
    let mut place = model.line().remove(id);
    match place.stands {
        Stands::Served => return true,
        Stands::New if model.at_once(&mut place.claim) => return true,
        Stands::New => {
            place.stands = Stands::Waits;
            model.line().places.push(place);
            model.joined();
        }
        Stands::Waits => unreachable!("seen above"),
    }
    false
}

impl<M: Model, F> Drop for Checked<M, F> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let model = &mut *self.model.borrow_mut();
            let place = model.line().remove(id);
            model.left(place);
        }
    }
}
