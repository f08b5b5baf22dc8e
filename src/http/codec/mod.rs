//! HTTP/1.1 framing without I/O: bytes in, events out.
