//! The crates of the smol family, which run anywhere: async-channel and async-lock; and the oneshot
//! channel of futures-channel, which that family lacks.

use crate::runtime::{Channels, Locks};
use futures_channel::oneshot;

/// async-channel, and futures-channel's oneshot.
pub(crate) struct AsyncChannel;

impl Channels for AsyncChannel {
    type Sender<T: 'static> = async_channel::Sender<T>;
    type Receiver<T: 'static> = async_channel::Receiver<T>;
    type Promise<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;

    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        async_channel::bounded(capacity)
    }

    async fn send<T: 'static>(to: &Self::Sender<T>, message: T) {
        assert!(to.send(message).await.is_ok(), "the channel is closed");
    }

    async fn receive<T: 'static>(from: &mut Self::Receiver<T>) -> Option<T> {
        from.recv().await.ok()
    }

    fn oneshot<T: 'static>() -> (Self::Promise<T>, Self::Answer<T>) {
        oneshot::channel()
    }

    fn fulfil<T: 'static>(promise: Self::Promise<T>, value: T) {
        assert!(promise.send(value).is_ok(), "nobody waits");
    }

    async fn answer<T: 'static>(answer: Self::Answer<T>) -> T {
        answer.await.expect("the sender answers")
    }
}

/// async-lock.
pub(crate) struct AsyncLock;

impl Locks for AsyncLock {
    type Mutex = async_lock::Mutex<u64>;
    type Guard<'a> = async_lock::MutexGuard<'a, u64>;
    type Semaphore = async_lock::Semaphore;
    type Permit<'a> = async_lock::SemaphoreGuard<'a>;

    fn mutex() -> Self::Mutex {
        async_lock::Mutex::new(0)
    }

    async fn lock(mutex: &Self::Mutex) -> Self::Guard<'_> {
        mutex.lock().await
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        async_lock::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await
    }
}
