//! What is told of one task that is looked up by its number.

use super::cell::Header;
use crate::hooks::{Doing, TaskInfo};
use std::fmt;
use std::sync::Arc;

/// A task that was living when it was found.
pub(crate) struct Found {
    pub(crate) info: TaskInfo,
    /// Whom to ask what the task is doing, if it tells.
    pub(crate) doing: Option<Arc<dyn Doing>>,
}

impl Found {
    pub(super) fn of(header: &Header) -> Self {
        let doing = header.origin.activity().map(|activity| activity as Arc<dyn Doing>);
        Self { info: header.info(), doing }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("info", &self.info).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::context;
    use crate::task::{self, Spawn, TaskId};
    use crate::{Handle, LocalRuntime, Runtime};
    use std::future::pending;
    use std::thread;

    /// Looks for a task from a thread of its own.
    fn find(spawner: &Arc<dyn Spawn>, id: TaskId) -> Option<(TaskInfo, bool)> {
        let spawner = Arc::clone(spawner);
        let looks = move || spawner.find(&|other| other == id);
        let found = thread::spawn(looks).join().unwrap();
        found.map(|found| (found.info, found.doing.is_some()))
    }

    fn spawner() -> Arc<dyn Spawn> {
        Arc::clone(&context::current().ok().unwrap().spawn)
    }

    /// One that does nothing but live, for now.
    async fn finds_tasks_of_each_kind() {
        let (handle, spawner) = (Handle::current(), spawner());
        let named = || task::Builder::new().name("named").data(7_u32);
        let mut tasks = vec![crate::spawn(pending::<()>()), named().spawn(pending::<()>())];
        for worker in 0..handle.workers() {
            tasks.push(handle.spawn_pinned(worker, pending::<()>).ok().unwrap());
        }
        let outside = handle.clone();
        tasks.push(thread::spawn(move || outside.spawn(pending::<()>())).join().unwrap());
        for (at, task) in tasks.iter().enumerate() {
            let (info, tells) = find(&spawner, task.id()).expect("it lives");
            assert_eq!((info.id, tells), (task.id(), false));
            assert_eq!(info.name(), (at == 1).then_some("named"));
            assert_eq!(info.data::<u32>(), (at == 1).then_some(&7));
            assert_eq!(info.location.file(), file!());
        }
        for task in tasks {
            let id = task.id();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(find(&spawner, id).is_none(), "it has ended");
        }
    }

    #[test]
    fn tasks_of_a_local_runtime_are_found() {
        LocalRuntime::builder().build().unwrap().block_on(finds_tasks_of_each_kind());
    }

    #[test]
    fn tasks_of_all_workers_are_found() {
        let rt = Runtime::builder().worker_threads(2).build().unwrap();
        rt.block_on(finds_tasks_of_each_kind());
        // And by a worker, whose own tasks are others.
        rt.block_on(async { crate::spawn(finds_tasks_of_each_kind()).await.unwrap() });
    }

    #[test]
    fn a_task_is_found_while_it_is_in_the_middle_of_a_poll() {
        let rt = Runtime::builder().worker_threads(1).build().unwrap();
        let spawner = {
            let _entered = rt.enter();
            spawner()
        };
        let (begin, begun) = std::sync::mpsc::channel();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let task = rt.spawn(async move {
            begin.send(task::id()).unwrap();
            gate.recv().unwrap();
        });
        let id = begun.recv().unwrap();
        let found = spawner.find(&|other| other == id).map(|found| found.info.id);
        assert_eq!((found, task.id()), (Some(id), id));
        open.send(()).unwrap();
        rt.block_on(task).unwrap();
        assert!(spawner.find(&|other| other == id).is_none());
    }
}
