//! What a connection says of itself while it is in the code of others.

use super::pipe::Client;
use crate::hooks::Doing;
use crate::http::{App, IntoResponse, Next, Request, Response, ResponseFuture, Router, Service};
use crate::primitives::Mutex;
use crate::task::Activity;
use http::Method;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Writes down what the connection says when it is asked from within.
#[derive(Clone, Default)]
struct Ears(Arc<Mutex<Heard>>);

/// Whom to ask, and what was said so far.
type Heard = (Option<Arc<Activity>>, Vec<String>);

impl Ears {
    fn listen(&self) {
        let mut inner = self.0.lock();
        let said = inner.0.as_ref().unwrap().tell();
        inner.1.push(said.unwrap_or_default());
    }

    /// What was said since the last look.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().1)
    }

    /// An async handler that listens.
    fn handler(
        &self,
    ) -> impl Fn(Request) -> Pin<Box<dyn Future<Output = &'static str> + Send>> + use<> {
        let ears = self.clone();
        move |_| {
            ears.listen();
            Box::pin(async { "" })
        }
    }

    fn connect(&self, service: impl Service) -> Client {
        let client = Client::new(service);
        self.0.lock().0 = Some(Arc::clone(&client.activity));
        client
    }
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_handler_is_told_by_its_route_with_the_cure() {
    let ears = Ears::default();
    let layer_ears = ears.clone();
    let layer = move |_: Request, _: Next| {
        layer_ears.listen();
        async { "from the layer" }
    };
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let inner = Router::new()
        .get("/{index}", ears.handler())
        .post("/{index}", ears.handler())
        .put("/{index}", ears.handler())
        .patch("/{index}", ears.handler())
        .delete("/{index}", ears.handler())
        .route(purge, "/{index}", ears.handler());
    let layered = Router::new()
        .get_blocking("/pooled", |_| "")
        .get("/plain", |_| async { "" })
        .layer(layer)
        .fallback(|_| async { "" });
    let app = Router::new()
        .nest("/mix_s_1", inner)
        .nest("/layered", layered)
        .get("/fixed", ears.handler())
        .head("/fixed", ears.handler())
        .fallback(ears.handler())
        .into_app()
        .unwrap();
    let mut client = ears.connect(app);
    let mut check = |method: &str, path: &str, told: &str| {
        client.send(request(method, path)).turn();
        assert_eq!(ears.heard(), [told], "{method} {path}");
        assert_eq!(client.activity.tell(), None, "after {method} {path}");
    };
    check("GET", "/mix_s_1/7", "GET /mix_s_1/{index}: use get_blocking for handlers that block");
    check("HEAD", "/mix_s_1/7", "GET /mix_s_1/{index}: use get_blocking for handlers that block");
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let cure = method.to_lowercase();
        let told =
            format!("{method} /mix_s_1/{{index}}: use {cure}_blocking for handlers that block");
        check(method, "/mix_s_1/7", &told);
    }
    check(
        "PURGE",
        "/mix_s_1/7",
        "PURGE /mix_s_1/{index}: use route_blocking for handlers that block",
    );
    check("GET", "/fixed", "GET /fixed: use get_blocking for handlers that block");
    check("HEAD", "/fixed", "HEAD /fixed: use route_blocking for handlers that block");
    check("GET", "/none", "the fallback: use spawn_blocking for what blocks");
    let layers = "use spawn_blocking for what blocks in its layers";
    check("GET", "/layered/pooled", &format!("GET /layered/pooled: {layers}"));
    check("POST", "/layered/pooled", &format!("other /layered/pooled: {layers}"));
    check("GET", "/layered/plain", "GET /layered/plain: use get_blocking for handlers that block");
    check("GET", "/layered/x", "the fallback of /layered: use spawn_blocking for what blocks");
}

#[test]
fn of_a_service_that_is_no_router_the_method_is_told() {
    struct Own(App, Ears);

    impl Service for Own {
        fn call(&self, request: Request) -> ResponseFuture {
            self.1.listen();
            self.0.call(request)
        }
    }

    let ears = Ears::default();
    let app = Router::new().get("/", ears.handler()).into_app().unwrap();
    let mut client = ears.connect(Own(app, ears.clone()));
    client.send(request("GET", "/")).turn();
    let told = "GET: use spawn_blocking for what blocks";
    assert_eq!(ears.heard(), [told, told], "also within a router inside");
    for method in ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        client.send(request(method, "/x")).turn();
        assert_eq!(ears.heard(), [format!("{method}: use spawn_blocking for what blocks")]);
    }
    client.send(request("PURGE", "/x")).turn();
    assert_eq!(ears.heard(), ["a request: use spawn_blocking for what blocks"]);
    client.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let _ = client.poll();
    assert_eq!(ears.heard(), ["CONNECT: use spawn_blocking for what blocks"]);
    assert_eq!(client.activity.tell(), None);
}

/// Listens in each poll, of which it needs two, and when it is dropped.
struct Slow(Ears, bool);

impl Future for Slow {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Response> {
        self.0.listen();
        match std::mem::replace(&mut self.1, true) {
            false => Poll::Pending,
            true => Poll::Ready("done".into_response()),
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.listen();
    }
}

/// The same as a body.
struct SlowBody(Slow);

impl http_body::Body for SlowBody {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll(cx).map(|_| None)
    }
}

/// A client of a handler, and of a body, that are slow.
fn slow(ears: &Ears) -> Client {
    let (handler, body) = (ears.clone(), ears.clone());
    let app = Router::new()
        .get("/handler", move |_| Slow(handler.clone(), false))
        .get("/body", move |_| {
            let body = SlowBody(Slow(body.clone(), false));
            async { Response::stream(body) }
        })
        .get("/panic", |_| async { panic!("as it should") as &str });
    ears.connect(app.into_app().unwrap())
}

#[test]
fn it_is_told_in_each_poll_and_drop_and_never_between() {
    let ears = Ears::default();
    for path in ["/handler", "/body"] {
        let told = format!("GET {path}: use get_blocking for handlers that block");
        let mut client = slow(&ears);
        client.send(request("GET", path)).turn();
        assert_eq!(ears.heard(), [told.as_str()], "the first poll");
        assert_eq!(client.activity.tell(), None);
        client.turn();
        assert_eq!(ears.heard(), [told.as_str(), &told], "the second, and the drop");
        assert_eq!(client.activity.tell(), None);

        // The connection goes first.
        client.send(request("GET", path)).turn();
        assert_eq!(ears.heard(), [told.as_str()]);
        let activity = client.activity.clone();
        drop(client);
        assert_eq!((ears.heard(), activity.tell()), (vec![told.clone()], None));

        // It is given up from outside.
        let mut client = slow(&ears);
        client.send(request("GET", path)).turn();
        client.connection.abandon();
        assert_eq!(ears.heard(), [told.as_str(), &told]);
        assert_eq!(client.activity.tell(), None);

        // The peer resets it.
        let mut client = slow(&ears);
        client.send(request("GET", path)).turn();
        client.reset();
        client.end();
        assert_eq!(ears.heard().last(), Some(&told));
        assert_eq!(client.activity.tell(), None);
    }
    let mut client = slow(&ears);
    client.send(request("GET", "/panic")).turn();
    assert_eq!(client.activity.tell(), None, "after a panic");
}
