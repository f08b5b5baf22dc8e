//! The barest server: an epoll loop that answers each end of a head with the same bytes.
//!
//! It parses nothing, so no server that does its duty can be below it: it tells JSON from text by
//! the first bytes of what it read. What it shares with the others is what the kernel asks of
//! each (wait, read, write), and to serialise JSON per request.

use super::answers::{Answer, JSON, Message, PLAIN};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Instant, SystemTime};

const LISTENER: u64 = u64::MAX;

pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    let mut answers = Heads::new();
    // The same for all: what is in it is sent before the next is read.
    let mut unsent = Vec::new();
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        answers.refresh();
        for event in events.drain(..) {
            let key = event.data.u64();
            if key == LISTENER {
                accept(listener, &mut connections, |stream, key| {
                    let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
                    epoll::add(&epoll, stream, EventData::new_u64(key), flags)?;
                    Ok(())
                })?;
            } else if let Ok(at) = usize::try_from(key)
                && let Some(slot) = connections.get_mut(at)
                && let Some(connection) = slot
                && !connection.serve(&answers, &mut unsent)
            {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    connections: &mut Vec<Option<Connection>>,
    register: impl Fn(&TcpStream, u64) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let free = connections.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        register(&stream, at as u64)?;
        connections[at] = Some(Connection { stream, matched: 0 });
    }
}

struct Connection {
    stream: TcpStream,
    /// How much of the end of a head has been seen.
    matched: usize,
}

impl Connection {
    /// Answers what has arrived; `false` if the connection is over.
    fn serve(&mut self, answers: &Heads, unsent: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    unsent.clear();
                    let json = buffer.starts_with(b"GET /json ");
                    for _ in 0..self.heads(&buffer[..count]) {
                        if !answers.write(json, unsent) {
                            return false;
                        }
                    }
                    if self.stream.write_all(unsent).is_err() {
                        return false;
                    }
                    if count < buffer.len() {
                        return true;
                    }
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// How many heads end in `data`.
    fn heads(&mut self, data: &[u8]) -> usize {
        const END: &[u8] = b"\r\n\r\n";
        let mut heads = 0;
        for &byte in data {
            self.matched = match byte {
                byte if byte == END[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == END.len() {
                self.matched = 0;
                heads += 1;
            }
        }
        heads
    }
}

/// What stands before the bodies, with a date that is at most a second old.
struct Heads {
    plain: Vec<u8>,
    json: Vec<u8>,
    made: Instant,
}

impl Heads {
    fn new() -> Self {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let head = |answer: &Answer| {
            let (content_type, length) = (answer.content_type, answer.body.len());
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
                 date: {date}\r\n\r\n"
            );
            text.into_bytes()
        };
        Self { plain: head(&PLAIN), json: head(&JSON), made: Instant::now() }
    }

    fn refresh(&mut self) {
        if self.made.elapsed().as_secs() >= 1 {
            *self = Self::new();
        }
    }

    /// Appends an answer; `false` if it cannot be made.
    fn write(&self, json: bool, to: &mut Vec<u8>) -> bool {
        if json {
            to.extend_from_slice(&self.json);
            return serde_json::to_writer(to, &Message::new()).is_ok();
        }
        to.extend_from_slice(&self.plain);
        to.extend_from_slice(PLAIN.body.as_bytes());
        true
    }
}
