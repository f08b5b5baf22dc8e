//! A number of places that can be changed while they are taken.

use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::sync::Semaphore;
use crate::sync::semaphore::{AcquireOwned, OwnedPermit};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Places, given out in the order in which they are asked for.
///
/// Where the number is lowered below what is taken, the difference is *owed*: as many of those that
/// come back are not given out again.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    total: Mutex<usize>,
    owed: AtomicUsize,
    taken: AtomicUsize,
}

impl Gate {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(total)),
            total: Mutex::new(total),
            owed: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        })
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// A place, if one is free and nobody waits for it.
    #[inline]
    pub(super) fn enter_now(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place::new(self, permit))
    }

    /// Waits for a place.
    pub(super) fn enter(self: &Arc<Self>) -> Enter {
        let permit = Arc::clone(&self.places).acquire_owned();
        Enter { gate: Arc::clone(self), permit: Box::pin(permit) }
    }

    /// Changes the number of places.
    pub(super) fn set_total(&self, total: usize) {
        let mut present = self.total.lock();
        if total > *present {
            let mut more = total - *present;
            // What is owed need not be taken away any more.
            let forgiven = self.reduce_owed(more);
            more -= forgiven;
            self.places.add_permits(more);
        } else {
            let fewer = *present - total;
            let gone = self.places.forget_permits(fewer);
            self.owed.fetch_add(fewer - gone, Ordering::Relaxed);
        }
        *present = total;
    }

    /// Takes at most `most` off what is owed; tells how much it was.
    fn reduce_owed(&self, most: usize) -> usize {
        let mut owed = self.owed.load(Ordering::Relaxed);
        loop {
            let less = owed.min(most);
            if less == 0 {
                return 0;
            }
            match self.owed.compare_exchange_weak(
                owed,
                owed - less,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return less,
                Err(now) => owed = now,
            }
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("taken", &self.taken()).finish_non_exhaustive()
    }
}

/// A place behind a [`Gate`], until it is dropped.
pub(super) struct Place {
    gate: Arc<Gate>,
    permit: Option<OwnedPermit>,
}

impl Place {
    #[inline]
    fn new(gate: &Arc<Gate>, permit: OwnedPermit) -> Self {
        gate.taken.fetch_add(1, Ordering::Relaxed);
        Self { gate: Arc::clone(gate), permit: Some(permit) }
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        self.gate.taken.fetch_sub(1, Ordering::Relaxed);
        if self.gate.owed.load(Ordering::Relaxed) > 0
            && self.gate.reduce_owed(1) == 1
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// The future of [`Gate::enter`].
pub(super) struct Enter {
    gate: Arc<Gate>,
    permit: Pin<Box<AcquireOwned>>,
}

impl Future for Enter {
    type Output = Place;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Place> {
        match self.permit.as_mut().poll(cx) {
            Poll::Ready(Ok(permit)) => Poll::Ready(Place::new(&self.gate, permit)),
            Poll::Ready(Err(_)) => unreachable!("nobody closes a gate"),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn places_are_given_out_up_to_the_total_and_in_order() {
        let gate = Gate::new(2);
        let (first, second) = (gate.enter_now().unwrap(), gate.enter_now().unwrap());
        assert!(gate.enter_now().is_none());
        let mut waits = gate.enter();
        assert!((&mut waits).now_or_never().is_none());
        drop(first);
        assert!(gate.enter_now().is_none(), "nobody is overtaken");
        let third = (&mut waits).now_or_never().unwrap();
        assert_eq!(gate.taken(), 2);
        drop((second, third));
        assert_eq!(gate.taken(), 0);
    }

    #[test]
    fn a_lowered_total_takes_effect_as_places_come_back() {
        let gate = Gate::new(3);
        let mut taken: Vec<_> = (0..3).map(|_| gate.enter_now().unwrap()).collect();
        gate.set_total(1);
        taken.pop();
        assert!(gate.enter_now().is_none(), "owed");
        taken.pop();
        assert!(gate.enter_now().is_none(), "the last place is taken");
        taken.pop();
        let only = gate.enter_now().unwrap();
        assert!(gate.enter_now().is_none());
        drop(only);
    }

    #[test]
    fn a_raised_total_forgives_what_is_owed_first() {
        let gate = Gate::new(3);
        let taken: Vec<_> = (0..3).map(|_| gate.enter_now().unwrap()).collect();
        gate.set_total(1);
        gate.set_total(4);
        let more = gate.enter_now().unwrap();
        assert!(gate.enter_now().is_none());
        drop((taken, more));
        assert_eq!((0..10).map_while(|_| gate.enter_now()).collect::<Vec<_>>().len(), 4);
    }

    #[test]
    fn one_that_gives_up_takes_no_place() {
        let gate = Gate::new(1);
        let place = gate.enter_now().unwrap();
        let mut gives_up = gate.enter();
        let mut stays = gate.enter();
        assert!((&mut gives_up).now_or_never().is_none());
        assert!((&mut stays).now_or_never().is_none());
        drop(gives_up);
        drop(place);
        assert!(stays.now_or_never().is_some());
    }
}
