//! A runtime that has nothing to do does nothing.
#![cfg(all(target_os = "linux", not(loom)))]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{Runtime, spawn, spawn_blocking, spawn_pinned, yield_now};
use std::fs::{read_dir, read_to_string};
use std::thread;
use std::time::Duration;
use watchdog::within;

const NAME: &str = "resting";

/// How often threads of this name came off a CPU, by themselves or not; and how many there are.
fn switches() -> (u64, usize) {
    let (mut sum, mut threads) = (0, 0);
    for thread in read_dir("/proc/self/task").unwrap() {
        let path = thread.unwrap().path();
        // It may have ended meanwhile.
        let Ok(status) = read_to_string(path.join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        if field("Name:").is_some_and(|name| name.trim().starts_with(NAME)) {
            let kinds = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
            sum += kinds
                .map(|kind| field(kind).unwrap().trim().parse::<u64>().unwrap())
                .iter()
                .sum::<u64>();
            threads += 1;
        }
    }
    (sum, threads)
}

/// All kinds of work, after which some of it still waits.
async fn work() -> impl Sized {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = listener.accept().await.unwrap().0;
    let reading = spawn(async move { server.read(&mut [0; 8]).await });
    let far = spawn(sleep(Duration::from_secs(3600)));
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            spawn(async move {
                sleep(Duration::from_micros(n * 50)).await;
                spawn(yield_now()).await.unwrap();
                if n % 10 == 0 {
                    spawn_blocking(|| ()).await.unwrap();
                }
            })
        })
        .collect();
    spawn_pinned(1, yield_now).unwrap().await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    (client, listener, reading, far)
}

#[test]
fn workers_and_their_sentry_that_have_nothing_to_do_are_not_on_a_cpu() {
    within(|| {
        let rt = Runtime::builder().worker_threads(2).thread_name(NAME).build().unwrap();
        let still_waits = rt.block_on(work());
        // They look around once more before they sleep, and the sentry a few times. The watchdog ends
        // this if they never do.
        loop {
            let before = switches();
            assert!(before.0 > 0);
            assert!(before.1 >= 3, "two workers and the sentry");
            thread::sleep(Duration::from_millis(300));
            if switches() == before {
                break;
            }
        }
        drop((rt, still_waits));
    });
}
