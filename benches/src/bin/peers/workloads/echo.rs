//! A TCP echo server under the load of another process.

use crate::child;
use crate::clock::{cpu_time, nanos};
use crate::load::{self, Load};
use crate::metrics::{Metric, Metrics};
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::workload::{Echo, Workload};
use std::net::TcpListener;
use std::time::Duration;

/// How many bytes a server reads at most at a time.
fn buffer(echo: Echo) -> usize {
    echo.message.max(4096)
}

/// Serves until the load has ended, which ends the process.
pub(super) async fn echo<R: Runtime>(workload: Workload, plan: Plan) -> Metrics {
    let echo = workload.echo().expect("a workload with sockets");
    let listener = under_load(echo, plan);
    R::serve_echo(listener, buffer(echo)).await.expect("the server runs");
    Metrics::default()
}

/// A listener, non-blocking, that another process is about to load from CPU 1. A thread of this
/// process looks at its CPU time when that process begins to measure and when it ends, and then prints
/// and ends this process.
pub(crate) fn under_load(echo: Echo, plan: Plan) -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    let address = listener.local_addr().expect("a bound socket has an address");
    let load = Load { address, echo, time: plan.time.max(Duration::from_millis(50)) * 4 };
    std::thread::spawn(move || {
        let mut at_begin = Duration::ZERO;
        let ended = load::start(&load, || at_begin = cpu_time()).expect("the load runs");
        let cpu = nanos(cpu_time() - at_begin) / ended.operations as f64;
        let metrics = Metrics::default().with(Metric::CpuNs, cpu);
        let wall = nanos(ended.time) / ended.operations as f64;
        let metrics = metrics.with(Metric::WallNs, wall);
        let metrics = metrics.with(Metric::P50Ns, ended.p50).with(Metric::P99Ns, ended.p99);
        child::finish(&metrics.with(Metric::MaxNs, ended.max));
    });
    listener
}
