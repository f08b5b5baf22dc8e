//! Work that goes on after answers: counted, waited for at the end of a server, and then cut off.

use super::shared::Shared;
use super::tally::Tally;
use crate::coop;
use crate::sync::Event;
use crate::time::Instant;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

/// The work after answers of one server.
#[derive(Debug, Default)]
pub(super) struct Afterworks {
    running: Tally,
    /// Set when what still runs is to end unfinished.
    cut: Event,
}

impl Afterworks {
    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.get()
    }

    /// Waits until all are done; what is not at `deadline` is dropped.
    pub(super) async fn end(&self, deadline: Instant) {
        if before(deadline, self.running.none()).await.is_none() {
            self.cut.set();
            // Each is woken by that, and ends with its next poll.
            self.running.none().await;
        }
    }
}

/// `work` as a task of `shared`'s server: counted from now on.
pub(super) fn track(
    shared: Arc<Shared>,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> impl Future<Output = ()> + Send {
    let running = Running::new(shared);
    async move {
        let shared = &*running.0;
        let (mut work, mut cut) = (work, pin!(shared.afterworks.cut.wait()));
        let cut_off = poll_fn(|cx| {
            if work.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            // Work that spends the whole budget in each poll must not keep this from being seen.
            let _unlimited = coop::unlimited();
            cut.as_mut().poll(cx).map(|()| true)
        });
        if cut_off.await {
            shared.counters.afterwork_cut_off.one();
        }
    }
}

/// One that is counted until it is dropped, also if its task is cancelled or panics.
struct Running(Arc<Shared>);

impl Running {
    fn new(shared: Arc<Shared>) -> Self {
        shared.afterworks.running.add();
        Self(shared)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.afterworks.running.remove();
    }
}

/// Awaits `future`, unless `deadline` comes first.
pub(super) async fn before<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let left = deadline.saturating_duration_since(Instant::now());
    crate::time::timeout(left, future).await.ok()
}
