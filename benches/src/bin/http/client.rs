//! A client that asks once, and looks at the answer.
//!
//! Servers are compared by the same work only if they answer the same.

use super::Failure;
use super::answers::Answer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Asks over a connection of its own; returns how many bytes the answer has.
pub(crate) fn check_answer(address: &str, wanted: &Answer) -> Result<usize, Failure> {
    ask(&mut TcpStream::connect(address)?, address, wanted)
}

/// Asks over a connection, which can be used further; returns how many bytes the answer has.
pub(crate) fn ask(
    stream: &mut TcpStream,
    address: &str,
    wanted: &Answer,
) -> Result<usize, Failure> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // In one piece, as wrk sends it.
    let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n\r\n", wanted.path);
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= wanted.body.len()
        {
            if !is_wanted(head, body, wanted) {
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

fn is_wanted(head: &str, body: &str, wanted: &Answer) -> bool {
    let head = head.to_ascii_lowercase();
    let has = |name: &str, value: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(found, text)| found == name && text.trim().starts_with(value))
    };
    head.starts_with("http/1.1 200")
        && body == wanted.body
        && has("content-length", &wanted.body.len().to_string())
        && has("content-type", wanted.content_type)
        && has("date", "")
}

#[cfg(test)]
mod tests {
    use super::super::answers::PLAIN;
    use super::is_wanted;

    #[test]
    fn an_answer_that_lacks_something_is_not_wanted() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Length: 13\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT";
        assert!(is_wanted(head, PLAIN.body, &PLAIN));
        assert!(!is_wanted(head, "Hello, Moon!!", &PLAIN));
        assert!(!is_wanted(&head.replace("200", "404"), PLAIN.body, &PLAIN));
        assert!(!is_wanted(&head.replace("13", "12"), PLAIN.body, &PLAIN));
        assert!(!is_wanted(&head.replace("Date", "Day"), PLAIN.body, &PLAIN));
    }
}
