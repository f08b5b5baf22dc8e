//! mainspring's own server on its runtime, with the routes of `examples/serve`.

use crate::answer::{Answer, BLOCKS, TIME, WAITS};
use crate::{Failure, READY, WORKERS};
use mainspring::Runtime;
use mainspring::http::{Error, Json, Request, Router, Server};
use mainspring::time::sleep;

pub(crate) fn serve() -> Result<(), Failure> {
    let app = Router::new()
        .get(&format!("/{WAITS}/{{index}}"), async |req: Request| waits(req).await)
        .get(&format!("/{BLOCKS}/{{index}}"), async |req: Request| blocks(&req));
    let server = Server::builder().addr("127.0.0.1:0").build(app)?;
    println!("{READY}{}", server.local_addr());
    let runtime = Runtime::builder().worker_threads(WORKERS).build()?;
    runtime.block_on(server.run())?;
    Ok(())
}

async fn waits(req: Request) -> Result<Json<Answer>, Error> {
    let index = req.param("index")?;
    sleep(TIME).await;
    Ok(Json(Answer::of(WAITS, index)))
}

fn blocks(req: &Request) -> Result<Json<Answer>, Error> {
    Ok(Json(Answer::after_a_block(req.param("index")?)))
}
