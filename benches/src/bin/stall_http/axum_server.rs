//! axum on tokio's multi-thread runtime, by its own `serve`.

use crate::answer::{Answer, BLOCKS, TIME, WAITS};
use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use std::io;
use std::net::TcpListener;
use tokio::runtime::Builder;

pub(crate) fn serve(listener: TcpListener, builder: &mut Builder) -> io::Result<()> {
    builder.build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let app = Router::new()
            .route(&format!("/{WAITS}/{{index}}"), get(waits))
            .route(&format!("/{BLOCKS}/{{index}}"), get(blocks));
        axum::serve(listener, app).await
    })
}

async fn waits(Path(index): Path<u64>) -> Json<Answer> {
    tokio::time::sleep(TIME).await;
    Json(Answer::of(WAITS, index))
}

async fn blocks(Path(index): Path<u64>) -> Json<Answer> {
    Json(Answer::after_a_block(index))
}
