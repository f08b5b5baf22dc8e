//! hyper: a task per connection, no router and no timers.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::net::SocketAddr;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

pub(super) async fn start() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut settings = http1::Builder::new();
        settings.pipeline_flush(true);
        settings.serve_connection(TokioIo::new(stream), service_fn(answer)).await
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, serde_json::Error> {
    let (content_type, body) = match request.uri().path() {
        "/json" => {
            let body = serde_json::to_vec(&Message { message: "Hello, World!" })?;
            ("application/json", body.into())
        }
        _ => ("text/plain; charset=utf-8", Bytes::from_static(b"Hello, World!")),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}
