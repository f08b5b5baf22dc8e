//! ntex on tokio. Accepting is done by a thread of its own.

use crate::WORKERS;
use crate::answer::{Answer, BLOCKS, TIME, WAITS};
use ntex::time::sleep;
use ntex::web::{App, HttpResponse, HttpServer, get, types::Path};
use std::io;
use std::net::TcpListener;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    ntex::rt::System::build().build(ntex::rt::DefaultRuntime).block_on(async move {
        HttpServer::new(async || {
            App::new()
                .route(&format!("/{WAITS}/{{index}}"), get().to(waits))
                .route(&format!("/{BLOCKS}/{{index}}"), get().to(blocks))
        })
        .workers(WORKERS)
        .listen(listener)?
        .run()
        .await
    })
}

async fn waits(index: Path<u64>) -> HttpResponse {
    sleep(TIME).await;
    HttpResponse::Ok().json(&Answer::of(WAITS, *index))
}

async fn blocks(index: Path<u64>) -> HttpResponse {
    HttpResponse::Ok().json(&Answer::after_a_block(*index))
}
