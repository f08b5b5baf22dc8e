//! Connections that made one request each, and stay open: what one costs the server in memory.

use super::answers::Answer;
use super::{Failure, client};
use mainspring_benches::process::Pinned;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// Connections from one address: well below the ports that the kernel hands out by default.
const PER_ADDRESS: usize = 10_000;
/// Descriptors for everything else.
const SPARE: usize = 64;

/// How much the server's resident memory grows per connection, in bytes.
pub(crate) fn bytes_per_connection(
    server: Pinned,
    address: &str,
    connections: usize,
    descriptors: u64,
    wanted: &Answer,
) -> Result<f64, Failure> {
    if descriptors < (connections + SPARE) as u64 {
        return Err(format!(
            "{connections} connections need more than the {descriptors} descriptors that a \
             process may have: raise the hard limit (ulimit -Hn), or ask for fewer"
        )
        .into());
    }
    let before = server.resident()?;
    let mut idle = Vec::with_capacity(connections);
    for index in 0..connections {
        let mut stream = open(index, address)?;
        client::ask(&mut stream, address, wanted)?;
        idle.push(stream);
    }
    // What the server does after its answers is part of it: give it time to be done.
    std::thread::sleep(Duration::from_millis(500));
    let after = server.resident()?;
    let closed = idle.iter().filter(|stream| !is_open(stream)).count();
    if closed > 0 {
        return Err(format!("{closed} of {connections} idle connections were closed").into());
    }
    // The side that closes first keeps the address and port for a minute: that should be the
    // server, whose port is new each time.
    drop(server);
    drop(idle);
    Ok((after as f64 - before as f64) / connections as f64)
}

fn open(index: usize, address: &str) -> Result<TcpStream, Failure> {
    let last = u8::try_from(1 + index / PER_ADDRESS)
        .map_err(|_| format!("more than {} connections", PER_ADDRESS * 255))?;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0))?;
    connect(&socket, &address.parse::<SocketAddrV4>()?)?;
    Ok(TcpStream::from(socket))
}

/// Nothing to read and no end: the server waits for a request.
fn is_open(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    matches!(peeked.map_err(|error: io::Error| error.kind()), Err(ErrorKind::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_connection_that_the_server_ended_is_not_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (first, second) = (open(0, &address).unwrap(), open(PER_ADDRESS, &address).unwrap());
        assert_eq!(first.local_addr().unwrap().ip(), Ipv4Addr::new(127, 0, 0, 1));
        assert_eq!(second.local_addr().unwrap().ip(), Ipv4Addr::new(127, 0, 0, 2));
        let kept = listener.accept().unwrap();
        drop(listener.accept().unwrap());
        // The end takes its time, even here.
        for _ in 0..1000 {
            if !is_open(&second) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(is_open(&first));
        assert!(!is_open(&second));
        drop(kept);
    }
}
