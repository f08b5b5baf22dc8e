use super::doing::{Signs, Told};
use super::request::Request;
use super::response::{IntoResponse, Response};
use std::future::Future;
use std::pin::Pin;

/// The future of an answer.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Something that answers requests.
///
/// Every `Fn(Request)` that returns a future of something that is [`IntoResponse`] is one; so is
/// an [`App`](super::App), which is what becomes of a [`Router`](super::Router).
///
/// A service that panics, in `call` or in its future, is answered for with 500, and its connection
/// closes.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Request, Service};
///
/// fn takes(_: impl Service) {}
/// takes(|req: Request| async move { format!("you asked for {}", req.path()) });
/// ```
pub trait Service: Send + Sync + 'static {
    /// Begins to answer `request`.
    fn call(&self, request: Request) -> ResponseFuture;

    /// The same, for a connection, which tells by `told` in whose code it is.
    #[doc(hidden)]
    fn call_told(&self, request: Request, told: &Told) -> ResponseFuture {
        told.method(request.method());
        self.call(request)
    }

    /// What is known of those who are told of so.
    #[doc(hidden)]
    fn signs(&self) -> Signs {
        Signs::default()
    }
}

impl<F, Fut> Service for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: IntoResponse,
{
    #[inline]
    fn call(&self, request: Request) -> ResponseFuture {
        let future = self(request);
        Box::pin(async move { future.await.into_response() })
    }
}
