//! A runtime of several workers in a child process made by `fork`, which has none of them.
#![cfg(all(unix, not(loom)))]

#[path = "common/forked.rs"]
mod forked;
#[path = "common/watchdog.rs"]
mod watchdog;

use forked::in_child;
use mainspring::Runtime;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use watchdog::within;

const LONG: Duration = Duration::from_secs(3600);

fn runtime() -> Runtime {
    Runtime::builder().worker_threads(2).build().unwrap()
}

#[test]
fn a_child_is_told_and_its_parent_goes_on() {
    within(|| {
        let rt = runtime();
        let handle = rt.handle();
        let pending = rt.spawn(std::future::pending::<()>());
        rt.block_on(handle.spawn_blocking(|| ())).unwrap();
        in_child(|| {
            let panics = catch_unwind(AssertUnwindSafe(|| rt.block_on(async {})));
            let said = panics.unwrap_err().downcast::<String>().unwrap();
            said.contains("forked") && handle.try_spawn_blocking(|| ()).is_err()
        });
        pending.abort();
        let error = pending.wait_blocking(LONG).unwrap().unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(rt.block_on(rt.spawn(async { 7 })).unwrap(), 7);
    });
}

#[test]
fn a_child_may_drop_it_and_make_one_of_its_own() {
    within(|| {
        for with_limit in [false, true] {
            let rt = runtime();
            let pending = rt.spawn(std::future::pending::<()>());
            let mut own = Some(rt);
            in_child(|| {
                let rt = own.take().unwrap();
                match with_limit {
                    true => drop(rt.shutdown_timeout(LONG)),
                    false => drop(rt),
                }
                pending.abort();
                drop(pending);
                let rt = runtime();
                let answer = rt.block_on(async { mainspring::spawn(async { 7 }).await });
                answer.unwrap() == 7
            });
            let rt = own.unwrap();
            assert_eq!(rt.live_tasks(), 1, "it lives on in the parent");
            let left = rt.shutdown_timeout(LONG);
            assert_eq!((left.tasks.len(), left.threads, left.blocking), (0, 0, 0));
        }
    });
}
