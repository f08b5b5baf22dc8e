//! A server without descriptors: it serves on, does not spin, and accepts again later.
//!
//! The server runs in a child process, which is this test run again with a variable set, so that
//! its limit is its own.
#![cfg(all(target_os = "linux", not(loom)))]

use mainspring::Runtime;
use mainspring::http::{Request, Router, RunError, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "MAINSPRING_TEST_SERVER";
const WATCHDOG: Duration = Duration::from_secs(20);

/// Descriptors that the server may have on one thread: those it starts with, and a few for connections;
/// twice as many with three workers.
const DESCRIPTORS: u64 = 24;

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The runtimes that the server runs on.
const LOCAL: &str = "local";
const THREE_WORKERS: &str = "three workers";

fn allow_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), ..limit }).unwrap();
}

/// What the child does.
fn serve(runtime: &str) {
    let app = Router::new().get("/", |_req: Request| async { "hello" });
    let server = Server::builder().addr("127.0.0.1:0").build(app).unwrap();
    println!("\nlistening on {}", server.local_addr());
    if runtime == LOCAL {
        allow_descriptors(DESCRIPTORS);
        mainspring::block_on(server.run()).unwrap();
    } else {
        let rt = Runtime::builder().worker_threads(3).build().unwrap();
        allow_descriptors(2 * DESCRIPTORS);
        rt.block_on(server.run()).unwrap();
    }
}

fn get(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).expect("an answer"), 1);
        answer.push(byte[0]);
    }
}

fn cpu_time(child: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

#[test]
fn a_server_without_descriptors_serves_on_and_recovers() {
    if let Ok(runtime) = std::env::var(CHILD) {
        return serve(&runtime);
    }
    for runtime in [LOCAL, THREE_WORKERS] {
        recovers(runtime);
    }
}

fn recovers(runtime: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads=1", "a_server_without_descriptors"])
        .env(CHILD, runtime)
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = KillOnDrop(child);
    let output = BufReader::new(child.0.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.starts_with("listening on "));
    let addr = line.unwrap().split_whitespace().next_back().unwrap().to_owned();

    let mut first = TcpStream::connect(&addr).unwrap();
    get(&mut first);
    // More than the server can accept; those beyond wait in the kernel.
    let others: Vec<_> = (0..4 * DESCRIPTORS).map(|_| TcpStream::connect(&addr).unwrap()).collect();
    let (before, start) = (cpu_time(&child.0), Instant::now());
    for _ in 0..20 {
        get(&mut first);
        std::thread::sleep(Duration::from_millis(50));
    }
    let used = cpu_time(&child.0) - before;
    assert!(used < start.elapsed() / 4, "{used:?} of CPU while it could accept nothing");
    drop(others);
    let mut last = TcpStream::connect(&addr).unwrap();
    get(&mut last);
    get(&mut first);
}

#[test]
fn a_worker_without_a_socket_is_an_error() {
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--test-threads=1", "a_worker_without_a_socket"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        return assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }
    let rt = Runtime::builder().worker_threads(3).build().unwrap();
    let server = Server::builder().addr("127.0.0.1:0").build(Router::new()).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    let next = std::fs::File::open("/dev/null").unwrap();
    // One more, and not two.
    allow_descriptors(u64::try_from(next.as_raw_fd()).unwrap() + 1);
    drop(next);
    let error = rt.block_on(server.run()).unwrap_err();
    match &error {
        RunError::Listen { addr: told, source } => {
            assert_eq!((*told, source.raw_os_error()), (addr, Some(libc::EMFILE)));
        }
        other => panic!("{other}"),
    }
    assert_eq!(handle.metrics().listeners, 0);
    assert!(TcpStream::connect(addr).is_err());
}
