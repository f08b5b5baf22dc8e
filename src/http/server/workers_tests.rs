//! A server whose runtime says that it has three workers: all runs on one thread, but the sockets,
//! the tasks that accept and the end are those of three.

use super::{BuildError, Drained, RunError, Server, ServerBuilder, ServerHandle};
use crate::context::{self, Outside};
use crate::http::{Request, Router};
use crate::primitives::Mutex;
use crate::task::{Placement, Runnable, Spawn};
use crate::time::timeout;
use crate::{LocalRuntime, sync::Event};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const WORKERS: usize = 3;
/// Far beyond what any of these takes: a hang shows as an error of the client.
const WATCHDOG: Duration = Duration::from_secs(20);

/// Where tasks were placed.
type Shards = Arc<Mutex<Vec<usize>>>;

struct ThreeWorkers {
    inner: Arc<dyn Spawn>,
    shards: Shards,
}

impl Spawn for ThreeWorkers {
    fn place(&self) -> Placement {
        self.inner.place()
    }

    fn submit(&self, task: Runnable) {
        self.inner.submit(task);
    }

    fn submit_on(&self, shard: usize, task: Runnable) {
        assert!(shard < WORKERS);
        self.shards.lock().push(shard);
        self.inner.submit(task);
    }

    fn workers(&self) -> usize {
        WORKERS
    }
}

/// Runs `future` where there seem to be three workers.
fn block_on<T>(shards: &Shards, future: impl Future<Output = T>) -> T {
    let shards = Arc::clone(shards);
    LocalRuntime::builder().build().unwrap().block_on(async move {
        let current = context::current().unwrap();
        let spawn = Arc::new(ThreeWorkers { inner: Arc::clone(&current.spawn), shards });
        let outside = Outside { spawn, ..current.outside() };
        let _entered = outside.enter(Arc::clone(&current.executor));
        future.await
    })
}

struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    thread: thread::JoinHandle<Result<Drained, RunError>>,
    shards: Shards,
}

impl Running {
    fn start(server: Server) -> Self {
        let (addr, handle, shards) = (server.local_addr(), server.handle(), Shards::default());
        let its = Arc::clone(&shards);
        let thread = thread::spawn(move || block_on(&its, server.run()));
        Self { addr, handle, thread, shards }
    }

    /// Begins a request for `path` on a connection of its own.
    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream
    }

    fn end(self) -> Drained {
        self.handle.shutdown(WATCHDOG);
        self.thread.join().unwrap().unwrap()
    }
}

fn build(builder: ServerBuilder) -> Server {
    builder.addr("127.0.0.1:0").build(hello()).unwrap()
}

fn hello() -> Router {
    Router::new().get("/", |_req: Request| async { "hello" })
}

/// A route that keeps the thread until the sender is gone.
fn blocking(router: Router) -> (Router, mpsc::Sender<()>) {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let router = router.get("/block", move |_req: Request| {
        let _ = blocked.lock().recv_timeout(WATCHDOG);
        async { "blocked" }
    });
    (router, release)
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server closes the connection");
    answer
}

/// Each is answered with `text`, in whatever order; who has its answer closes.
fn all_end_with(text: &str, streams: Vec<TcpStream>) {
    thread::scope(|scope| {
        for stream in streams {
            scope.spawn(|| assert!(rest(stream).ends_with(text)));
        }
    });
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "it did not happen");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Listening sockets of the kernel at the port of `addr`.
#[cfg(target_os = "linux")]
fn listening_at(addr: SocketAddr) -> usize {
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", addr.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_one = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some(LISTEN)
    };
    sockets.lines().filter(is_one).count()
}

fn is_taken(error: BuildError) -> bool {
    matches!(error, BuildError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse)
}

#[cfg(target_os = "linux")]
#[test]
fn each_worker_has_a_socket_at_the_same_port() {
    let server = build(Server::builder());
    let addr = server.local_addr();
    assert_eq!((server.handle().metrics().listeners, listening_at(addr)), (1, 1));
    let server = Running::start(server);
    wait_until(|| server.shards.lock().len() == WORKERS);
    assert_eq!(*server.shards.lock(), [0, 1, 2], "a task for each");
    assert_eq!((server.handle.metrics().listeners, listening_at(addr)), (WORKERS, WORKERS));
    all_end_with("hello", (0..200).map(|_| server.ask("/")).collect());
    let accepted = server.handle.accepted();
    assert_eq!((accepted.len(), accepted.iter().sum::<u64>()), (WORKERS, 200));
    assert!(accepted.iter().all(|&count| count > 0), "{accepted:?}");
    assert_eq!(*server.shards.lock(), [0, 1, 2], "connections stay where they came");
    let handle = server.handle.clone();
    assert_eq!(server.end().served, 200);
    assert_eq!((handle.metrics().listeners, listening_at(addr)), (0, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn both_families_come_to_all_sockets() {
    let server = Server::builder().addr("[::]:0").build(hello()).unwrap();
    let mut server = Running::start(server);
    wait_until(|| server.handle.metrics().listeners == WORKERS);
    for host in [[127, 0, 0, 1].into(), std::net::IpAddr::V6([0, 0, 0, 0, 0, 0, 0, 1].into())] {
        server.addr.set_ip(host);
        all_end_with("hello", (0..100).map(|_| server.ask("/")).collect());
    }
    assert!(server.handle.accepted().iter().all(|&count| count > 0));
    let addr = SocketAddr::from(([0, 0, 0, 0], server.addr.port()));
    assert!(is_taken(Server::builder().addr(addr.to_string()).build(hello()).unwrap_err()));
    server.end();
}

#[test]
fn a_second_server_at_the_address_fails_while_the_first_runs_and_before() {
    let server = build(Server::builder());
    let addr = server.local_addr().to_string();
    let again = || Server::builder().addr(&addr).build(hello());
    assert!(is_taken(again().unwrap_err()));
    let server = Running::start(server);
    wait_until(|| server.handle.metrics().listeners == WORKERS);
    assert!(is_taken(again().unwrap_err()));
    all_end_with("hello", (0..20).map(|_| server.ask("/")).collect());
    server.end();
    // What is left of its connections (`TIME_WAIT`) does not keep the address from the next server.
    again().unwrap();
}

#[test]
fn of_servers_that_are_built_at_the_same_time_at_most_one_has_the_address() {
    const SERVERS: usize = 4;
    for _ in 0..50 {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let start = Barrier::new(SERVERS);
        let built = || {
            start.wait();
            let server = Server::builder().addr(&addr).build(hello());
            // Nobody leaves before all have tried.
            start.wait();
            server.map(drop)
        };
        let ended: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(built)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ended.iter().filter(|built| built.is_ok()).count() <= 1, "{ended:?}");
    }
}

#[test]
fn the_end_loses_no_connection_that_any_socket_had() {
    let (router, release) = blocking(hello());
    let server = Server::builder().addr("127.0.0.1:0").build(router).unwrap();
    let server = Running::start(server);
    let first = server.ask("/block");
    wait_until(|| server.handle.metrics().in_flight == 1);
    let waiting: Vec<_> = (0..100).map(|_| server.ask("/")).collect();
    assert_eq!(server.handle.accepted().iter().sum::<u64>(), 1, "all of them wait in the kernel");
    server.handle.shutdown(WATCHDOG);
    drop(release);
    assert!(rest(first).ends_with("blocked"));
    all_end_with("hello", waiting);
    let accepted = server.handle.accepted();
    let drained = server.end();
    assert_eq!((drained.served, drained.cut_off), (101, 0), "{accepted:?}");
}

#[test]
fn the_only_place_is_for_whoever_comes_wherever() {
    let (router, release) = blocking(hello());
    let server = Server::builder().addr("127.0.0.1:0").max_connections(1).build(router).unwrap();
    let server = Running::start(server);
    for _ in 0..30 {
        assert!(rest(server.ask("/")).ends_with("hello"));
    }
    all_end_with("hello", (0..30).map(|_| server.ask("/")).collect());
    assert!(server.handle.metrics().accept_pauses > 0);
    // And at the end.
    let first = server.ask("/block");
    wait_until(|| server.handle.metrics().in_flight == 1);
    let waiting: Vec<_> = (0..30).map(|_| server.ask("/")).collect();
    server.handle.shutdown(WATCHDOG);
    drop(release);
    assert!(rest(first).ends_with("blocked"));
    all_end_with("hello", waiting);
    assert_eq!(server.end().served, 91);
}

#[test]
fn there_are_never_more_connections_than_places_and_no_fewer_are_had() {
    const PLACES: usize = 4;
    let open = Arc::new(Event::new());
    let its = Arc::clone(&open);
    let router = hello().get("/wait", move |_req: Request| {
        let open = Arc::clone(&its);
        async move {
            open.wait().await;
            "waited"
        }
    });
    let builder = Server::builder().addr("127.0.0.1:0").max_connections(PLACES);
    let server = Running::start(builder.build(router).unwrap());
    // One place is always free: nobody has to wait for one.
    for _ in 0..PLACES - 2 {
        let stream = server.ask("/");
        wait_until(|| server.handle.connections() <= 1);
        assert!(rest(stream).ends_with("hello"));
        wait_until(|| server.handle.connections() == 0);
    }
    assert_eq!(server.handle.metrics().accept_pauses, 0);
    let streams: Vec<_> = (0..30).map(|_| server.ask("/wait")).collect();
    wait_until(|| server.handle.metrics().in_flight == PLACES);
    thread::sleep(Duration::from_millis(20));
    assert_eq!((server.handle.connections(), server.handle.metrics().in_flight), (PLACES, PLACES));
    open.set();
    all_end_with("waited", streams);
    server.end();
}

#[test]
fn dropping_the_run_ends_the_listening_at_once() {
    let server = build(Server::builder());
    let (addr, handle) = (server.local_addr(), server.handle());
    block_on(&Shards::default(), async {
        let run = timeout(Duration::from_millis(20), server.run());
        assert!(run.await.is_err());
        // No other task has been polled since.
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(TcpListener::bind(addr).is_ok());
        crate::yield_now().await;
        assert_eq!(handle.metrics().listeners, 0);
    });
}

#[test]
fn an_end_before_the_start_closes_all_sockets() {
    let server = build(Server::builder().on_start(std::future::pending::<Result<(), String>>));
    let addr = server.local_addr();
    let server = Running::start(server);
    wait_until(|| server.handle.metrics().listeners == WORKERS);
    assert_eq!(*server.shards.lock(), [0; 0], "nobody accepts before the start");
    let handle = server.handle.clone();
    server.end();
    assert_eq!(handle.metrics().listeners, 0);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn one_socket_that_fails_ends_the_server() {
    let server = build(Server::builder());
    let first = server.listener.socket.as_fd().try_clone_to_owned().unwrap();
    let server = Running::start(server);
    wait_until(|| server.shards.lock().len() == WORKERS);
    rustix::net::shutdown(first, rustix::net::Shutdown::Both).unwrap();
    let error = server.thread.join().unwrap().unwrap_err();
    assert!(matches!(error, RunError::Accept(_)), "{error}");
    assert!(TcpStream::connect(server.addr).is_err());
    assert_eq!(server.handle.metrics().listeners, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_address_cannot_be_shared_workers_get_connections_in_turn() {
    // It does not listen, so it is in nobody's way at first.
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    other.set_reuse_address(true).unwrap();
    other.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let addr = other.local_addr().unwrap().as_socket().unwrap();
    let server = Server::builder().addr(addr.to_string()).build(hello()).unwrap();
    // From now on it does not share the address.
    SockRef::from(&other).set_reuse_address(false).unwrap();
    let server = Running::start(server);
    all_end_with("hello", (0..6).map(|_| server.ask("/")).collect());
    assert_eq!(*server.shards.lock(), [0, 0, 1, 2, 0, 1, 2], "who accepts, and the connections");
    assert_eq!((server.handle.metrics().listeners, server.handle.accepted()), (1, vec![6]));
    assert_eq!(server.end().served, 6);
}
