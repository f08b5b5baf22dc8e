//! A bare epoll loop: one `read` and one `write` per event.

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::workload::Workload;
use crate::workloads::echo::under_load;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

const LISTENER: u64 = u64::MAX;

/// Serves until the load has ended, which ends the process.
pub(super) fn serve(workload: Workload, plan: Plan) -> io::Result<Metrics> {
    let echo = workload.echo().ok_or(io::ErrorKind::InvalidInput)?;
    let listener = under_load(echo, plan);
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poller, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = Vec::new();
    let mut buffer = vec![0; echo.message.max(4096)];
    let mut events = Vec::with_capacity(1024);
    loop {
        events.clear();
        epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            match event.data.u64() {
                LISTENER => accept(&listener, &poller, &mut connections)?,
                index => {
                    let connection: &mut Connection = &mut connections[index as usize];
                    if !connection.go_on(&poller, event.data, &mut buffer)? {
                        epoll::delete(&poller, &connection.stream)?;
                    }
                }
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poller: &OwnedFd,
    connections: &mut Vec<Connection>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let index = connections.len() as u64;
        epoll::add(poller, &stream, EventData::new_u64(index), EventFlags::IN)?;
        connections.push(Connection { stream, left: Vec::new() });
    }
}

struct Connection {
    stream: TcpStream,
    /// What could not be written yet; nothing more is read until it is.
    left: Vec<u8>,
}

impl Connection {
    /// Whether it is open still.
    fn go_on(&mut self, poller: &OwnedFd, data: EventData, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.left.is_empty() {
            let Some(count) = unless_blocked(self.stream.write(&self.left)) else {
                return Ok(false);
            };
            self.left.drain(..count);
            if self.left.is_empty() {
                epoll::modify(poller, &self.stream, data, EventFlags::IN)?;
            }
            return Ok(true);
        }
        let count = match self.stream.read(buffer) {
            Ok(0) => return Ok(false),
            read => unless_blocked(read),
        };
        let Some(count) = count else { return Ok(false) };
        if count == 0 {
            return Ok(true);
        }
        let Some(written) = unless_blocked(self.stream.write(&buffer[..count])) else {
            return Ok(false);
        };
        if written < count {
            self.left.extend_from_slice(&buffer[written..count]);
            epoll::modify(poller, &self.stream, data, EventFlags::OUT)?;
        }
        Ok(true)
    }
}

/// How many bytes passed; `None` if the connection has failed.
fn unless_blocked(result: io::Result<usize>) -> Option<usize> {
    match result {
        Ok(count) => Some(count),
        Err(error) => (error.kind() == io::ErrorKind::WouldBlock).then_some(0),
    }
}
