//! Stalls as events of the `tracing` crate.

use crate::hooks::Stall;

/// One event of the level `WARN`, whose target is `mainspring::stall`: the sentence that the stall is, and
/// its parts as fields. What is not known is left out.
pub(super) fn warn(stall: &Stall) {
    let task = stall.task.as_ref();
    tracing::event!(
        target: "mainspring::stall",
        tracing::Level::WARN,
        task.id = task.map(|task| task.id.as_u64()),
        task.name = task.and_then(|task| task.name()),
        task.location = task.map(|task| tracing::field::display(task.location)),
        worker = stall.worker,
        elapsed_ms = u64::try_from(stall.elapsed.as_millis()).unwrap_or(u64::MAX),
        kind = %stall.kind,
        within = %stall.within,
        doing = stall.doing.as_deref(),
        pinned_tasks = stall.pinned_tasks,
        "{stall}"
    );
}
