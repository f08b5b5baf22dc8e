//! Sockets. Both ends are in the one thread, so each figure is that of both.

use super::{Case, rt};
use std::net::SocketAddr;

const MESSAGE: [u8; 64] = [7; 64];
/// A request as `wrk` writes it.
const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const JSON: &[u8] = b"GET /json HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
/// How many requests are sent at once where they are pipelined.
const PIPELINED: usize = 16;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "tcp_echo",
        meaning: "64 bytes to a task that echoes, and back: both ends",
        count: 4_000,
        run: |n| {
            rt::block_on(async move {
                let mut client = Client::connect(serve(None).await).await;
                client.exchange(&MESSAGE, MESSAGE.len(), n).await;
            })
        },
    },
    Case {
        name: "http_floor",
        meaning: "the request of `http_plain` to a task that parses nothing: both ends",
        count: 4_000,
        run: |n| {
            rt::block_on(async move {
                let mut client = Client::connect(serve(Some(&[b'a'; 130])).await).await;
                client.exchange(PLAIN, 130, n).await;
            })
        },
    },
];

pub(crate) const HTTP: &[Case] = &[
    Case {
        name: "http_plain",
        meaning: "one request on a connection that stays open (tokio: hyper): both ends",
        count: 4_000,
        run: |n| rt::block_on(http(PLAIN, 1, n)),
    },
    Case {
        name: "http_json",
        meaning: "the same with JSON, serialised each time",
        count: 4_000,
        run: |n| rt::block_on(http(JSON, 1, n)),
    },
    Case {
        name: "http_pipelined",
        meaning: "the first, 16 at once: one request",
        count: 16_000,
        run: |n| rt::block_on(http(PLAIN, PIPELINED, n)),
    },
];

async fn http(request: &[u8], at_once: usize, n: usize) {
    let mut client = Client::connect(super::http::start().await).await;
    let answer = client.learn(request).await;
    client.exchange(&request.repeat(at_once), answer * at_once, n / at_once).await;
}

/// Starts a task that answers each piece that it reads with `answer`, or else with itself.
async fn serve(answer: Option<&'static [u8]>) -> SocketAddr {
    let listener = rt::listen().await.unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the runtime.
    drop(rt::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        loop {
            let count = rt::read(&mut stream, &mut buffer).await.unwrap();
            rt::write_all(&mut stream, answer.unwrap_or(&buffer[..count])).await.unwrap();
        }
    }));
    address
}

struct Client(rt::TcpStream);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = rt::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// So often: sends something, and reads so much.
    async fn exchange(&mut self, sent: &[u8], answer: usize, n: usize) {
        let mut buffer = [0; 4096];
        for _ in 0..n {
            rt::write_all(&mut self.0, sent).await.unwrap();
            let mut left = answer;
            while left > 0 {
                let count = rt::read(&mut self.0, &mut buffer).await.unwrap();
                assert!((1..=left).contains(&count), "{count} of {left} bytes came");
                left -= count;
            }
        }
    }

    /// How long the answer to a request is.
    async fn learn(&mut self, request: &[u8]) -> usize {
        rt::write_all(&mut self.0, request).await.unwrap();
        let mut buffer = [0; 4096];
        let count = rt::read(&mut self.0, &mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..count]);
        let complete =
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Hello, World!");
        assert!(complete, "not what is wanted: {answer}");
        count
    }
}
