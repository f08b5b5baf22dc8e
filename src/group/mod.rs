//! Several things at a time, and one after the other until it works.
mod join_all;
mod join_set;
mod ready;
mod scope;

pub use join_all::{JoinAll, TryJoinAll, join_all, try_join_all};
pub use join_set::JoinSet;
pub use scope::{ChildError, Failure, Scope, ScopeError, ScopedHandle, TaskScope};

use crate::context::Current;

/// Whether tasks that are `!Send` may be spawned here.
fn takes_local(current: &Current) -> bool {
    current.own.as_ref().is_some_and(|own| own.takes_local())
}

#[cold]
#[track_caller]
fn no_runtime(method: &str) -> ! {
    panic!(
        "{method} was called where no runtime runs: call it inside block_on or a task, or after \
         Handle::enter"
    );
}

#[cold]
#[track_caller]
fn no_local_runtime(method: &str) -> ! {
    panic!(
        "{method} was called where no LocalRuntime runs: call it inside its block_on or tasks"
    );
}
