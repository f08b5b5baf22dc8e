//! local-sync, the channels and the semaphore that go with monoio: of one thread, without atomics.
//!
//! It has no mutex: a semaphore of one permit beside a `RefCell` is one.

use crate::runtime::{Channels, Locks};
use local_sync::semaphore::{Semaphore, SemaphorePermit};
use local_sync::{mpsc::bounded, oneshot};
use std::cell::{RefCell, RefMut};
use std::ops::{Deref, DerefMut};

/// The channels and the semaphore of local-sync.
pub(crate) struct LocalSync;

impl Channels for LocalSync {
    type Sender<T: 'static> = bounded::Tx<T>;
    type Receiver<T: 'static> = bounded::Rx<T>;
    type Promise<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;

    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        bounded::channel(capacity)
    }

    async fn send<T: 'static>(to: &Self::Sender<T>, message: T) {
        assert!(to.send(message).await.is_ok(), "the channel is closed");
    }

    async fn receive<T: 'static>(from: &mut Self::Receiver<T>) -> Option<T> {
        from.recv().await
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

/// A mutex of one thread.
pub(crate) struct LocalMutex {
    turn: Semaphore,
    value: RefCell<u64>,
}

/// Gives the value back, then the permit.
pub(crate) struct LocalGuard<'a> {
    value: RefMut<'a, u64>,
    _turn: SemaphorePermit<'a>,
}

impl Deref for LocalGuard<'_> {
    type Target = u64;
    fn deref(&self) -> &u64 {
        &self.value
    }
}

impl DerefMut for LocalGuard<'_> {
    fn deref_mut(&mut self) -> &mut u64 {
        &mut self.value
    }
}

impl Locks for LocalSync {
    type Mutex = LocalMutex;
    type Guard<'a> = LocalGuard<'a>;
    type Semaphore = Semaphore;
    type Permit<'a> = SemaphorePermit<'a>;

    fn mutex() -> Self::Mutex {
        LocalMutex { turn: Semaphore::new(1), value: RefCell::new(0) }
    }

    async fn lock(mutex: &Self::Mutex) -> Self::Guard<'_> {
        let turn = mutex.turn.acquire().await.expect("it is never closed");
        LocalGuard { value: mutex.value.borrow_mut(), _turn: turn }
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect("it is never closed")
    }
}
