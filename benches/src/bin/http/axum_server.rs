//! axum on tokio's current-thread runtime, by its own `serve`.

use super::answers::{JSON, Message, PLAIN};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use std::io;

pub(crate) fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    // As `#[tokio::main(flavor = "current_thread")]` has it: `serve` sleeps where accepting fails.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
            // Fails on connections only that are gone.
            let _ = stream.set_nodelay(true);
        });
        let app = Router::new()
            .route(PLAIN.path, get(async || PLAIN.body))
            .route(JSON.path, get(async || Json(Message::new())));
        axum::serve(listener, app).await
    })
}
