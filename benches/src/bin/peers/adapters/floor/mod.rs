//! The floor: the least code that does what a workload asks for, without a runtime.
//!
//! It has no wakers, handles, cancellation or fairness. It says how near a runtime can come, where that
//! makes sense: there is none for channels, say, whose floor would be a variable.

mod echo;
mod tasks;
mod threads;
mod timers;

use crate::child;
use crate::plan::Plan;
use crate::workload::Workload;

/// Measures one of the workloads that have a floor.
pub(super) fn start(workload: Workload, plan: Plan) {
    let metrics = match workload {
        Workload::SpawnJoin => tasks::spawn_join(plan),
        Workload::SpawnAll => tasks::spawn_all(plan),
        Workload::SpawnChain => tasks::spawn_chain(plan),
        Workload::YieldLone => tasks::yields(plan, 1),
        Workload::YieldMany => tasks::yields(plan, 1000),
        Workload::TaskBytes => tasks::bytes(),
        Workload::Mutex => threads::mutex(plan),
        Workload::SleepCancel => timers::cancel(plan),
        Workload::SleepFire => timers::fire(),
        Workload::Wake => threads::wake(),
        Workload::RootJoin | Workload::Blocking => threads::one_at_a_time(plan),
        Workload::BlockingQueued => threads::queued(plan),
        Workload::Echo64 | Workload::Echo512 | Workload::Echo64K => {
            echo::serve(workload, plan).expect("the server runs")
        }
        _ => return,
    };
    child::finish(&metrics);
}
