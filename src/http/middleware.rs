//! What stands between the server and the handlers.

use super::request::Request;
use super::response::IntoResponse;
use super::service::{ResponseFuture, Service};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// Something that answers requests with the help of what comes behind it.
///
/// Every `Fn(Request, Next)` that returns a future of something that is [`IntoResponse`] is one:
/// it may change the request, answer by itself, or run the [`Next`] and change the answer. What it
/// finds out about a request goes to the handler in [`Request::extensions_mut`].
///
/// [`Router::layer`](super::Router::layer) says in which order they run.
///
/// # Examples
///
/// ```
/// use http::{HeaderValue, StatusCode};
/// use mainspring::http::{Error, Next, Request, Response, Router};
///
/// /// Lets those in who know the word.
/// async fn guard(req: Request, next: Next) -> Result<Response, Error> {
///     match req.header("authorization") {
///         Some("Bearer sesame") => Ok(next.run(req).await),
///         _ => Err(Error::new(StatusCode::UNAUTHORIZED, "say the word")),
///     }
/// }
///
/// let app = Router::new()
///     .get("/", |_| async { "inside" })
///     .layer(guard)
///     .layer(|req: Request, next: Next| async move {
///         let mut answer = next.run(req).await;
///         answer.headers_mut().insert("x-served-by", HeaderValue::from_static("mainspring"));
///         answer
///     });
/// # let _ = app;
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Begins to answer `request`.
    fn call(&self, request: Request, next: Next) -> ResponseFuture;
}

impl<F, Fut> Middleware for F
where
    F: Fn(Request, Next) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: IntoResponse,
{
    fn call(&self, request: Request, next: Next) -> ResponseFuture {
        let future = self(request, next);
        Box::pin(async move { future.await.into_response() })
    }
}

/// What comes behind a [`Middleware`]: further ones, and the handler.
pub struct Next {
    service: Arc<dyn Service>,
}

impl Next {
    /// Lets it answer `request`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the handler's, at the place where that waits.
    pub fn run(self, request: Request) -> ResponseFuture {
        self.service.call(request)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// Puts `layers`, of which the first is the outermost, around `service`.
pub(super) fn wrap(
    layers: &[Arc<dyn Middleware>],
    mut service: Arc<dyn Service>,
) -> Arc<dyn Service> {
    for layer in layers.iter().rev() {
        service = Arc::new(Layered { layer: Arc::clone(layer), inner: service });
    }
    service
}

struct Layered {
    layer: Arc<dyn Middleware>,
    inner: Arc<dyn Service>,
}

impl Service for Layered {
    fn call(&self, request: Request) -> ResponseFuture {
        self.layer.call(request, Next { service: Arc::clone(&self.inner) })
    }
}
