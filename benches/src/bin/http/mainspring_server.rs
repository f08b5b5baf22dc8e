//! mainspring's own server, as it is, with all its limits.

use super::{BODY, Failure, READY};
use mainspring::http::{Request, Router, Server};

pub(crate) fn serve(port: u16) -> Result<(), Failure> {
    let app = Router::new().get("/", |_req: Request| async { BODY });
    let server = Server::builder().addr(format!("127.0.0.1:{port}")).build(app)?;
    println!("{READY}{}", server.local_addr());
    mainspring::block_on(server.run())?;
    Ok(())
}
