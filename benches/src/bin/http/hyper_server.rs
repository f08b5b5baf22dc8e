//! hyper 1.x on tokio's current-thread runtime: one task per connection, no timers.

use super::answers::{JSON, Message, PLAIN};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;

pub(crate) fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // Without it each of several answers is a write of its own.
        let mut settings = http1::Builder::new();
        settings.pipeline_flush(true);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = settings.serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async {
                // A peer that goes away is no concern of the measurement.
                let _ = connection.await;
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, serde_json::Error> {
    let path = request.uri().path();
    let (content_type, body) = if path == PLAIN.path {
        (PLAIN.content_type, Bytes::from_static(PLAIN.body.as_bytes()))
    } else if path == JSON.path {
        (JSON.content_type, serde_json::to_vec(&Message::new())?.into())
    } else {
        let mut missing = Response::new(Full::default());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return Ok(missing);
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}
