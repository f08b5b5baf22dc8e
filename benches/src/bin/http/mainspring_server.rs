//! mainspring's own server, as it is, with all its limits.

use super::answers::{JSON, Message, PLAIN};
use super::{Failure, READY};
use mainspring::http::{Json, Request, Router, Server};
use std::time::Duration;

pub(crate) fn serve(port: u16, keep_alive: Option<Duration>) -> Result<(), Failure> {
    let app = Router::new()
        .get(PLAIN.path, |_req: Request| async { PLAIN.body })
        .get(JSON.path, |_req: Request| async { Json(Message::new()) });
    let mut builder = Server::builder().addr(format!("127.0.0.1:{port}"));
    if let Some(keep_alive) = keep_alive {
        builder = builder.keep_alive(keep_alive);
    }
    let server = builder.build(app)?;
    println!("{READY}{}", server.local_addr());
    mainspring::block_on(server.run())?;
    Ok(())
}
