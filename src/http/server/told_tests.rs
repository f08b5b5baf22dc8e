//! A handler that blocks is found from another thread, which is told what it is doing.

use super::{Drained, RunError, Server};
use crate::context;
use crate::http::{Request, Router};
use crate::primitives::{Mutex, thread};
use crate::task::{self, Found, Spawn, TaskId};
use crate::{LocalRuntime, Runtime};
use std::future::{Future, pending};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const WATCHDOG: Duration = Duration::from_secs(20);
const TOLD: &str = "GET /mix_s_1/{index}: use get_blocking for handlers that block";

/// A server, a handler of which waits on its thread until it is let go.
struct Blocks {
    server: Server,
    app: App,
}

/// What the test holds of it.
struct App {
    addr: SocketAddr,
    handle: super::ServerHandle,
    /// The connection's task, and one that the handler has spawned.
    begun: Receiver<(TaskId, TaskId)>,
    open: Sender<()>,
}

fn blocks() -> Blocks {
    let (begin, begun) = channel();
    let (open, gate) = channel::<()>();
    let (begin, gate) = (Mutex::new(begin), Mutex::new(gate));
    let index = move |_: Request| {
        let child = crate::spawn(pending::<()>()).id();
        begin.lock().send((task::id(), child)).unwrap();
        gate.lock().recv().unwrap();
        async { "done" }
    };
    let router = Router::new().nest("/mix_s_1", Router::new().get("/{index}", index));
    let server = Server::builder().addr("127.0.0.1:0").build(router).unwrap();
    let app = App { addr: server.local_addr(), handle: server.handle(), begun, open };
    Blocks { server, app }
}

/// Serves in a task that has user data, and says where tasks are found.
async fn serve(server: Server, spawner: Sender<Arc<dyn Spawn>>) -> Result<Drained, RunError> {
    spawner.send(Arc::clone(&context::current().ok().unwrap().spawn)).unwrap();
    task::Builder::new().name("the server").data(7_u32).spawn(server.run()).await.unwrap()
}

fn check(
    run: impl FnOnce(Server, Sender<Arc<dyn Spawn>>) -> Result<Drained, RunError> + Send + 'static,
) {
    let Blocks { server, app } = blocks();
    let (send, spawner) = channel();
    let thread = thread::spawn(move || run(server, send));
    let spawner = spawner.recv().unwrap();
    let find = |id| -> Option<Found> { spawner.find(&|other| other == id) };
    let tell = |id| find(id).expect("the connection is open").doing.unwrap().tell();

    let mut client = TcpStream::connect(app.addr).unwrap();
    client.set_read_timeout(Some(WATCHDOG)).unwrap();
    let mut last = None;
    for _ in 0..2 {
        client.write_all(b"GET /mix_s_1/7 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let (connection, child) = app.begun.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(tell(connection).as_deref(), Some(TOLD));
        let found = find(connection).unwrap();
        assert_eq!((found.info.name(), found.info.data()), (None, Some(&7_u32)));
        assert!(found.info.location.file().ends_with("serve.rs"));
        let child = find(child).unwrap();
        assert!(child.doing.is_none(), "what it is doing is its own");
        assert_eq!(child.info.data(), Some(&7_u32));

        app.open.send(()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"done") {
            let mut piece = [0; 1024];
            let n = client.read(&mut piece).unwrap();
            assert_ne!(n, 0, "closed");
            answer.extend_from_slice(&piece[..n]);
        }
        // The answer is sent from behind the handler.
        assert_eq!(tell(connection), None, "it idles");
        assert_eq!(found.doing.unwrap().tell(), None, "who has asked may ask again");
        last = Some(connection);
    }
    let id = last.unwrap();
    app.handle.shutdown(WATCHDOG);
    let drained = thread.join().unwrap().unwrap();
    assert_eq!((drained.served, drained.cut_off), (2, 0));
    assert!(find(id).is_none(), "it has ended");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    LocalRuntime::builder().build().unwrap().block_on(future)
}

#[test]
fn on_one_thread() {
    check(|server, send| block_on(serve(server, send)));
}

#[test]
fn on_several_workers() {
    check(|server, send| {
        let rt = Runtime::builder().worker_threads(2).build().unwrap();
        rt.block_on(serve(server, send))
    });
}
