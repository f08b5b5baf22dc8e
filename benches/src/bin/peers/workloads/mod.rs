//! The workloads, generic over the runtime.
//!
//! Each runs as a task, but for `root_join`. What it keeps over an `await` is `Send`, see
//! [`AssertSend`](crate::facilities::AssertSend).

mod blocking;
mod channels;
pub(crate) mod echo;
pub(crate) mod locks;
pub(crate) mod memory;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod wake;

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::workload::Workload;

/// Measures one of them.
pub(crate) async fn run<R: Runtime>(workload: Workload, plan: Plan) -> Metrics {
    match workload {
        Workload::SpawnJoin => tasks::spawn_join::<R>(plan).await,
        Workload::SpawnAll => tasks::spawn_all::<R>(plan).await,
        Workload::SpawnChain => tasks::spawn_chain::<R>(plan).await,
        Workload::YieldLone => tasks::yield_lone::<R>(plan).await,
        Workload::YieldMany => tasks::yield_many::<R>(plan).await,
        Workload::PingPong => channels::ping_pong::<R>(plan).await,
        Workload::Oneshot => channels::oneshot::<R>(plan).await,
        Workload::Mutex => locks::mutex::<R>(plan).await,
        Workload::MutexMany => locks::mutex_many::<R>(plan).await,
        Workload::Semaphore => locks::semaphore::<R>(plan).await,
        Workload::SemaphoreMany => locks::semaphore_many::<R>(plan).await,
        Workload::Mpsc1 => channels::mpsc::<R>(plan, 1).await,
        Workload::Mpsc4 => channels::mpsc::<R>(plan, 4).await,
        Workload::SleepCancel => timers::cancel::<R>(plan).await,
        Workload::SleepFire => timers::fire::<R>().await,
        Workload::SleepBytes => memory::sleeps::<R>().await,
        Workload::TaskBytes => memory::tasks::<R>().await,
        Workload::Wake => wake::wake::<R>().await,
        Workload::RootJoin => tasks::root_join::<R>(plan).await,
        Workload::Blocking => blocking::one_at_a_time::<R>(plan).await,
        Workload::BlockingQueued => blocking::queued::<R>(plan).await,
        Workload::Echo64 | Workload::Echo512 | Workload::Echo64K => {
            echo::echo::<R>(workload, plan).await
        }
    }
}
