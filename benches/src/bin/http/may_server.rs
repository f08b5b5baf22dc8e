//! may_minihttp with one worker: a coroutine with a stack of its own per connection.

use super::answers::{JSON, Message, PLAIN};
use super::{Failure, READY};
use bytes::BufMut;
use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::io;
use std::net::TcpListener;

/// It takes header lines as they are sent.
const PLAIN_TYPE: &str = "Content-Type: text/plain; charset=utf-8";
const JSON_TYPE: &str = "Content-Type: application/json";

pub(crate) fn serve(port: u16) -> Result<(), Failure> {
    // The process is pinned already.
    may::config().set_workers(1).set_worker_pin(false);
    // It neither takes a listener nor tells the port that it got: so one is found for it.
    let address = TcpListener::bind(("127.0.0.1", port))?.local_addr()?;
    let server = HttpServer(Answers).start(address)?;
    println!("{READY}{address}");
    server.join().map_err(|_| "its accepting coroutine panicked".into())
}

#[derive(Clone, Copy)]
struct Answers;

impl HttpService for Answers {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        if request.path() == PLAIN.path {
            response.header(PLAIN_TYPE).body(PLAIN.body);
        } else if request.path() == JSON.path {
            response.header(JSON_TYPE);
            serde_json::to_writer(response.body_mut().writer(), &Message::new())?;
        } else {
            response.status_code(404, "Not Found");
        }
        Ok(())
    }
}
