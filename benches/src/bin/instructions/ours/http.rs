//! mainspring's server with its router, with all its limits.

use mainspring::http::{Json, Request, Router, Server};
use serde::Serialize;
use std::net::SocketAddr;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

pub(super) async fn start() -> SocketAddr {
    let app = Router::new()
        .get("/", |_req: Request| async { "Hello, World!" })
        .get("/json", |_req: Request| async { Json(Message { message: "Hello, World!" }) });
    let server = Server::builder().addr("127.0.0.1:0").build(app).unwrap();
    let address = server.local_addr();
    // Ends with the runtime.
    drop(mainspring::spawn_local(async move { server.run().await.map(drop) }));
    address
}
