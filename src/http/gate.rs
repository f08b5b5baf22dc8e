//! A number of places that can be changed while they are taken.

use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::sync::Semaphore;
use crate::sync::semaphore::AcquireOwned;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Places, given out in the order in which they are asked for.
///
/// Where the number is lowered below what is taken, the difference is *owed*: as many of those that
/// come back are not given out again.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    total: Mutex<usize>,
    owed: AtomicUsize,
}

impl Gate {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(total)),
            total: Mutex::new(total),
            owed: AtomicUsize::new(0),
        })
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        // The number does not change meanwhile; places may come and go.
        let total = self.total.lock();
        let all = *total + self.owed.load(Ordering::Relaxed);
        all.saturating_sub(self.places.available_permits())
    }

    /// A place, if one is free and nobody waits for it.
    pub(super) fn enter_now(self: &Arc<Self>) -> Option<Place> {
        self.take_now().then(|| Place { gate: Some(Arc::clone(self)) })
    }

    /// Takes a place, if one is free and nobody waits for it, which the caller
    /// [gives back](Self::give_back): one step where [`enter_now`](Self::enter_now) needs two.
    #[inline]
    pub(super) fn take_now(&self) -> bool {
        loop {
            let Ok(permit) = self.places.try_acquire() else { return false };
            // One that came back just before the debt was made pays it now.
            match self.owes() && self.reduce_owed(1) == 1 {
                true => permit.forget(),
                false => {
                    std::mem::forget(permit);
                    return true;
                }
            }
        }
    }

    /// Gives back what [`take_now`](Self::take_now) took.
    #[inline]
    pub(super) fn give_back(&self) {
        match self.owes() && self.reduce_owed(1) == 1 {
            true => self.places.retire(1),
            false => self.places.release(1),
        }
    }

    /// Waits for a place.
    pub(super) fn enter(self: &Arc<Self>) -> Enter {
        let permit = Arc::clone(&self.places).acquire_owned();
        Enter { gate: Arc::clone(self), permit: Box::pin(permit) }
    }

    /// Changes the number of places to what `total` says. Of calls at the same time, the one whose
    /// `total` is asked last decides.
    pub(super) fn set_total(&self, total: impl FnOnce() -> usize) {
        let more = {
            let mut present = self.total.lock();
            let before = std::mem::replace(&mut *present, total());
            let fewer = before.saturating_sub(*present);
            let gone = self.places.forget_permits(fewer);
            self.owed.fetch_add(fewer - gone, Ordering::Relaxed);
            let more = present.saturating_sub(before);
            // What is owed need not be taken away any more.
            more - self.reduce_owed(more)
        };
        // Wakes those who wait, which is done under no lock.
        self.places.add_permits(more);
    }

    /// Whether places that come back are not given out again.
    #[inline]
    pub(super) fn owes(&self) -> bool {
        self.owed.load(Ordering::Relaxed) > 0
    }

    /// Takes at most `most` off what is owed; tells how much it was.
    #[cold]
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
    /// Until its holder takes it upon himself.
    gate: Option<Arc<Gate>>,
}

impl Place {
    /// Leaves it to the caller to [give it back](Gate::give_back).
    pub(super) fn unguarded(mut self) {
        self.gate = None;
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.give_back();
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
        match ready!(self.permit.as_mut().poll(cx)) {
            Ok(permit) => {
                // From here on the place stands for it.
                permit.unguarded();
                Poll::Ready(Place { gate: Some(Arc::clone(&self.gate)) })
            }
            Err(_) => unreachable!("nobody closes a gate"),
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
        gate.set_total(|| 1);
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
    fn a_place_that_is_owed_goes_to_nobody_who_waits() {
        let gate = Gate::new(3);
        let mut taken: Vec<_> = (0..3).map(|_| gate.enter_now().unwrap()).collect();
        let mut waits = gate.enter();
        assert!((&mut waits).now_or_never().is_none());
        gate.set_total(|| 1);
        for left in [2, 1] {
            taken.pop();
            assert!((&mut waits).now_or_never().is_none());
            assert_eq!(gate.taken(), left);
        }
        taken.pop();
        assert!(waits.now_or_never().is_some());
    }

    #[test]
    fn a_raised_total_forgives_what_is_owed_first() {
        let gate = Gate::new(3);
        let taken: Vec<_> = (0..3).map(|_| gate.enter_now().unwrap()).collect();
        gate.set_total(|| 1);
        gate.set_total(|| 4);
        let more = gate.enter_now().unwrap();
        assert!(gate.enter_now().is_none());
        drop((taken, more));
        assert_eq!((0..10).map_while(|_| gate.enter_now()).collect::<Vec<_>>().len(), 4);
    }

    #[test]
    fn a_debt_is_paid_with_places_that_came_back_just_before() {
        let gate = Gate::new(3);
        // As where three come back between the look at what is free and the note of what is not.
        gate.owed.store(2, Ordering::Relaxed);
        let only = gate.enter_now().unwrap();
        assert!(gate.enter_now().is_none(), "more than the total");
        drop(only);
        assert!(gate.enter_now().is_some());
    }

    #[test]
    fn no_place_is_lost_or_made_while_the_total_changes() {
        let gate = Gate::new(4);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        drop(gate.enter_now());
                    }
                });
            }
            for round in 0..5_000 {
                gate.set_total(|| 1 + round % 4);
            }
        });
        gate.set_total(|| 3);
        let mut all: Vec<_> = (0..10).map_while(|_| gate.enter_now()).collect();
        assert_eq!((all.len(), gate.taken()), (3, 3));
        gate.set_total(|| 1);
        all.clear();
        assert_eq!((0..10).map_while(|_| gate.enter_now()).collect::<Vec<_>>().len(), 1);
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
