//! The load: wrk, and one request by hand to see that the answer is what it should be.

use super::{BODY, Failure};
use mainspring_benches::process::on_core;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One thread of wrk on one core, as fast as it can.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) core: usize,
    pub(crate) connections: usize,
    pub(crate) address: String,
}

/// What wrk says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) requests: f64,
    pub(crate) requests_per_second: f64,
}

impl Load {
    pub(crate) fn run(&self, seconds: u64) -> Result<Loaded, Failure> {
        let command = [
            "wrk".to_string(),
            "-t1".into(),
            format!("-c{}", self.connections),
            format!("-d{seconds}s"),
            format!("http://{}/", self.address),
        ];
        let output = on_core(self.core, &command).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk failed ({}): {said}{error}", output.status).into());
        }
        parse(&said).ok_or_else(|| format!("wrk reports errors, or nothing:\n{said}").into())
    }
}

/// The figures in wrk's words; `None` if it tells of errors.
fn parse(said: &str) -> Option<Loaded> {
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        return None;
    }
    let requests = said.lines().find_map(|line| line.split_once(" requests in "))?.0;
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    Some(Loaded {
        requests: requests.trim().parse().ok()?,
        requests_per_second: rate.trim().parse().ok()?,
    })
}

/// Asks once and looks at the answer; returns how many bytes it has.
///
/// Servers are compared by the same work only if they answer the same.
pub(crate) fn check_answer(address: &str) -> Result<usize, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= BODY.len()
        {
            let head = head.to_ascii_lowercase();
            let wanted = ["content-length: 13", "date: ", "content-type: text/plain"];
            let lacks = wanted.iter().find(|wanted| !head.contains(*wanted));
            if !head.starts_with("http/1.1 200") || body != BODY || lacks.is_some() {
                return Err(format!("the answer is not what all answer:\n{text}").into());
            }
            return Ok(answer.len());
        }
        match stream.read(&mut buffer)? {
            0 => return Err(format!("the connection ended in the answer:\n{text}").into()),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_make_a_measurement_void() {
        let fine =
            "  1 threads\n  435132 requests in 4.00s, 53.94MB read\nRequests/sec: 108768.43\n";
        let loaded = Loaded { requests: 435_132.0, requests_per_second: 108_768.43 };
        assert_eq!(parse(fine), Some(loaded));
        assert_eq!(parse(&format!("{fine}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(parse(&format!("{fine}  Socket errors: connect 0, read 1\n")), None);
        assert_eq!(parse(""), None);
    }
}
