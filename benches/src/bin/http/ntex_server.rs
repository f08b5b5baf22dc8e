//! ntex on tokio, with one worker. Accepting is done by a thread of its own.
//!
//! Its users choose between its router and its bare HTTP service, so both are measured.

use super::answers::{JSON, Message, PLAIN};
use ntex::SharedCfg;
use ntex::http::header::{CONTENT_TYPE, HeaderValue};
use ntex::http::{HttpService, HttpServiceConfig, Request, Response};
use ntex::time::Seconds;
use ntex::util::Ready;
use ntex::web::{App, HttpResponse, HttpServer, get};
use std::io;
use std::net::TcpListener;
use std::time::Duration;

const NAME: &str = "bench";

pub(crate) fn serve_router(listener: TcpListener, keep_alive: Option<Duration>) -> io::Result<()> {
    block_on(async move {
        HttpServer::new(async || {
            App::new()
                .route(PLAIN.path, get().to(async || plain()))
                .route(JSON.path, get().to(async || json()))
        })
        .workers(1)
        .config(settings(keep_alive))
        .listen(listener)?
        .run()
        .await
    })
}

pub(crate) fn serve_bare(listener: TcpListener, keep_alive: Option<Duration>) -> io::Result<()> {
    block_on(async move {
        ntex::server::build()
            .workers(1)
            .listen(NAME, listener, async |_| {
                HttpService::new(|request: Request| Ready::Ok::<_, io::Error>(answer(&request)))
            })?
            .config(NAME, settings(keep_alive))
            .run()
            .await
    })
}

fn block_on(server: impl Future<Output = io::Result<()>> + 'static) -> io::Result<()> {
    ntex::rt::System::build().build(ntex::rt::DefaultRuntime).block_on(server)
}

fn settings(keep_alive: Option<Duration>) -> SharedCfg {
    let mut settings = HttpServiceConfig::new();
    if let Some(keep_alive) = keep_alive {
        let seconds = u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX);
        settings = settings.set_keepalive_timeout(Seconds(seconds));
    }
    SharedCfg::new(NAME).add(settings).build()
}

fn plain() -> HttpResponse {
    HttpResponse::Ok().content_type(PLAIN.content_type).body(PLAIN.body)
}

fn json() -> HttpResponse {
    HttpResponse::Ok().json(&Message::new())
}

fn answer(request: &Request) -> Response {
    if request.path() == PLAIN.path {
        let content_type = HeaderValue::from_static(PLAIN.content_type);
        Response::Ok().header(CONTENT_TYPE, content_type).body(PLAIN.body)
    } else if request.path() == JSON.path {
        Response::Ok().json(&Message::new())
    } else {
        Response::NotFound().finish()
    }
}
