//! Which threads each public type may go to, for payloads of every kind.
#![cfg(not(loom))]

#[path = "common/auto_traits.rs"]
mod auto_traits;

use auto_traits::{implements, table};
use mainspring::coop::BUDGET;
use mainspring::group::{
    Backoff, ChildError, Delays, Failure, JoinAll, JoinSet, Retry, Scope, ScopeError, ScopedHandle,
    TaskScope, TryJoinAll,
};
use mainspring::hooks::{
    Finish, PollOutcome, Stall, StallKind, TaskId, TaskInfo, TaskKind, Within,
};
use mainspring::io::{AsyncFd, ReadyGuard, WouldBlock};
use mainspring::net::{
    ConnectError, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpListener, TcpStream,
    WriteHalf,
};
use mainspring::offload::{self, BadSetting, BlockingLimits, ThreadPool};
use mainspring::sim::{Sim, Trace};
use mainspring::task::{
    AbortHandle, Builder, Busy, Job, JoinError, LocalKey, NotInScope, ScopedFuture,
};
use mainspring::time::{Elapsed, Instant, Interval, MissedTick, Sleep};
use mainspring::{
    BlockingMetrics, Budget, BuildError, EnterGuard, Handle, JoinHandle, Leftover, LocalBuilder,
    LocalRuntime, Metrics, NoRuntime, NoSuchShard, Runtime, TaskDump, TaskState, TimerHandle,
    TurnError, TurnReport, WorkerMetrics, YieldNow,
};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// `Send`, but not `Sync`.
type Once = Cell<u8>;
/// Neither.
type Never = Rc<u8>;

/// A future that is `!Unpin`.
struct PinnedFuture(std::marker::PhantomPinned);

impl Future for PinnedFuture {
    type Output = std::marker::PhantomPinned;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.0)
    }
}

/// Those of `sync` have tables of their own, in `src/sync/trait_tests`, and those of `http` in
/// `auto_traits_http.rs`.
#[test]
fn every_public_type() {
    table! {
        // The probe itself.
        u8: true true true;
        Once: true false true;
        Never: false false true;
        std::marker::PhantomPinned: true true false;

        Runtime: true true true;
        mainspring::Builder: true true true;
        NoSuchShard<Cell<u8>>: true false true;
        LocalRuntime: false false true;
        LocalBuilder: true true true;
        Handle: true true true;
        EnterGuard: false false true;
        TimerHandle: true true true;
        BuildError: true true true;
        NoRuntime: true true true;
        YieldNow: true true true;

        JoinHandle<u8>: true true true;
        JoinHandle<Once>: true true true;
        JoinHandle<Never>: false false true;
        JoinHandle<std::marker::PhantomPinned>: true true true;
        AbortHandle: true true true;
        JoinError: true true true;
        TaskId: true true true;
        Builder: true true true;
        LocalKey<u8>: true true true;
        LocalKey<Once>: true true true;
        LocalKey<Never>: true true true;
        NotInScope: true true true;
        ScopedFuture<u8, u8>: true true true;
        ScopedFuture<Once, u8>: true false true;
        ScopedFuture<Never, u8>: false false true;
        ScopedFuture<u8, Once>: true false true;
        ScopedFuture<u8, Never>: false false true;
        ScopedFuture<u8, std::marker::PhantomPinned>: true true false;
        ScopedFuture<std::marker::PhantomPinned, u8>: true true true;
        Busy<u8>: true true true;
        Busy<Once>: true false true;
        Busy<Never>: false false true;
        Job: true false true;

        TaskInfo: true true true;
        TaskKind: true true true;
        PollOutcome: true true true;
        Finish: true true true;
        Stall: true true true;
        StallKind: true true true;
        Within: true true true;
        TaskDump: true true true;
        TaskState: true true true;
        Metrics: true true true;
        WorkerMetrics: true true true;
        BlockingMetrics: true true true;

        Instant: true true true;
        Sleep: true true true;
        Elapsed: true true true;

        Sim: true true true;
        Trace: true true true;

        TcpListener: true true true;
        TcpStream: true true true;
        ConnectError: true true true;
        AsyncFd<std::fs::File>: true true true;
        ReadyGuard<'static, std::fs::File>: true true true;
        WouldBlock: true true true;

        JoinSet<u8>: true true true;
        JoinSet<Once>: true false true;
        JoinSet<Never>: false false true;
        JoinSet<std::marker::PhantomPinned>: true true true;
        TaskScope: true true true;
        Scope<u8>: true true true;
        Scope<Once>: true true true;
        Scope<Never>: false false true;
        ScopedHandle<u8>: true true true;
        ScopedHandle<Once>: true true true;
        ScopedHandle<Never>: false false true;
        ScopedHandle<std::marker::PhantomPinned>: true true true;
        ScopeError<u8>: true true true;
        ScopeError<Once>: true false true;
        ScopeError<Never>: false false true;
        Failure<u8>: true true true;
        Failure<Once>: true false true;
        Failure<Never>: false false true;
        ChildError: true true true;
        JoinAll<std::future::Ready<u8>>: true true true;
        JoinAll<std::future::Ready<Once>>: true false true;
        JoinAll<std::future::Ready<Never>>: false false true;
        PinnedFuture: true true false;
        JoinAll<PinnedFuture>: true true true;
        TryJoinAll<PinnedFuture, std::marker::PhantomPinned>: true true true;
        TryJoinAll<u8, Once>: true false true;
        TryJoinAll<Never, u8>: false false true;
        TryJoinAll<u8, Never>: false false true;
        Retry<u8, u8, Never>: true true true;
        Retry<Once, u8, u8>: true false true;
        Retry<u8, Never, u8>: false false true;
        Retry<u8, std::marker::PhantomPinned, u8>: true true true;
        Backoff: true true true;
        Delays: true true true;

        Budget: true true true;
        TurnReport: true true true;
        TurnError: true true true;
        ReadHalf<'static>: true true true;
        WriteHalf<'static>: true true true;
        OwnedReadHalf: true true true;
        OwnedWriteHalf: true true true;
        ReuniteError: true true true;
        Interval: true true true;
        MissedTick: true true true;
        Leftover: true true true;

        ThreadPool: true true true;
        offload::Builder: true true true;
        BlockingLimits: true true true;
        BadSetting: true true true;
    }
}

/// The same for what async functions return, which has no name.
#[test]
fn futures() {
    fn send<T: Send>(_: &T) {}
    fn send_sync<T: Send + Sync>(_: &T) {}

    let stream = |s: &'static TcpStream, buffer: &'static mut [u8]| {
        send(&s.write(b"x"));
        send(&s.write_all(b"x"));
        send(&s.read(buffer));
    };
    let listener = |l: &'static TcpListener| send(&l.accept());
    let _ = (stream, listener);
    send(&TcpStream::connect(([127, 0, 0, 1], 1)));
    send(&mainspring::coop::consume_budget());
    send(&mainspring::coop::unconstrained(async { Cell::new(BUDGET) }));
    send_sync(&mainspring::yield_now());
    mainspring::block_on(async {
        send(&mainspring::time::timeout(std::time::Duration::ZERO, async { Cell::new(1) }));
        send_sync(&mainspring::time::sleep(std::time::Duration::ZERO));
    });
}

/// Types that are public by the compiler's rules only.
const NOT_NAMED: &[&str] = &["Refused", "Signs", "Target", "Told"];

/// A type that somebody adds has to be added to a table as well.
#[test]
fn no_public_type_is_missing() {
    fn read_dir(dir: &Path, texts: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_dir(&path, texts);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                // What its folder is called does not matter.
                let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned();
                texts.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_dir(&root.join("src"), &mut sources);
    let (tests, sources): (Vec<_>, Vec<_>) = sources
        .into_iter()
        .partition(|(path, _)| path.iter().any(|part| part.to_str().unwrap().contains("test")));
    let mut tables: String = tests
        .into_iter()
        .filter(|(path, _)| path.iter().any(|part| part == "trait_tests"))
        .map(|(_, text)| text)
        .collect();
    for file in ["tests/auto_traits.rs", "tests/auto_traits_http.rs"] {
        tables += &fs::read_to_string(root.join(file)).unwrap();
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let named: BTreeSet<&str> = tables.split(|c| !is_word(c)).collect();
    let mut count = 0;
    for (path, text) in &sources {
        for line in text.lines() {
            let line = line.trim_start();
            let is_type = ["pub struct ", "pub enum "].iter().find_map(|k| line.strip_prefix(k));
            let Some(rest) = is_type else { continue };
            let name = rest.split(|c| !is_word(c)).next().unwrap();
            count += 1;
            assert!(
                named.contains(name) || NOT_NAMED.contains(&name),
                "{name} of {} is in no table of auto traits",
                path.display()
            );
        }
    }
    assert!(count > 150, "found only {count} public types");
}
