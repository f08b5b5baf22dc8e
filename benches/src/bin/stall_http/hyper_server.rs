//! hyper on tokio's multi-thread runtime: one task per connection.

use crate::answer::{Answer, BLOCKS, TIME, WAITS};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::TcpListener;
use tokio::runtime::Builder;

pub(crate) fn serve(listener: TcpListener, builder: &mut Builder) -> io::Result<()> {
    builder.build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async {
                // The client sees it where one fails.
                let _ = connection.await;
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, serde_json::Error> {
    let asked = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'));
    let answer = match asked.map(|(endpoint, index)| (endpoint, index.parse())) {
        Some((WAITS, Ok(index))) => {
            tokio::time::sleep(TIME).await;
            Answer::of(WAITS, index)
        }
        Some((BLOCKS, Ok(index))) => Answer::after_a_block(index),
        _ => {
            let mut missing = Response::new(Full::default());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            return Ok(missing);
        }
    };
    Ok(Response::new(Full::new(serde_json::to_vec(&answer)?.into())))
}
