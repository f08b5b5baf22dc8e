//! actix-web. Accepting is done by a thread of its own.
//!
//! Without its timeout of 5 s for the head of a request: it would answer 408 to requests that came at once,
//! and were read late.

use crate::WORKERS;
use crate::answer::{Answer, BLOCKS, TIME, WAITS};
use actix_web::rt::System;
use actix_web::rt::time::sleep;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::io;
use std::net::TcpListener;
use std::time::Duration;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    let server = HttpServer::new(|| {
        App::new()
            .route(&format!("/{WAITS}/{{index}}"), web::get().to(waits))
            .route(&format!("/{BLOCKS}/{{index}}"), web::get().to(blocks))
    });
    let server = server.workers(WORKERS).client_request_timeout(Duration::ZERO);
    let server = server.tcp_nodelay(true).disable_signals().listen(listener)?;
    System::new().block_on(server.run())
}

async fn waits(index: web::Path<u64>) -> HttpResponse {
    sleep(TIME).await;
    HttpResponse::Ok().json(Answer::of(WAITS, *index))
}

async fn blocks(index: web::Path<u64>) -> HttpResponse {
    HttpResponse::Ok().json(Answer::after_a_block(*index))
}
