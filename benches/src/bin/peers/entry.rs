//! A runtime as the program knows it: by name.

use crate::child;
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::workload::Workload;
use crate::workloads;

/// What a runtime is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// No runtime, but the least code that does the same.
    Floor,
    /// The one that the others are compared with, in its class.
    Ours,
    /// The same in another way; measured where that makes a difference.
    Variant(&'static [Workload]),
    Peer,
}

/// A runtime that can be measured.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// How many threads run tasks: its class.
    pub(crate) threads: usize,
    /// Whether it polls a new task inside the call that spawns it: then its figures of spawning are not
    /// those of a queue.
    pub(crate) eager: bool,
    /// Measures in this process, prints, and ends it; returns if it does not have what the workload
    /// needs.
    pub(crate) start: fn(Workload, Plan),
}

impl Entry {
    pub(crate) const fn of<R: Runtime>(name: &'static str, threads: usize) -> Self {
        Self::new(name, threads, start::<R>)
    }

    pub(crate) const fn new(name: &'static str, threads: usize, start: fn(Workload, Plan)) -> Self {
        Self { name, role: Role::Peer, threads, eager: false, start }
    }

    pub(crate) const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(crate) const fn eager(mut self) -> Self {
        self.eager = true;
        self
    }

    /// Whether it is measured under a workload.
    pub(crate) fn takes(&self, workload: Workload) -> bool {
        match self.role {
            Role::Ours | Role::Peer if workload.is_root() => self.threads > 1,
            Role::Variant(workloads) => workloads.contains(&workload),
            Role::Floor | Role::Ours | Role::Peer => true,
        }
    }

    /// On which CPUs it runs a workload. The load of the echo server, and the thread that wakes, are on
    /// CPU 1.
    pub(crate) fn cpus(&self, workload: Workload) -> &'static [usize] {
        if self.threads > 1 || workload.starts_threads() { &[0, 1] } else { &[0] }
    }
}

fn start<R: Runtime>(workload: Workload, plan: Plan) {
    let main = async move {
        let metrics = workloads::run::<R>(workload, plan).await;
        child::finish(&metrics);
    };
    if workload.is_root() { R::run_root(main) } else { R::run(main) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::of_name;

    #[test]
    fn what_the_root_does_is_measured_where_the_tasks_are_on_other_threads() {
        let takes = |name| of_name(name).unwrap().takes(Workload::RootJoin);
        assert!(takes("mainspring_mt2") && takes("tokio_mt2") && takes("smol_2") && takes("floor"));
        assert!(!takes("tokio_ct") && !takes("mainspring_local") && !takes("mainspring_send"));
        assert!(of_name("tokio_ct").unwrap().takes(Workload::SpawnJoin));
    }
}
