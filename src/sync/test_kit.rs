//! What the tests of this room share: futures that are polled by hand, by wakers that count.

use crate::primitives::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

/// A waker that notes each wake.
pub(crate) struct Bell {
    waker: Waker,
    rung: mpsc::Receiver<()>,
    // Goes up while anybody holds a clone of the waker.
    held: std::sync::Weak<Rope>,
}

struct Rope(mpsc::Sender<()>);

impl Wake for Rope {
    fn wake(self: std::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        let _ = self.0.send(());
    }
}

impl Bell {
    pub(crate) fn new() -> Self {
        let (sender, rung) = mpsc::channel();
        let rope = std::sync::Arc::new(Rope(sender));
        let held = std::sync::Arc::downgrade(&rope);
        Self { waker: Waker::from(rope), rung, held }
    }

    /// How often it was rung since the last look.
    pub(crate) fn rings(&self) -> usize {
        self.rung.try_iter().count()
    }

    /// How many clones of the waker there are.
    pub(crate) fn clones(&self) -> usize {
        self.held.strong_count() - 1
    }

    pub(crate) fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut self.context())
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

/// A future that is pinned, and polled with a bell of its own.
pub(crate) struct Task<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    pub(crate) bell: Bell,
}

impl<'a, T> Task<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self { future: Box::pin(future), bell: Bell::new() }
    }

    /// A task that was polled once, and has to wait.
    pub(crate) fn waiting(future: impl Future<Output = T> + Send + 'a) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending(), "it does not wait");
        task
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.bell.poll(&mut self.future)
    }

    /// Its output, where it was woken exactly once since it began to wait.
    #[track_caller]
    pub(crate) fn woken(mut self) -> T {
        assert_eq!(self.bell.rings(), 1, "wakes");
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it was woken, and still waits"),
        }
    }

    /// Polls it as another task would from now on.
    pub(crate) fn poll_anew(&mut self) -> Poll<T> {
        self.bell = Bell::new();
        self.poll()
    }
}

/// A waker that runs `cloning` when it is cloned, and whose clones panic when they are dropped.
///
/// It belongs on one thread, and keeps a few bytes for ever.
pub(crate) fn brittle(cloning: impl Fn() + 'static) -> Waker {
    static FIRST: RawWakerVTable = RawWakerVTable::new(clone, |_| {}, |_| {}, |_| {});
    static CLONE: RawWakerVTable = RawWakerVTable::new(clone, |_| {}, |_| {}, |_| panic!("drop"));

    fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the pointer that is leaked below; it stays on its thread.
        unsafe { (*data.cast::<Box<dyn Fn()>>())() };
        RawWaker::new(data, &CLONE)
    }

    // Kept, as wakers may be left over anywhere; and seen to be kept by who looks for leaks.
    static KEPT: Mutex<Vec<usize>> = Mutex::new(Vec::new());

    let cloning: Box<dyn Fn()> = Box::new(cloning);
    let data: *const () = std::ptr::from_ref(Box::leak(Box::new(cloning))).cast();
    KEPT.lock().push(data.addr());
    // SAFETY: a waker that does nothing keeps the contract, as `cloning` lives for ever.
    unsafe { Waker::from_raw(RawWaker::new(data, &FIRST)) }
}
