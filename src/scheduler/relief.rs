//! What a thread that has nothing to do takes over from one that is stuck: its events and timers, what is
//! queued behind it, and the task that it would have run next.
//!
//! It goes on for as long as the mark of the sentry is there, each time that the thread runs out of work;
//! and one that sleeps is woken for it with each tick. So sockets and timers that belong to a stuck worker
//! are looked at once a tick.

use super::runner::Runner;
use crate::driver::Turn;
use std::sync::Arc;

impl Runner {
    /// Looks behind all that are stuck; whether there was something to take over.
    #[cold]
    pub(super) fn relieve(&mut self) -> bool {
        let shards = Arc::clone(&self.shards);
        let workers = 0..shards.each().len();
        let rescuers = shards.seats_of_rescuers().map(|(number, _)| number);
        let mut any = false;
        for stuck in workers.chain(rescuers) {
            if stuck == self.number || !shards.seat(stuck).is_stuck() {
                continue;
            }
            let tasks = self.take_over_from(stuck);
            if tasks > 0 {
                any = true;
                shards.tally.relief();
                let number = self.number;
                self.tell(|hooks| hooks.on_relief(number, stuck, tasks));
            }
        }
        any
    }

    /// Takes over what lies behind one that is stuck; how many tasks that are.
    pub(super) fn take_over_from(&mut self, stuck: usize) -> usize {
        let shards = Arc::clone(&self.shards);
        let before = self.seat().queued();
        // The one that was woken last has waited the shortest, but it is alone, and at nobody's reach.
        if let Some(next) = shards.seat(stuck).slot.take() {
            self.queue(next);
        }
        if let Some(shard) = shards.each().get(stuck) {
            // Who stands in for the worker, or waits for a root of his own, may have it: he looks, then.
            let turned = shard.driver.turn_as_guest(Turn::Look, || true, &mut self.wakes);
            if let Some(turned) = turned {
                self.settle(turned.map(|(turned, _)| turned));
            }
            shard.take_placed().into_iter().for_each(|placed| self.queue(placed));
        }
        if let Some((task, ..)) = self.steal_from(stuck) {
            self.queue(task);
        }
        self.seat().queued().saturating_sub(before)
    }
}
