//! The load of the echo servers: a bare epoll loop in a process of its own, the same for all.

use crate::Failure;
use crate::clock::pin;
use crate::metrics::{Metric, Metrics};
use crate::workload::Echo;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the load runs before it measures.
const WARM_UP: Duration = Duration::from_millis(150);
const BEGIN: &str = "begin";

/// What to load, with what, for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) echo: Echo,
    pub(crate) time: Duration,
}

/// What a load saw; latencies in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) operations: u64,
    pub(crate) time: Duration,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// Runs a load in another process; `begun` is called when it begins to measure.
pub(crate) fn start(load: &Load, mut begun: impl FnMut()) -> io::Result<Ended> {
    let Load { address, echo, time } = load;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("load")
        .arg(address.to_string())
        .args([echo.connections, echo.message].map(|number| number.to_string()))
        .arg(time.as_millis().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut ended = Ended::default();
    let mut text = String::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        match line.split_once(' ') {
            None if line == BEGIN => begun(),
            Some(("operations", count)) => ended.operations = count.parse().unwrap_or(0),
            Some(("nanoseconds", time)) => {
                ended.time = Duration::from_nanos(time.parse().unwrap_or(0));
                break;
            }
            _ => text.extend([&line, "\n"]),
        }
    }
    for (metric, value) in Metrics::parse(&text).values() {
        match metric {
            Metric::P50Ns => ended.p50 = value,
            Metric::P99Ns => ended.p99 = value,
            Metric::MaxNs => ended.max = value,
            _ => {}
        }
    }
    match ended.operations {
        0 => Err(io::Error::other("the load ended early")),
        _ => Ok(ended),
    }
}

/// Is that process.
pub(crate) fn run(load: &Load) -> Result<(), Failure> {
    pin(&[1])?;
    let Echo { connections, message } = load.echo;
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    let mut clients = Vec::new();
    for index in 0..connections {
        let stream = TcpStream::connect(load.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&poller, &stream, EventData::new_u64(index as u64), flags)?;
        clients.push(Client::new(stream));
    }
    let data = vec![7; message];
    let mut scratch = vec![0; message];
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut begun = None;
    for client in &mut clients {
        client.send(&data)?;
    }
    let mut events = Vec::with_capacity(1024);
    let time = loop {
        events.clear();
        epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let client = &mut clients[usize::try_from(event.data.u64())?];
            client.go_on(&data, &mut scratch, &mut latencies)?;
        }
        match begun {
            None if start.elapsed() >= WARM_UP => {
                latencies.clear();
                println!("{BEGIN}");
                begun = Some(Instant::now());
            }
            Some(begun) if begun.elapsed() >= load.time => break begun.elapsed(),
            _ => {}
        }
    };
    // First, because whoever reads it looks at the time of the server then.
    let operations = latencies.len();
    print!("operations {operations}\n{}", Metrics::default().with_latencies(latencies).print());
    println!("nanoseconds {}", time.as_nanos());
    Ok(())
}

/// A connection, with one message under way.
struct Client {
    stream: TcpStream,
    sent_at: Instant,
    sent: usize,
    received: usize,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self { stream, sent_at: Instant::now(), sent: 0, received: 0 }
    }

    /// Writes and reads until neither goes on, or until the next message is under way: its answer will
    /// be an event of its own.
    fn go_on(
        &mut self,
        data: &[u8],
        scratch: &mut [u8],
        latencies: &mut Vec<Duration>,
    ) -> io::Result<()> {
        self.send(data)?;
        while self.received < data.len() {
            match self.stream.read(&mut scratch[self.received..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        latencies.push(self.sent_at.elapsed());
        (self.sent, self.received) = (0, 0);
        self.send(data)
    }

    fn send(&mut self, data: &[u8]) -> io::Result<()> {
        if self.sent == 0 {
            self.sent_at = Instant::now();
        }
        while self.sent < data.len() {
            match self.stream.write(&data[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
