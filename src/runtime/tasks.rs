//! Spawning what a task builder describes.

use crate::context::{self, Runs};
use crate::offload::PoolHandle;
use crate::task::{self, Builder, JoinHandle, NoSuchShard};
use std::future::Future;
use std::panic::Location;

impl Builder {
    /// Makes `future` a task of the runtime that runs the calling code; see
    /// [`spawn`](crate::spawn()).
    ///
    /// # Panics
    ///
    /// Outside `block_on` and tasks; enter the runtime with [`Handle::enter`](crate::Handle::enter)
    /// there.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let task = mainspring::task::Builder::new().name("adder").spawn(async { 1 + 1 });
    /// assert_eq!(task.await.unwrap(), 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match context::current() {
            Ok(current) => task::spawn(&*current.spawn, future, self.origin(Location::caller())),
            Err(_) => no_runtime("spawn"),
        }
    }

    /// Makes `future`, which need not be `Send`, a task of the [`LocalRuntime`](crate::LocalRuntime)
    /// of this thread; see [`spawn_local`](crate::spawn_local()).
    ///
    /// # Panics
    ///
    /// Outside the `block_on` and the tasks of a `LocalRuntime`.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match context::current() {
            Ok(current) if current.runs == Runs::All => {
                task::spawn_local(&*current.spawn, future, self.origin(Location::caller()))
            }
            _ => panic!(
                "task::Builder::spawn_local was called where no LocalRuntime runs: call it inside \
                 its block_on or tasks"
            ),
        }
    }

    /// Makes a future on worker number `shard` of the runtime that runs the calling code, and a task of
    /// it that stays there; see [`spawn_pinned`](crate::spawn_pinned).
    ///
    /// # Errors
    ///
    /// [`NoSuchShard`], with `make` in it, if the runtime has no worker of that number.
    ///
    /// # Panics
    ///
    /// Outside `block_on` and tasks; enter the runtime with [`Handle::enter`](crate::Handle::enter)
    /// there.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let task = mainspring::task::Builder::new().name("counter").spawn_pinned(0, || async {
    ///     let mine = std::rc::Rc::new(7); // not Send
    ///     mainspring::yield_now().await;
    ///     *mine
    /// });
    /// assert_eq!(task.unwrap().await.unwrap(), 7);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_pinned<M, F>(
        self,
        shard: usize,
        make: M,
    ) -> Result<JoinHandle<F::Output>, NoSuchShard<M>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        match context::current() {
            Ok(current) => {
                let origin = self.origin(Location::caller());
                task::spawn_pinned(&*current.spawn, shard, make, origin)
            }
            Err(_) => no_runtime("spawn_pinned"),
        }
    }

    /// Runs `f`, which may block, on a thread of the pool of the runtime that runs the calling code;
    /// see [`spawn_blocking`](crate::spawn_blocking), whose semantics it has.
    ///
    /// # Panics
    ///
    /// Outside `block_on`, tasks, and closures such as this; enter the runtime with
    /// [`Handle::enter`](crate::Handle::enter) there.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::task;
    ///
    /// # mainspring::block_on(async {
    /// let task = task::Builder::new().name("hash").spawn_blocking(|| task::name());
    /// assert_eq!(task.await.unwrap().as_deref(), Some("hash"));
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match context::current() {
            Ok(current) => PoolHandle::of(&current).spawn(f, self.origin(Location::caller())),
            Err(_) => no_runtime("spawn_blocking"),
        }
    }
}

#[cold]
#[track_caller]
fn no_runtime(method: &str) -> ! {
    panic!(
        "task::Builder::{method} was called where no runtime runs: call it inside block_on or a \
         task, or after Handle::enter"
    );
}
