//! A small HTTP client: one request per connection, or one after the other on a kept one.

use mainspring::net::TcpStream;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

/// Asks once, on a connection of its own.
pub(crate) async fn get(server: SocketAddr, path: &str) -> io::Result<Answer> {
    let start = Instant::now();
    let mut answer = Kept::connect(server).await?.get(path).await?;
    answer.took = start.elapsed();
    Ok(answer)
}

/// A connection that is kept.
pub(crate) struct Kept {
    stream: TcpStream,
    /// What has come and was not used.
    came: Vec<u8>,
    /// An answer has said that it is the last.
    closes: bool,
}

impl Kept {
    pub(crate) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, came: Vec::new(), closes: false })
    }

    /// Whether the last answer has said that no other will come.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        let start = Instant::now();
        let request = format!("GET {path} HTTP/1.1\r\nHost: scenarios\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        loop {
            if let Some((mut answer, closes, length)) = parse(&self.came)? {
                self.closes = closes;
                self.came.drain(..length);
                answer.took = start.elapsed();
                return Ok(answer);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await? {
                0 if self.came.is_empty() => return Err(io::ErrorKind::ConnectionAborted.into()),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.came.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// The answer at the front of `came`, whether it is the last, and its length, if it is whole. Every
/// answer of the server that is asked for here has a `content-length`.
fn parse(came: &[u8]) -> io::Result<Option<(Answer, bool, usize)>> {
    let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&came[..end]);
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, head.clone().into_owned());
    let field = |name: &str| {
        let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
    let length = field("content-length").and_then(|length| length.parse().ok());
    let length: usize = length.ok_or_else(wrong)?;
    let Some(body) = came.get(end + 4..end + 4 + length) else { return Ok(None) };
    let answer = Answer {
        status,
        retry_after: field("retry-after").and_then(|seconds| seconds.parse().ok()),
        body: String::from_utf8_lossy(body).into_owned(),
        took: Duration::ZERO,
    };
    let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some((answer, closes, end + 4 + length)))
}
