//! Tests that run on every kind of runtime.
#![allow(dead_code)]

use mainspring::{EnterGuard, Handle, JoinHandle, Leftover, LocalRuntime, Runtime};
use std::future::Future;
use std::time::Duration;

/// A kind of runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flavour {
    Local,
    /// Of so many workers.
    Workers(usize),
}

/// A runtime of some kind.
#[derive(Debug)]
pub(crate) enum Any {
    Local(LocalRuntime),
    Workers(Runtime),
}

impl Flavour {
    pub(crate) const LOCAL: Self = Self::Local;
    pub(crate) const ONE_WORKER: Self = Self::Workers(1);
    pub(crate) const TWO_WORKERS: Self = Self::Workers(2);
    pub(crate) const FOUR_WORKERS: Self = Self::Workers(4);

    pub(crate) fn runtime(self) -> Any {
        self.with_pool(64, 1024)
    }

    /// One with so many threads for closures, and so many places in their queue.
    pub(crate) fn with_pool(self, threads: usize, queue: usize) -> Any {
        match self {
            Self::Local => {
                let builder = LocalRuntime::builder().blocking_threads(threads);
                Any::Local(builder.blocking_queue(queue).build().unwrap())
            }
            Self::Workers(workers) => {
                let builder = Runtime::builder().worker_threads(workers);
                let builder = builder.blocking_threads(threads).blocking_queue(queue);
                Any::Workers(builder.build().unwrap())
            }
        }
    }

    pub(crate) fn block_on<F: Future>(self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }
}

impl Any {
    #[track_caller]
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Local(rt) => rt.block_on(future),
            Self::Workers(rt) => rt.block_on(future),
        }
    }

    #[track_caller]
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle().spawn(future)
    }

    pub(crate) fn handle(&self) -> Handle {
        match self {
            Self::Local(rt) => rt.handle(),
            Self::Workers(rt) => rt.handle(),
        }
    }

    pub(crate) fn enter(&self) -> EnterGuard {
        self.handle().enter()
    }

    pub(crate) fn live_tasks(&self) -> usize {
        match self {
            Self::Local(rt) => rt.live_tasks(),
            Self::Workers(rt) => rt.live_tasks(),
        }
    }

    pub(crate) fn shutdown_timeout(self, limit: Duration) -> Leftover {
        match self {
            Self::Local(rt) => rt.shutdown_timeout(limit),
            Self::Workers(rt) => rt.shutdown_timeout(limit),
        }
    }
}

/// Makes tests of these functions, each of which takes a [`Flavour`].
macro_rules! on_every_flavour {
    ($($test:ident),* $(,)?) => {
        $crate::flavours::on_every_flavour! { @local LOCAL $($test)* }
        $crate::flavours::on_every_flavour! { @one_worker ONE_WORKER $($test)* }
        $crate::flavours::on_every_flavour! { @two_workers TWO_WORKERS $($test)* }
        $crate::flavours::on_every_flavour! { @four_workers FOUR_WORKERS $($test)* }
    };
    (@$name:ident $flavour:ident $($test:ident)*) => {
        mod $name {
            $(#[test]
            fn $test() {
                super::$test(super::Flavour::$flavour);
            })*
        }
    };
}

pub(crate) use on_every_flavour;
