//! Handlers that block, on the threads of the pool.

use super::error::Error;
use super::request::Request;
use super::response::{IntoResponse, Response};
use super::service::{ResponseFuture, Service};
use crate::offload::try_spawn_blocking;
use crate::task::JoinHandle;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A handler that is no future, called in the pool.
pub(super) struct Blocking<H>(Arc<H>);

impl<H> Blocking<H> {
    pub(super) fn new(handler: H) -> Self {
        Self(Arc::new(handler))
    }
}

impl<H, R> Service for Blocking<H>
where
    H: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn call(&self, mut request: Request) -> ResponseFuture {
        let handler = Arc::clone(&self.0);
        Box::pin(async move {
            // A thread of the pool is too dear to wait for a client.
            if let Err(error) = request.bytes().await {
                return error.into_response();
            }
            match try_spawn_blocking(move || handler(request).into_response()) {
                Ok(job) => Queued(job).await,
                Err(busy) => Error::from(busy).into_response(),
            }
        })
    }
}

/// A job whose client waits: it is not begun when nobody waits any more.
struct Queued(JoinHandle<Response>);

impl Future for Queued {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(response) => response,
            Err(error) => match error.try_into_panic() {
                // It is told of as that of any handler.
                Ok(payload) => resume_unwind(payload),
                Err(cancelled) => Error::from(cancelled).into_response(),
            },
        })
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // Has it ended, this does nothing.
        self.0.abort();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::LocalRuntime;
    use crate::http::tests::{body, request};
    use crate::http::{App, Error, Request, Response, Router, Service};
    use crate::primitives::{AtomicUsize, Ordering};
    use futures::FutureExt;
    use http::StatusCode;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::ThreadId;

    fn runtime(threads: usize, queue: usize) -> LocalRuntime {
        let rt = LocalRuntime::builder().blocking_threads(threads).blocking_queue(queue).build();
        rt.unwrap()
    }

    fn post(path: &str, body: &'static str) -> Request {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\
             Content-Type: application/json\r\n\r\n"
        );
        request(&head, body)
    }

    #[test]
    fn a_handler_runs_on_another_thread_and_has_its_request() {
        let app = Router::new()
            .post_blocking("/sum/{n}", |req: Request| {
                let n: u32 = req.param("n")?;
                let numbers: Vec<u32> = req.json_now()?;
                let apart = *req.state::<ThreadId>()? != std::thread::current().id();
                Ok::<_, Error>(format!("{} {apart}", n + numbers.iter().sum::<u32>()))
            })
            .with_state(std::thread::current().id())
            .into_app()
            .unwrap();
        runtime(2, 2).block_on(async {
            let answer = app.call(post("/sum/1", "[2, 3]")).await;
            assert_eq!((answer.status(), &*body(answer)), (StatusCode::OK, "6 true"));
            assert_eq!(app.call(post("/sum/1", "[2")).await.status(), StatusCode::BAD_REQUEST);
        });
    }

    /// Handlers that say that they have begun, and wait until they may end.
    struct Gate {
        app: App,
        begun: Receiver<()>,
        open: Sender<()>,
        calls: Arc<AtomicUsize>,
    }

    fn gate() -> Gate {
        let (begin, begun) = channel();
        let (open, gate) = channel::<()>();
        let gate = crate::primitives::Mutex::new(gate);
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let handler = move |_: Request| {
            counter.fetch_add(1, Ordering::Relaxed);
            begin.send(()).unwrap();
            gate.lock().recv().unwrap();
            "done"
        };
        let app = Router::new().get_blocking("/", handler).into_app().unwrap();
        Gate { app, begun, open, calls }
    }

    fn get() -> Request {
        crate::http::tests::get("/")
    }

    #[test]
    fn a_full_queue_is_an_answer() {
        let Gate { app, begun, open, calls } = gate();
        runtime(1, 1).block_on(async {
            let mut running = app.call(get());
            assert!((&mut running).now_or_never().is_none());
            begun.recv().unwrap();
            let mut queued = app.call(get());
            assert!((&mut queued).now_or_never().is_none());
            let refused = app.call(get()).now_or_never().expect("an answer at once");
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.header("retry-after"), Some("1"));
            open.send(()).unwrap();
            open.send(()).unwrap();
            assert_eq!(
                (running.await.status(), queued.await.status()),
                (StatusCode::OK, StatusCode::OK)
            );
        });
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_request_that_nobody_waits_for_is_not_begun() {
        let Gate { app, begun, open, calls } = gate();
        runtime(1, 4).block_on(async {
            let mut running = app.call(get());
            assert!((&mut running).now_or_never().is_none());
            begun.recv().unwrap();
            let mut given_up = app.call(get());
            assert!((&mut given_up).now_or_never().is_none());
            let mut last = app.call(get());
            assert!((&mut last).now_or_never().is_none());
            drop(given_up);
            open.send(()).unwrap();
            open.send(()).unwrap();
            running.await;
            last.await;
        });
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_panic_is_that_of_the_handler() {
        let app = Router::new()
            .get_blocking("/", |_| -> Response { panic!("in the pool") })
            .into_app()
            .unwrap();
        let caught =
            runtime(1, 1).block_on(std::panic::AssertUnwindSafe(app.call(get())).catch_unwind());
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"in the pool"));
    }
}
