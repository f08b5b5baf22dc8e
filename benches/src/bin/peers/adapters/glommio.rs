//! glommio, with its own channels and locks, all of one thread.
//!
//! Its `spawn_local` polls the future inside the call (*eager*). It has no mutex but a lock for readers
//! and writers, of which the latter is used; and no oneshot channel, for which its channel of
//! capacity 1 stands. What blocks runs on one thread, as by default.

use crate::runtime::{Channels, Locks, Runtime};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::channels::local_channel::{LocalReceiver, LocalSender, new_bounded};
use glommio::sync::{Permit, RwLock, RwLockWriteGuard, Semaphore};
use glommio::{LocalExecutorBuilder, Placement, Task};
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;
use std::time::Duration;

/// An executor of glommio, unbound by itself: the process is bound already.
pub(crate) struct Glommio;

impl Runtime for Glommio {
    type Channels = GlommioSync;
    type Locks = GlommioSync;
    type Task<T: Send + 'static> = Task<T>;

    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let executor =
            LocalExecutorBuilder::new(Placement::Unbound).make().expect("glommio starts");
        executor.run(async { glommio::spawn_local(main).await });
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Self::Task<F::Output> {
        glommio::spawn_local(future)
    }

    fn join<T: Send + 'static>(task: Self::Task<T>) -> impl Future<Output = T> {
        task
    }

    fn detach<T: Send + 'static>(task: Self::Task<T>) {
        drop(task.detach());
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    fn sleep(time: Duration) -> impl Future + 'static {
        glommio::timer::Timer::new(time)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        glommio::executor().spawn_blocking(job)
    }

    async fn serve_echo(listener: TcpListener, buffer: usize) -> io::Result<()> {
        // SAFETY: the descriptor is open and owned, and given away here.
        let listener = unsafe { glommio::net::TcpListener::from_raw_fd(listener.into_raw_fd()) };
        loop {
            let mut stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            let echoing = glommio::spawn_local(async move {
                let mut buffer = vec![0; buffer];
                loop {
                    match stream.read(&mut buffer).await? {
                        0 => return io::Result::Ok(()),
                        count => stream.write_all(&buffer[..count]).await?,
                    }
                }
            });
            drop(echoing.detach());
        }
    }
}

/// The channels and locks of glommio.
pub(crate) struct GlommioSync;

impl Channels for GlommioSync {
    type Sender<T: 'static> = Rc<LocalSender<T>>;
    type Receiver<T: 'static> = LocalReceiver<T>;
    type Promise<T: 'static> = LocalSender<T>;
    type Answer<T: 'static> = LocalReceiver<T>;

    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        let (sender, receiver) = new_bounded(capacity);
        (Rc::new(sender), receiver)
    }

    async fn send<T: 'static>(to: &Self::Sender<T>, message: T) {
        assert!(to.send(message).await.is_ok(), "the channel is closed");
    }

    async fn receive<T: 'static>(from: &mut Self::Receiver<T>) -> Option<T> {
        from.recv().await
    }

    fn oneshot<T: 'static>() -> (Self::Promise<T>, Self::Answer<T>) {
        new_bounded(1)
    }

    fn fulfil<T: 'static>(promise: Self::Promise<T>, value: T) {
        assert!(promise.try_send(value).is_ok(), "nobody waits");
    }

    async fn answer<T: 'static>(answer: Self::Answer<T>) -> T {
        answer.recv().await.expect("the sender answers")
    }
}

impl Locks for GlommioSync {
    type Mutex = RwLock<u64>;
    type Guard<'a> = RwLockWriteGuard<'a, u64>;
    type Semaphore = Semaphore;
    type Permit<'a> = Permit<'a>;

    fn mutex() -> Self::Mutex {
        RwLock::new(0)
    }

    async fn lock(mutex: &Self::Mutex) -> Self::Guard<'_> {
        match mutex.write().await {
            Ok(guard) => guard,
            Err(_) => panic!("it is never closed"),
        }
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Semaphore::new(permits as u64)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire_permit(1).await.expect("it is never closed")
    }
}
