//! What can be connected to: addresses, and names that stand for some.

use crate::context;
use crate::offload::spawn_blocking;
use std::io;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _,
};

/// One or more socket addresses, or a name that stands for them.
///
/// Strings are `HOST:PORT`, where the host is a name, an IPv4 address, or an IPv6 address in
/// brackets. A name is asked for (`getaddrinfo(3)`) on a thread of the runtime's pool for work that
/// blocks; what is written in numbers needs none.
///
/// # Examples
///
/// ```
/// use mainspring::net::{ToSocketAddrs, lookup_host};
/// use std::net::Ipv6Addr;
///
/// # async fn same(first: impl ToSocketAddrs, second: impl ToSocketAddrs) -> std::io::Result<()> {
/// #     assert_eq!(lookup_host(first).await?, lookup_host(second).await?);
/// #     Ok(())
/// # }
/// # mainspring::block_on(async {
/// same("[::1]:80", (Ipv6Addr::LOCALHOST, 80)).await?;
/// same("127.0.0.1:80", ([127, 0, 0, 1], 80)).await?;
/// same(("localhost", 80), "localhost:80").await?;
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub trait ToSocketAddrs: sealed::Sealed {}

impl<T: sealed::Sealed> ToSocketAddrs for T {}

/// The addresses that `host` stands for, in the order in which they are best tried.
///
/// Names are asked for in the pool for work that blocks; see [`ToSocketAddrs`].
///
/// # Errors
///
/// `InvalidInput` if it is not `HOST:PORT`, `NotFound` if the name has no addresses; what
/// `getaddrinfo` says; and for a name, that there is no runtime, or that it ends.
///
/// # Cancel safety
///
/// Dropping the future gives up; a thread that has begun to ask goes on until it has its answer.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// for address in mainspring::net::lookup_host("localhost:80").await? {
///     assert!(address.ip().is_loopback());
/// }
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let found = match host.target()? {
        Target::One(address) => vec![address],
        Target::Many(addresses) => addresses,
        Target::Name(name, port) => ask(name, port).await?,
    };
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no address to go to"));
    }
    Ok(found)
}

async fn ask(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    if context::current().is_err() {
        let remedy =
            "no runtime is here to resolve a name: await it inside block_on or a spawned task";
        return Err(io::Error::other(remedy));
    }
    let found = spawn_blocking(move || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    found.await.map_err(io::Error::other)?
}

use sealed::Target;

pub(super) mod sealed {
    use std::io;
    use std::net::SocketAddr;

    pub trait Sealed {
        fn target(self) -> io::Result<Target>;
    }

    #[derive(Debug, PartialEq, Eq)]
    pub enum Target {
        One(SocketAddr),
        Many(Vec<SocketAddr>),
        Name(String, u16),
    }
}

/// `HOST:PORT`.
fn parse(text: &str) -> io::Result<Target> {
    if let Ok(address) = text.parse() {
        return Ok(Target::One(address));
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() && !host.contains([':', '[', ']']) => {
            Ok(named(host, port))
        }
        _ => {
            let reason = format!("`{text}` is not an address: write HOST:PORT, or [IPv6]:PORT");
            Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
        }
    }
}

fn named(host: &str, port: u16) -> Target {
    match host.parse::<IpAddr>() {
        Ok(ip) => Target::One(SocketAddr::new(ip, port)),
        Err(_) => Target::Name(host.to_owned(), port),
    }
}

macro_rules! targets {
    ($($type:ty: $this:ident => $target:expr;)*) => {$(
        impl sealed::Sealed for $type {
            fn target(self) -> io::Result<Target> {
                let $this = self;
                $target
            }
        }
    )*};
}

targets! {
    SocketAddr: this => Ok(Target::One(this));
    &SocketAddr: this => Ok(Target::One(*this));
    SocketAddrV4: this => Ok(Target::One(this.into()));
    SocketAddrV6: this => Ok(Target::One(this.into()));
    (IpAddr, u16): this => Ok(Target::One(this.into()));
    (Ipv4Addr, u16): this => Ok(Target::One(this.into()));
    (Ipv6Addr, u16): this => Ok(Target::One(this.into()));
    ([u8; 4], u16): this => Ok(Target::One(this.into()));
    ([u16; 8], u16): this => Ok(Target::One(this.into()));
    &[SocketAddr]: this => Ok(Target::Many(this.to_vec()));
    &Vec<SocketAddr>: this => Ok(Target::Many(this.clone()));
    Vec<SocketAddr>: this => Ok(Target::Many(this));
    &str: this => parse(this);
    &String: this => parse(this);
    String: this => parse(&this);
    (&str, u16): this => Ok(named(this.0, this.1));
    (&String, u16): this => Ok(named(this.0, this.1));
    (String, u16): this => Ok(named(&this.0, this.1));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::sealed::{Sealed, Target};
    use std::io;

    fn one(address: &str) -> Target {
        Target::One(address.parse().unwrap())
    }

    #[test]
    fn numbers_are_addresses_and_the_rest_are_names() {
        assert_eq!("127.0.0.1:80".target().unwrap(), one("127.0.0.1:80"));
        assert_eq!("[::1]:80".target().unwrap(), one("[::1]:80"));
        assert_eq!(("::1", 80).target().unwrap(), one("[::1]:80"));
        assert_eq!("a.example:80".target().unwrap(), Target::Name("a.example".to_owned(), 80));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_remedy() {
        for text in
            ["", "host", ":80", "host:", "host:65536", "host:x", "::1:80", "[::1]", "[::1:80"]
        {
            let error = text.target().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains("HOST:PORT"), "{error}");
        }
    }
}
