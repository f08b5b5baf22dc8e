//! A runtime of several workers that cannot be built: the error says why, and nothing is left behind.
#![cfg(all(target_os = "linux", not(loom)))]

#[path = "common/child.rs"]
mod child;
#[path = "common/counting.rs"]
mod counting;
#[path = "common/watchdog.rs"]
mod watchdog;

use child::alone;
use counting::{Counting, bytes};
use mainspring::hooks::Hooks;
use mainspring::{Builder, Runtime, spawn, spawn_pinned};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use watchdog::within;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn entries(of: &str) -> usize {
    std::fs::read_dir(of).unwrap().count()
}

/// What the deques that were freed leave behind until their collector comes by.
const GARBAGE: isize = 64 << 10;

/// Threads, descriptors and bytes that this process has.
fn held() -> (usize, usize, isize) {
    (entries("/proc/self/task"), entries("/proc/self/fd"), bytes())
}

/// Runs `fail` many times, and finds that no more is held than after the first time.
///
/// Threads give back what they hold a moment after their end was waited for.
fn leaves_nothing(fail: impl Fn()) {
    fail();
    thread::sleep(Duration::from_millis(100));
    let (threads, files, allocated) = held();
    (0..50).for_each(|_| fail());
    // The watchdog ends this where it is not so.
    loop {
        let now = held();
        if (now.0, now.1) == (threads, files) && now.2 < allocated + GARBAGE {
            break;
        }
        thread::sleep(Duration::from_millis(1));
        fail();
    }
}

/// So large that there is room for a few only.
const STACK: u64 = 512 << 20;

/// Lets this process have so many more bytes than it has.
fn limit_memory(more: u64) {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split_whitespace().next().unwrap().parse().unwrap();
    let used = pages * rustix::param::page_size() as u64;
    let limit = getrlimit(Resource::As);
    setrlimit(Resource::As, Rlimit { current: Some(used + more), ..limit }).unwrap();
}

#[track_caller]
fn fails(builder: &Builder, says: &str) {
    let error = builder.clone().build().map(drop).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn there_are_no_threads() {
    // Not one of this size.
    within(|| {
        alone("there_are_no_threads", || {
            let builder = Runtime::builder().worker_threads(4).stack_size(1 << 46);
            leaves_nothing(|| fails(&builder, "no thread"));
        });
    });
}

#[test]
fn there_are_not_threads_enough() {
    within(|| {
        alone("there_are_not_threads_enough", || {
            // Room for three stacks of this size, or four.
            limit_memory(4 * STACK);
            let builder = Runtime::builder().stack_size(STACK as usize);
            let many = builder.clone().worker_threads(8);
            leaves_nothing(|| fails(&many, "no thread"));
            drop(builder.worker_threads(2).build().unwrap());
        });
    });
}

/// A worker that has begun gives something to one that never does.
#[test]
fn what_is_left_for_a_worker_without_a_thread_is_dropped() {
    struct Leaves(Arc<()>);
    impl Hooks for Leaves {
        fn on_worker_start(&self, _worker: usize) {
            let (here, there) = (Arc::clone(&self.0), Arc::clone(&self.0));
            drop(spawn(async move { drop(here) }));
            drop(spawn_pinned(7, || async move { drop(there) }).unwrap());
        }
    }
    within(|| {
        alone("what_is_left_for_a_worker_without_a_thread_is_dropped", || {
            limit_memory(4 * STACK);
            let kept = Arc::new(());
            let builder = Runtime::builder().stack_size(STACK as usize).worker_threads(8);
            let builder = builder.hooks(Arc::new(Leaves(Arc::clone(&kept))));
            (0..20).for_each(|_| fails(&builder, "no thread"));
            drop(builder);
            while Arc::strong_count(&kept) > 1 {
                thread::sleep(Duration::from_millis(1));
            }
        });
    });
}

#[test]
fn there_are_no_descriptors() {
    within(|| {
        alone("there_are_no_descriptors", || {
            let limit = getrlimit(Resource::Nofile);
            let allow = |files| {
                setrlimit(Resource::Nofile, Rlimit { current: Some(files), ..limit }).unwrap();
            };
            let builder = Runtime::builder().worker_threads(4);
            // Among them the one that lists them.
            let used = entries("/proc/self/fd") as u64 - 1;
            // How many are enough depends on what the system has to wait with.
            let is_enough = |free| {
                allow(used + free);
                let built = builder.clone().build().is_ok();
                allow(used + 20);
                built
            };
            let enough = (0..20).find(|free| is_enough(*free)).unwrap();
            assert!(enough > 0);
            for free in 0..enough {
                leaves_nothing(|| {
                    allow(used + free);
                    fails(&builder, "no descriptors");
                    allow(used + 20);
                });
            }
            let rt = builder.clone().build().unwrap();
            assert!(rt.block_on(rt.spawn(async { true })).unwrap());
        });
    });
}

#[test]
fn settings_are_out_of_their_bounds() {
    let says = |builder: Builder| builder.build().map(drop).unwrap_err().to_string();
    assert!(says(Runtime::builder().worker_threads(0)).contains("from 1 to 1024"));
    assert!(says(Runtime::builder().worker_threads(1025)).contains("1025"));
    assert!(says(Runtime::builder().thread_name("a\0b")).contains("zero byte"));
    assert!(says(Runtime::builder().timer_resolution(Duration::ZERO)).contains("timer_resolution"));
    assert!(says(Runtime::builder().thread_name("a\0b")).contains("zero byte"));
    assert!(says(Runtime::builder().stack_size(0)).contains("stack_size is 0"));
    assert!(says(Runtime::builder().stack_size((64 << 10) - 1)).contains("65536"));
    assert!(says(Runtime::builder().stack_size(usize::MAX)).contains("no thread"));
    assert!(says(Runtime::builder().blocking_threads(0)).contains("setting"));
    assert!(says(Runtime::builder().blocking_queue(0)).contains("setting"));
}

#[test]
fn the_smallest_stack_holds_a_worker() {
    within(|| {
        let rt = Runtime::builder().worker_threads(2).stack_size(64 << 10).build().unwrap();
        rt.block_on(async {
            mainspring::spawn(mainspring::time::sleep(Duration::from_millis(1))).await.unwrap();
            assert!(mainspring::spawn(async { panic!("on purpose") }).await.is_err());
        });
    });
}

#[test]
fn what_is_decided_about_stalls_is_out_of_its_bounds() {
    let says = |builder: Builder| builder.build().map(drop).unwrap_err().to_string();
    let (ms, hour) = (Duration::from_millis, Duration::from_secs(3600));
    for bad in [Duration::ZERO, Duration::from_micros(1999), hour + ms(1), Duration::MAX] {
        let said = says(Runtime::builder().stall_after(bad));
        assert!(
            said.starts_with(&format!("stall_after is {bad:?}, but must be from 2ms")),
            "{said}"
        );
        let said = says(Runtime::builder().report_stall_after(bad));
        assert!(said.starts_with(&format!("report_stall_after is {bad:?}, but")), "{said}");
    }
    for bad in [65, usize::MAX] {
        let said = says(Runtime::builder().max_rescuers(bad));
        assert_eq!(said, format!("max_rescuers is {bad}, but must be 64 at most"));
    }
    for (time, rescuers) in [(ms(2), 0), (hour, 64)] {
        let builder = Runtime::builder().worker_threads(1).stall_after(time);
        builder.report_stall_after(time).max_rescuers(rescuers).build().unwrap();
    }
    // Also where nobody looks, so that a mistake shows before somebody does.
    says(Runtime::builder().sentry(false).max_rescuers(65));
}
