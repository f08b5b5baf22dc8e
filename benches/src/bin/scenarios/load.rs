//! Loads: so many at once until all are done, and so many a second whatever becomes of them.

use crate::client::{Answer, Kept, get};
use mainspring::time::{interval, sleep};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What became of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) wall: Duration,
    pub(crate) answers: Vec<Answer>,
    pub(crate) errors: BTreeMap<String, usize>,
}

impl Outcome {
    fn add(&mut self, result: io::Result<Answer>) {
        match result {
            Ok(answer) => self.answers.push(answer),
            Err(error) => *self.errors.entry(error.kind().to_string()).or_default() += 1,
        }
    }

    pub(crate) fn with_status(&self, status: u16) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(move |answer| answer.status == status)
    }

    pub(crate) fn count(&self, status: u16) -> usize {
        self.with_status(status).count()
    }

    /// The time within which so many of a hundred answers of `status` came, at the least.
    pub(crate) fn percentile(&self, status: u16, percent: usize) -> Duration {
        let mut times: Vec<_> = self.with_status(status).map(|answer| answer.took).collect();
        times.sort_unstable();
        let count = (times.len() * percent).div_ceil(100);
        times.get(count.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// `total` requests, `at_once` at a time, each on a connection of its own, as `ab` does.
pub(crate) async fn closed(
    server: SocketAddr,
    total: usize,
    at_once: usize,
    path: impl Fn(usize) -> String,
) -> Outcome {
    let start = Instant::now();
    let paths: Vec<String> = (0..total).rev().map(path).collect();
    let paths = Rc::new(RefCell::new(paths));
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let clients: Vec<_> = (0..at_once)
        .map(|_| {
            let (paths, outcome) = (Rc::clone(&paths), Rc::clone(&outcome));
            mainspring::spawn_local(async move {
                loop {
                    let next = paths.borrow_mut().pop();
                    let Some(path) = next else { return };
                    let result = get(server, &path).await;
                    outcome.borrow_mut().add(result);
                }
            })
        })
        .collect();
    for client in clients {
        let _ = client.await;
    }
    let mut outcome = outcome.take();
    outcome.wall = start.elapsed();
    outcome
}

/// `per_second` requests a second over kept connections, for `time`, whether they are answered or
/// not; each is measured from the moment at which it was due, so that a delay of this client shows
/// and hides none of the server's. What is still to be answered after `time` belongs to the load.
pub(crate) async fn open(
    server: SocketAddr,
    per_second: u32,
    time: Duration,
    path: &'static str,
) -> Outcome {
    const TICK: Duration = Duration::from_millis(1);
    let start = Instant::now();
    let idle: Rc<RefCell<Vec<(Kept, Instant)>>> = Rc::default();
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let running = Rc::new(RefCell::new(0usize));
    let mut ticks = interval(TICK);
    let mut sent = 0;
    while start.elapsed() < time {
        ticks.tick().await;
        let due = (start.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        for n in sent..due {
            let (idle, outcome) = (Rc::clone(&idle), Rc::clone(&outcome));
            let running = Rc::clone(&running);
            *running.borrow_mut() += 1;
            let was_due = start + Duration::from_secs_f64((n + 1) as f64 / f64::from(per_second));
            drop(mainspring::spawn_local(async move {
                let result = ask(server, path, &idle).await.map(|mut answer| {
                    answer.took = was_due.elapsed();
                    answer
                });
                outcome.borrow_mut().add(result);
                *running.borrow_mut() -= 1;
            }));
        }
        sent = due;
    }
    while *running.borrow() > 0 {
        sleep(TICK).await;
    }
    let mut outcome = outcome.take();
    outcome.wall = start.elapsed();
    outcome
}

/// How long a kept connection may have been idle: well below the time after which servers close one.
const FRESH: Duration = Duration::from_secs(2);

async fn ask(
    server: SocketAddr,
    path: &str,
    idle: &RefCell<Vec<(Kept, Instant)>>,
) -> io::Result<Answer> {
    let mut connection = loop {
        let free = idle.borrow_mut().pop();
        match free {
            Some((connection, since)) if since.elapsed() < FRESH => break connection,
            Some(_) => {}
            None => break Kept::connect(server).await?,
        }
    };
    let answer = connection.get(path).await?;
    if !connection.closes() {
        idle.borrow_mut().push((connection, Instant::now()));
    }
    Ok(answer)
}

/// Opens `count` connections within `time`, sends a request on each, and returns what was answered
/// when `until` is over; those that wait are dropped then.
pub(crate) async fn crowd(
    server: SocketAddr,
    count: usize,
    time: Duration,
    until: Duration,
    path: &'static str,
) -> Outcome {
    let start = Instant::now();
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let mut clients = Vec::new();
    for n in 0..count {
        let due = start + time.mul_f64(n as f64 / count as f64);
        sleep(due.saturating_duration_since(Instant::now())).await;
        let outcome = Rc::clone(&outcome);
        clients.push(mainspring::spawn_local(async move {
            let result = get(server, path).await.map(|mut answer| {
                answer.took = due.elapsed();
                answer
            });
            outcome.borrow_mut().add(result);
        }));
    }
    sleep((start + until).saturating_duration_since(Instant::now())).await;
    for client in clients {
        client.abort();
        let _ = client.await;
    }
    let mut outcome = outcome.take();
    outcome.wall = start.elapsed();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring::block_on;
    use mainspring::http::{Request, Router, Server};

    #[test]
    fn as_many_as_it_says_came_within_a_percentile() {
        let took = |ms| Answer {
            status: 200,
            retry_after: None,
            body: String::new(),
            took: Duration::from_millis(ms),
        };
        let mut outcome = Outcome::default();
        assert_eq!(outcome.percentile(200, 99), Duration::ZERO);
        for count in 1..=200 {
            outcome.answers.push(took(count));
            for percent in [1, 50, 99, 100] {
                let within = outcome.percentile(200, percent);
                let came = outcome.answers.iter().filter(|answer| answer.took <= within).count();
                assert_eq!(came, (count as usize * percent).div_ceil(100), "{percent} of {count}");
            }
        }
    }

    #[test]
    fn requests_that_leave_late_are_measured_from_when_they_were_due() {
        let outcome = block_on(async {
            let app = Router::new().get("/", |_req: Request| async { "" });
            let server = Server::builder().addr("127.0.0.1:0").build(app).unwrap();
            let address = server.local_addr();
            drop(mainspring::spawn(server.run()));
            drop(mainspring::spawn_local(async {
                sleep(Duration::from_millis(50)).await;
                // Nothing is sent meanwhile.
                std::thread::sleep(Duration::from_millis(200));
            }));
            open(address, 1_000, Duration::from_millis(300), "/").await
        });
        let late = outcome.answers.iter().filter(|answer| answer.took.as_millis() >= 50).count();
        assert!(late >= 100, "{late} of {}", outcome.answers.len());
    }
}
