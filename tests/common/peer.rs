//! Connections whose other end a thread of the test has.

use mainspring::Runtime;
use mainspring::net::TcpStream;
use std::io::{Read, Write};

pub(crate) fn connection(rt: &Runtime) -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _entered = rt.enter();
    (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), peer)
}

/// Sends bytes, of which each is answered.
pub(crate) fn ask(peer: &mut std::net::TcpStream, times: u8) {
    for n in 0..times {
        peer.write_all(&[n]).unwrap();
        let mut answer = [0];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [n]);
    }
}
