//! A program that embeds the core of mainspring, without features.
//!
//! The package's own tests see every feature, so they cannot tell whether the core stands alone.
//! These do: what does not compile or work here needs a feature that it should not need. Run them
//! with `cargo test -p embedder`, which builds the core without the server.

use mainspring::LocalRuntime;
use mainspring::net::{TcpListener, TcpStream};
use mainspring::task::JoinHandle;
use mainspring::time::{Elapsed, timeout};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Part of the host: owns a runtime, and does a piece of async work whenever it is asked to.
#[derive(Debug)]
pub struct Host {
    runtime: LocalRuntime,
    greeting: Rc<str>,
}

impl Host {
    /// A host that greets with `greeting`.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left.
    pub fn new(greeting: &str) -> Result<Self, mainspring::BuildError> {
        Ok(Self { runtime: LocalRuntime::builder().build()?, greeting: greeting.into() })
    }

    /// The runtime itself.
    pub fn runtime(&self) -> &LocalRuntime {
        &self.runtime
    }

    /// Serves one connection at a time until the runtime ends, as a task that holds `!Send` data.
    pub fn serve(&self, listener: TcpListener) -> JoinHandle<io::Result<()>> {
        let greeting = Rc::clone(&self.greeting);
        self.runtime.spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.write_all(greeting.as_bytes()).await?;
            }
        })
    }

    /// Asks another host for its greeting.
    ///
    /// # Errors
    ///
    /// What the sockets say, or [`io::ErrorKind::TimedOut`] after `limit`.
    pub fn ask(&self, address: std::net::SocketAddr, limit: Duration) -> io::Result<String> {
        let asked = self.runtime.block_on(async {
            timeout(limit, async {
                let stream = TcpStream::connect(address).await?;
                let mut answer = Vec::new();
                let mut buffer = [0; 64];
                loop {
                    match stream.read(&mut buffer).await? {
                        0 => return Ok(answer),
                        count => answer.extend_from_slice(&buffer[..count]),
                    }
                }
            })
            .await
        });
        let answer: io::Result<Vec<u8>> = asked.unwrap_or_else(|late: Elapsed| Err(late.into()));
        String::from_utf8(answer?).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring::hooks::{Finish, Hooks, TaskInfo};
    use mainspring::time::{Instant, sleep, sleep_until};
    use mainspring::{Handle, NoRuntime};
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;
    use std::sync::mpsc;

    /// Longer than anything here takes, on however busy a machine.
    const WATCHDOG: Duration = Duration::from_secs(30);

    #[test]
    fn sockets_work_between_tasks_that_are_not_send() {
        let host = Host::new("good morning").unwrap();
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = host.serve(listener);
        for _ in 0..3 {
            assert_eq!(host.ask(address, WATCHDOG).unwrap(), "good morning");
        }
        assert!(!server.is_finished());
        server.abort();
        assert!(host.runtime().block_on(server).unwrap_err().is_cancelled());
        assert_eq!(host.runtime().live_tasks(), 0);
    }

    #[test]
    fn a_silent_peer_is_given_up() {
        let host = Host::new("").unwrap();
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let error = host.ask(silent.local_addr().unwrap(), Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn the_host_gets_its_thread_back_between_two_runs() {
        let runtime = LocalRuntime::builder().build().unwrap();
        let count = Rc::new(Cell::new(0));
        let task = runtime.spawn_local({
            let count = Rc::clone(&count);
            async move {
                loop {
                    count.set(count.get() + 1);
                    mainspring::yield_now().await;
                }
            }
        });
        assert_eq!(count.get(), 0, "nothing runs before the host says so");
        runtime.block_on(async { sleep(Duration::from_millis(2)).await });
        let after_first = count.get();
        assert!(after_first > 0);
        runtime.block_on(async { sleep(Duration::from_millis(2)).await });
        assert!(count.get() > after_first);
        drop(runtime);
        assert!(task.is_finished());
        assert_eq!(Rc::strong_count(&count), 1, "its future was dropped with the runtime");
    }

    #[test]
    fn several_workers_are_in_the_core() {
        let runtime = mainspring::Runtime::builder().worker_threads(2).build().unwrap();
        let sum = runtime.block_on(async {
            let tasks: Vec<_> = (0..100).map(|n| mainspring::spawn(async move { n })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 4950);
        assert_eq!(mainspring::block_on(async { 7 }), 7);
    }

    #[test]
    fn timers_keep_their_order() {
        let runtime = LocalRuntime::builder().build().unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let seen = Rc::new(RefCell::new(Vec::new()));
            let tasks = [9, 3, 6].map(|wait| {
                let seen = Rc::clone(&seen);
                mainspring::spawn_local(async move {
                    sleep_until(start + Duration::from_millis(wait)).await;
                    seen.borrow_mut().push(wait);
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
            assert!(start.elapsed() >= Duration::from_millis(9));
            assert_eq!(*seen.borrow(), [3, 6, 9]);
            sleep(Duration::from_millis(2)).await;
            assert!(start.elapsed() >= Duration::from_millis(11));
        });
    }

    #[test]
    fn other_threads_reach_the_runtime_by_its_handle() {
        let runtime = LocalRuntime::builder().build().unwrap();
        let handle = runtime.handle();
        let thread = std::thread::spawn(move || {
            assert_eq!(Handle::try_current().unwrap_err(), NoRuntime);
            handle.spawn(async { std::thread::current().id() })
        });
        let task = thread.join().unwrap();
        assert_eq!(runtime.block_on(task).unwrap(), std::thread::current().id());
    }

    #[test]
    fn hooks_hear_of_a_panic_that_stays_in_its_task() {
        struct Tell(mpsc::Sender<Finish>);
        impl Hooks for Tell {
            fn on_finish(&self, _: &TaskInfo, how: Finish) {
                let _ = self.0.send(how);
            }
        }
        let (tell, told) = mpsc::channel();
        let hooks = Arc::new(Tell(tell));
        let runtime = LocalRuntime::builder().hooks(hooks).build().unwrap();
        let failing = runtime.spawn_local(async { panic!("the one in the test") });
        let fine = runtime.spawn_local(async { 5 });
        let (failed, fine) = runtime.block_on(async { (failing.await, fine.await) });
        let failed: Result<(), _> = failed;
        assert!(failed.unwrap_err().is_panic());
        assert_eq!(fine.unwrap(), 5);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [Finish::Panicked, Finish::Finished]);
    }
}
