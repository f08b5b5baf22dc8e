//! actix-web with one worker. Accepting is done by a thread of its own.

use super::answers::{JSON, Message, PLAIN};
use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::io;
use std::net::TcpListener;
use std::time::Duration;

pub(crate) fn serve(listener: TcpListener, keep_alive: Option<Duration>) -> io::Result<()> {
    let mut server = HttpServer::new(|| {
        App::new().route(PLAIN.path, web::get().to(plain)).route(JSON.path, web::get().to(json))
    });
    if let Some(keep_alive) = keep_alive {
        server = server.keep_alive(keep_alive);
    }
    let server = server.workers(1).tcp_nodelay(true).disable_signals().listen(listener)?;
    System::new().block_on(server.run())
}

async fn plain() -> HttpResponse {
    HttpResponse::Ok().content_type(PLAIN.content_type).body(PLAIN.body)
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().json(Message::new())
}
