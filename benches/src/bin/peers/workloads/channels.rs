//! Messages between tasks.

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::runtime::{Channels, Runtime};

/// The capacity of a channel through which many messages pass.
const CAPACITY: usize = 128;

/// A message to another task and one back, each through a channel of its own.
pub(super) async fn ping_pong<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        let (ping, mut pings) = R::Channels::bounded::<u64>(1);
        let (pong, mut pongs) = R::Channels::bounded::<u64>(1);
        let partner = R::spawn(async move {
            while let Some(n) = R::Channels::receive(&mut pings).await {
                R::Channels::send(&pong, n).await;
            }
        });
        for n in 0..operations {
            R::Channels::send(&ping, n).await;
            assert_eq!(R::Channels::receive(&mut pongs).await, Some(n));
        }
        drop(ping);
        R::join(partner).await;
    };
    plan.batches(30_000, batch).await
}

/// A request to another task, which carries the oneshot channel for its answer.
pub(super) async fn oneshot<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        let (ask, mut asked) = R::Channels::bounded(CAPACITY);
        let server = R::spawn(async move {
            while let Some((n, promise)) = R::Channels::receive(&mut asked).await {
                R::Channels::fulfil::<u64>(promise, n);
            }
        });
        for n in 0..operations {
            let (promise, answer) = R::Channels::oneshot();
            R::Channels::send(&ask, (n, promise)).await;
            assert_eq!(R::Channels::answer(answer).await, n);
        }
        drop(ask);
        R::join(server).await;
    };
    plan.batches(30_000, batch).await
}

/// Messages of some tasks to another one.
pub(super) async fn mpsc<R: Runtime>(plan: Plan, senders: u64) -> Metrics {
    let batch = async |operations| {
        let (sender, mut receiver) = R::Channels::bounded::<u64>(CAPACITY);
        for _ in 0..senders {
            let sender = sender.clone();
            R::detach(R::spawn(async move {
                for n in 0..operations / senders {
                    R::Channels::send(&sender, n).await;
                }
            }));
        }
        drop(sender);
        let counting = R::spawn(async move {
            let mut count = 0;
            while R::Channels::receive(&mut receiver).await.is_some() {
                count += 1;
            }
            count
        });
        assert_eq!(R::join(counting).await, operations);
    };
    plan.batches(200_000, batch).await
}
