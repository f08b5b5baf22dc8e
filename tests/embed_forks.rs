//! Runtimes driven by a host, and their pools, in a child process made by `fork`.
#![cfg(not(any(loom, mio_unsupported_force_poll_poll)))]

#[path = "common/host.rs"]
mod host;
#[path = "common/watchdog.rs"]
mod watchdog;

use host::{drain, host_until, is_readable, runtime};
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{Budget, LocalRuntime, TurnError};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_child_process_is_told_and_leaves_its_parent_alone() {
    within(|| {
        let rt = runtime();
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = rt.block_on(async {
            let client = TcpStream::connect(address).await.unwrap();
            (client, listener.accept().await.unwrap().0)
        });
        let reading = rt.spawn_local(async move { server.read(&mut [0; 8]).await });
        drain(&rt);
        assert!(!is_readable(&rt));
        // SAFETY: the child does not return from this block, and touches what this thread has made.
        match unsafe { libc::fork() } {
            -1 => panic!("no process could be made"),
            0 => {
                let told = matches!(rt.turn(Budget::new()), Err(TurnError::Forked));
                let spawned = rt.spawn_local(async {});
                let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    rt.block_on(std::future::pending::<()>());
                }));
                drop((spawned, reading, rt));
                let fresh = runtime().block_on(async {
                    sleep(ms(1)).await;
                    7
                });
                let code = i32::from(!(told && panics.is_err() && fresh == 7));
                // SAFETY: it ends the child at once, as nothing of its parent's may run here.
                unsafe { libc::_exit(code) }
            }
            child => {
                let mut status = 0;
                // SAFETY: `status` is written to, and the child is ours.
                unsafe { libc::waitpid(child, &raw mut status, 0) };
                assert_eq!(status, 0, "the child was not told, or could not go on");
            }
        }
        // The child has dropped its copy of the socket; we are told of ours all the same.
        assert!(!is_readable(&rt));
        rt.block_on(client.write_all(b"hello")).unwrap();
        host_until(&rt, || reading.is_finished());
        assert_eq!(rt.block_on(reading).unwrap().unwrap(), 5);
    });
}

/// Forks, and ends the child with what `child` says: whether all is well.
fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child does not return from this function, and touches what this thread has made.
    match unsafe { libc::fork() } {
        -1 => panic!("no process could be made"),
        0 => {
            // SAFETY: it ends a child that hangs.
            unsafe { libc::alarm(20) };
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: it ends the child at once, as nothing of its parent's may run here.
            unsafe { libc::_exit(i32::from(!well.unwrap_or(false))) }
        }
        child => assert!(has_ended_well(child)),
    }
}

fn has_ended_well(child: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: `status` is written to, and the child is ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status == 0
}

#[test]
fn a_child_that_ends_a_turn_leaves_its_parent_alone() {
    within(|| {
        // The child runs out of tasks, and would set the timer anew; or it does not, and would ring.
        for polls in [usize::MAX, 1] {
            let rt = LocalRuntime::builder().timer_fd(true).build().unwrap();
            let slept = Rc::new(rt.spawn_local(async { sleep(ms(50)).await }));
            drain(&rt);
            assert!(!is_readable(&rt));
            let child = Rc::new(Cell::new(-1));
            drop(rt.spawn_local({
                let (slept, child) = (slept.clone(), child.clone());
                async move {
                    // SAFETY: the child ends when the turn does, and touches what this thread has made.
                    child.set(unsafe { libc::fork() });
                    if child.get() == 0 {
                        slept.abort();
                    }
                }
            }));
            rt.turn(Budget::new().max_polls(polls)).unwrap();
            match child.get() {
                // SAFETY: it ends the child at once, as nothing of its parent's may run here.
                0 => unsafe { libc::_exit(0) },
                child => assert!(child > 0 && has_ended_well(child)),
            }
            let report = rt.turn(Budget::new()).unwrap();
            assert!(report.timers_fired == 1 || !is_readable(&rt), "the child rang");
            host_until(&rt, || slept.is_finished());
        }
    });
}

#[test]
fn block_on_in_a_child_says_what_is_wrong() {
    within(|| {
        let rt = runtime();
        in_child(|| {
            let ready = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                rt.block_on(async {});
            }));
            let said = ready.unwrap_err().downcast::<String>().unwrap();
            said.contains("forked")
        });
    });
}

#[test]
fn a_child_does_not_wait_for_threads_of_its_parent() {
    within(|| {
        let rt = runtime();
        let handle = rt.handle();
        rt.block_on(handle.spawn_blocking(|| ())).unwrap();
        in_child(move || {
            let refused = handle.try_spawn_blocking(|| ()).is_err();
            // A thread that is not there would be waited for all that time.
            let left = rt.shutdown_timeout(Duration::from_secs(3600));
            refused && left.blocking == 0
        });
    });
}

#[test]
fn a_pool_in_a_child_takes_nothing_in() {
    use mainspring::offload::{Executor, ThreadPool};
    within(|| {
        let pool = ThreadPool::builder().build().unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        pool.execute(Box::new(move || tx.send(()).unwrap())).unwrap();
        rx.recv().unwrap();
        in_child(move || pool.execute(Box::new(|| ())).is_err());
    });
}

/// The child may have given the memory of the parent's thread, which watches, to a thread of its own.
#[test]
fn a_child_process_drops_a_runtime_that_is_watched_and_its_own_threads_go_on() {
    within(|| {
        let rt = LocalRuntime::builder().watch_stalls(true).build().unwrap();
        rt.block_on(async { sleep(ms(1)).await });
        in_child(move || {
            let (end, ends) = std::sync::mpsc::channel::<()>();
            let own = std::thread::spawn(move || ends.recv().is_err());
            drop(rt);
            drop(end);
            own.join().unwrap_or(false)
        });
    });
}
