//! What is told of a thread that is stuck: which task, where, for how long, and what it does.
#![cfg(all(target_os = "linux", not(loom)))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{gate, until, wait};
use mainspring::hooks::{Hooks, Stall, StallKind, TaskInfo, Within};
use mainspring::http::{Request, Router, Server};
use mainspring::task::{Builder, TaskId};
use mainspring::{LocalRuntime, Runtime, spawn};
use std::future::pending;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

const LONG: Duration = Duration::from_secs(3600);

/// The least of what is told.
const AFTER: Duration = Duration::from_millis(50);

type Blocks = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Told {
    stalls: Mutex<Vec<Stall>>,
    /// What the next hook does in which that is set.
    in_park: Mutex<Option<Blocks>>,
    in_poll_start: Mutex<Option<Blocks>>,
}

fn run(what: &Mutex<Option<Blocks>>) {
    let blocks = what.lock().unwrap().take();
    blocks.into_iter().for_each(|blocks| blocks());
}

impl Hooks for Told {
    fn on_stall(&self, stall: &Stall) {
        self.stalls.lock().unwrap().push(stall.clone());
    }

    fn on_park(&self, _: usize) {
        run(&self.in_park);
    }

    fn on_poll_start(&self, _: &TaskInfo) {
        run(&self.in_poll_start);
    }
}

impl Told {
    /// What was told of a task, or of none, as soon as it is.
    fn of(&self, task: Option<TaskId>) -> Stall {
        let of_it = |stall: &&Stall| stall.task.as_ref().map(|task| task.id) == task;
        let told = || self.stalls.lock().unwrap().iter().find(of_it).cloned();
        until(|| told().is_some());
        told().unwrap()
    }
}

fn runtime(workers: usize) -> (Runtime, Arc<Told>) {
    let told = Arc::<Told>::default();
    let builder = Runtime::builder().worker_threads(workers).hooks(told.clone());
    (builder.report_stall_after(AFTER).build().unwrap(), told)
}

/// Ends the runtime: `count` were told of, each once, and as many counted.
fn end(rt: Runtime, told: &Told, count: usize) {
    let handle = rt.handle();
    drop(rt);
    let stalls = told.stalls.lock().unwrap();
    assert_eq!((stalls.len(), handle.metrics().stalls), (count, count as u64), "{stalls:?}");
    assert!(stalls.iter().all(|stall| stall.elapsed >= AFTER && stall.doing.is_none()));
}

/// Blocks in its drop until the sender is gone, and says that it does.
struct InDrop(Option<Blocks>);

impl Drop for InDrop {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|blocks| blocks());
    }
}

fn in_drop() -> (mpsc::Sender<()>, InDrop, Receiver<()>) {
    let (release, blocks) = gate();
    let (begin, begun) = mpsc::channel();
    let blocks = move || {
        begin.send(()).unwrap();
        blocks();
    };
    (release, InDrop(Some(Box::new(blocks))), begun)
}

#[test]
fn a_poll_that_waits_in_the_kernel() {
    within(|| {
        for workers in [1, 2] {
            let (rt, told) = runtime(workers);
            let (release, blocks) = gate();
            let entered = rt.enter();
            let line = line!() + 1;
            let named = Builder::new().name("reads the disk").spawn(async move { blocks() });
            drop(entered);
            let nameless = rt.block_on(async { mainspring::spawn(async {}).id() });
            let stall = told.of(Some(named.id()));
            assert_eq!((stall.kind, stall.within), (StallKind::Blocked, Within::Poll));
            assert!(stall.worker < workers && stall.pinned_tasks == 0);
            let task = stall.task.as_ref().unwrap();
            assert_eq!((task.name(), task.location.line()), (Some("reads the disk"), line));
            assert!(task.location.file().ends_with("stall_reports.rs"));
            let says = format!(
                "worker {} is blocked in a poll of task {} (reads the disk) spawned at {} for {} ms",
                stall.worker,
                named.id(),
                task.location,
                stall.elapsed.as_millis(),
            );
            assert_eq!(stall.to_string(), says);
            assert_ne!(nameless, named.id());
            drop(release);
            wait(named);
            end(rt, &told, 1);
        }
    });
}

#[test]
fn a_poll_that_computes_and_the_next_one_of_the_same_task() {
    within(|| {
        let (rt, told) = runtime(2);
        let over = Arc::new(AtomicBool::new(false));
        let computes = over.clone();
        let (release, blocks) = gate();
        let task = rt.spawn(async move {
            while !computes.load(SeqCst) {
                std::hint::spin_loop();
            }
            mainspring::yield_now().await;
            blocks();
        });
        let id = task.id();
        let stall = told.of(Some(id));
        assert_eq!((stall.kind, stall.within), (StallKind::Running, Within::Poll));
        assert_eq!(stall.task.as_ref().unwrap().name(), None);
        assert!(stall.to_string().contains(&format!("is running in a poll of task {id} spawned")));
        over.store(true, SeqCst);
        until(|| told.stalls.lock().unwrap().len() == 2);
        let second = told.stalls.lock().unwrap()[1].clone();
        assert_eq!((second.kind, second.task.unwrap().id), (StallKind::Blocked, id));
        drop(release);
        wait(task);
        end(rt, &told, 2);
    });
}

#[test]
fn a_drop_that_blocks_of_a_future_and_of_an_output() {
    within(|| {
        let (rt, told) = runtime(2);
        let (release, held, begun) = in_drop();
        let waits = rt.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        until(|| rt.handle().metrics().workers.iter().any(|worker| worker.polls > 0));
        waits.abort();
        begun.recv().unwrap();
        let stall = told.of(Some(waits.id()));
        assert_eq!((stall.kind, stall.within), (StallKind::Blocked, Within::Poll));
        drop(release);
        assert!(waits.wait_blocking(LONG).unwrap().unwrap_err().is_cancelled());

        let (release, held, begun) = in_drop();
        let (go, goes) = futures::channel::oneshot::channel();
        let task = rt.spawn(async move {
            goes.await.unwrap();
            held
        });
        let id = task.id();
        // Nobody takes the output.
        drop(task);
        go.send(()).unwrap();
        begun.recv().unwrap();
        until(|| told.stalls.lock().unwrap().len() == 2);
        let stall = told.stalls.lock().unwrap()[1].clone();
        assert_eq!((stall.kind, stall.within), (StallKind::Blocked, Within::Poll));
        // It has ended, but for that.
        assert!(stall.task.as_ref().is_none_or(|task| task.id == id), "{stall:?}");
        drop(release);
        end(rt, &told, 2);
    });
}

#[test]
fn hooks_that_block() {
    within(|| {
        let (rt, told) = runtime(2);
        let (release, blocks) = gate();
        *told.in_park.lock().unwrap() = Some(Box::new(blocks));
        // One of them wakes, and parks again.
        wait(rt.spawn(async {}));
        let stall = told.of(None);
        assert_eq!((stall.kind, stall.within), (StallKind::Blocked, Within::Hook));
        assert!(stall.to_string().contains("is blocked in a hook for"), "{stall}");
        // The other one, or who stands in, goes on.
        assert_eq!(wait(rt.spawn(async { 7 })), 7);
        drop(release);

        let (release, blocks) = gate();
        *told.in_poll_start.lock().unwrap() = Some(Box::new(blocks));
        let task = rt.spawn(async {});
        let stall = told.of(Some(task.id()));
        assert_eq!((stall.kind, stall.within), (StallKind::Blocked, Within::Poll));
        drop(release);
        wait(task);
        end(rt, &told, 2);
    });
}

#[test]
fn a_handler_of_the_http_server() {
    within(|| {
        let (rt, told) = runtime(2);
        let (release, blocks) = gate();
        let gate = Mutex::new(Some(blocks));
        let handler = move |_: Request| {
            let blocks = gate.lock().unwrap().take();
            async move {
                blocks.into_iter().for_each(|blocks| blocks());
                "done"
            }
        };
        let router = Router::new().get("/x/{id}", handler).get("/", |_: Request| async { "hello" });
        let server = Server::builder().addr("127.0.0.1:0").build(router).unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let serves = rt.spawn(server.run());
        let ask = |path: &str| {
            let mut client = std::net::TcpStream::connect(addr).unwrap();
            write!(client, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
            client
        };
        let answer = |mut client: std::net::TcpStream| {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        };
        let stuck = ask("/x/5");
        until(|| !told.stalls.lock().unwrap().is_empty());
        let stall = told.stalls.lock().unwrap().remove(0);
        const DOING: &str = "GET /x/{id}: use get_blocking for handlers that block";
        assert_eq!((stall.doing.as_deref(), stall.kind), (Some(DOING), StallKind::Blocked));
        assert!(stall.task.is_some() && stall.to_string().ends_with(&format!("ms: {DOING}")));
        // Others are answered meanwhile, whichever worker has their sockets.
        assert!((0..20).all(|_| answer(ask("/")).ends_with("hello")));
        drop(release);
        assert!(answer(stuck).ends_with("done"));
        handle.shutdown(LONG);
        wait(serves).unwrap();
        assert_eq!(rt.handle().metrics().stalls, 1);
    });
}

#[test]
fn on_a_runtime_of_one_thread_all_the_others_wait() {
    within(|| {
        let told = Arc::<Told>::default();
        let builder = LocalRuntime::builder().hooks(told.clone()).watch_stalls(true);
        let rt = builder.build().unwrap();
        rt.block_on(async {
            let waits: Vec<_> = (0..3).map(|_| spawn(pending::<()>())).collect();
            let (told, (release, blocks)) = (told.clone(), gate());
            let stuck = spawn(async move { blocks() });
            let id = stuck.id();
            let sees = thread::spawn(move || {
                let stall = told.of(Some(id));
                drop(release);
                stall
            });
            stuck.await.unwrap();
            let stall = sees.join().unwrap();
            assert_eq!((stall.worker, stall.kind), (0, StallKind::Blocked));
            assert_eq!(stall.pinned_tasks, 3, "it does not wait for itself");
            waits.iter().for_each(|task| task.abort());
        });
    });
}
