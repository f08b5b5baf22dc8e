//! The routes.

use crate::numbers::{self, Process};
use crate::users::{self, Users};
use http::{Method, StatusCode};
use mainspring::http::{Cors, CorsError, Error, IntoResponse, Json, Request, Response, Router};
use mainspring::time::sleep;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the routes are, for `--help`.
pub(crate) const ROUTES: &str = "\
GET  /                          a short text
POST /echo                      the body, sent back
GET  /seen                      how many requests reached a handler before this one
GET  /async_0[/{index}]         waits 0.1 s
GET  /async_1[/{index}]         waits 1 s
GET  /test/async?ms=            waits so long, at most 3600000
GET  /sync_0[/{index}]          blocks a thread of the pool for 0.1 s
GET  /sync_1[/{index}]          blocks a thread of the pool for 1 s
GET  /sync_c/{index}?ms=        uses so much CPU time of a thread of the pool, at most 60000
GET  /test/sync?ms=             blocks a thread of the pool so long; /test/sync_async and
                                /test/sync_async_fastapi too, from an asynchronous handler
GET  /get_available_threads     threads of the pool that may be used still; /get_active_threads
GET  /mix_s_0/{index}           blocks its thread for 0.1 s
GET  /mix_s_1/{index}           blocks its thread for 1 s
GET  /mix_c/{index}?ms=         uses so much CPU time, at most 60000
GET POST /users                 all users; a new one from {\"name\":…}, as application/json
GET PUT DELETE /users/{id}      one user, or 404
POST /background-task           answers at once, and works after the answer
GET  /async-task                three tasks side by side
GET  /bulk-operation?count=     so many tasks, ten at once, at most 10000
GET  /key/{item}                whether the item is known; for every origin
GET  /performance               what the server does, in numbers
GET  /task-monitor              each live task: state, polls, age; and what each worker has done
GET  /system-info               the process: workers, CPUs, memory, descriptors, pools";

/// The most CPU time that one request may ask for.
const MAX_SPIN_MS: u64 = 60_000;
/// The longest that one request may ask to wait.
const MAX_WAIT_MS: u64 = 3_600_000;
/// The most tasks that one request may ask for.
const MAX_BULK: u64 = 10_000;

/// What handlers reach beside their request.
#[derive(Clone)]
pub(crate) struct Handles {
    pub(crate) process: Arc<Process>,
    seen: Arc<AtomicU64>,
    users: Users,
}

impl Handles {
    pub(crate) fn new(process: Process) -> Self {
        Self { process: Arc::new(process), seen: Arc::default(), users: Users::default() }
    }
}

/// What handlers that only wait or block answer.
#[derive(Serialize)]
struct Answer {
    endpoint: &'static str,
    index: Option<u64>,
}

#[derive(Deserialize)]
struct Millis {
    ms: u64,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

/// Routes whose handlers count the requests that reach them.
pub(crate) struct Counting {
    router: Router,
    seen: Arc<AtomicU64>,
}

impl Counting {
    fn new(own: &Handles) -> Self {
        Self { router: Router::new(), seen: own.seen.clone() }
    }

    pub(crate) fn on<H, Fut>(mut self, method: Method, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoResponse> + Send + 'static,
    {
        let seen = self.seen.clone();
        self.router = self.router.route(method, pattern, move |req| {
            seen.fetch_add(1, Relaxed);
            handler(req)
        });
        self
    }

    pub(crate) fn get<H, Fut>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoResponse> + Send + 'static,
    {
        self.on(Method::GET, pattern, handler)
    }

    fn get_blocking<H, R>(mut self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let seen = self.seen.clone();
        self.router = self.router.get_blocking(pattern, move |req| {
            seen.fetch_add(1, Relaxed);
            handler(req)
        });
        self
    }

    pub(crate) fn post<H, Fut>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoResponse> + Send + 'static,
    {
        self.on(Method::POST, pattern, handler)
    }
}

/// All routes.
pub(crate) fn routes(own: &Handles) -> Result<Router, CorsError> {
    let seen = own.seen.clone();
    let counting = Counting::new(own)
        .get("/", |_req: Request| async { "Hello from mainspring.\n" })
        .post("/echo", |mut req: Request| async move { req.bytes().await })
        .get("/seen", move |_req: Request| {
            // It has counted itself already.
            let before = seen.load(Relaxed) - 1;
            async move { before.to_string() }
        })
        .get("/async_0", |_req: Request| waits("async_0", None, 100))
        .get("/async_1", |_req: Request| waits("async_1", None, 1_000))
        .get("/async_0/{index}", |req: Request| indexed(req, "async_0", 100))
        .get("/async_1/{index}", |req: Request| indexed(req, "async_1", 1_000))
        .get("/test/async", |req: Request| async move {
            let ms = bounded("ms", req.query::<Millis>()?.ms, MAX_WAIT_MS)?;
            Ok::<_, Error>(waits("test/async", None, ms).await)
        })
        .get("/mix_s_0/{index}", |req: Request| blocks(req, "mix_s_0", 100))
        .get("/mix_s_1/{index}", |req: Request| blocks(req, "mix_s_1", 1_000))
        .get("/mix_c/{index}", |req: Request| async move {
            let index = Some(req.param("index")?);
            let ms = bounded("ms", req.query::<Millis>()?.ms, MAX_SPIN_MS)?;
            spin(Duration::from_millis(ms));
            Ok::<_, Error>(Json(Answer { endpoint: "mix_c", index }))
        })
        .post("/background-task", |_req: Request| async {
            Response::json(&Status { status: "accepted" }).after(sleep(Duration::from_millis(100)))
        })
        .get("/async-task", |_req: Request| side_by_side())
        .get("/bulk-operation", |req: Request| async move {
            let count = bounded("count", req.query::<Count>()?.count, MAX_BULK)?;
            bulk(count).await
        });
    let all = numbers::routes(users::routes(in_the_pool(counting), &own.users), &own.process);
    Ok(all.router.merge(keys(own)?))
}

/// The routes that only tell numbers.
pub(crate) fn admin(own: &Handles) -> Router {
    numbers::routes(Counting::new(own), &own.process).router
}

/// Handlers that block, where they may.
fn in_the_pool(routes: Counting) -> Counting {
    routes
        .get_blocking("/sync_0", |_req: Request| pauses("sync_0", None, 100))
        .get_blocking("/sync_1", |_req: Request| pauses("sync_1", None, 1_000))
        .get_blocking("/sync_0/{index}", |req: Request| {
            Ok::<_, Error>(pauses("sync_0", Some(req.param("index")?), 100))
        })
        .get_blocking("/sync_1/{index}", |req: Request| {
            Ok::<_, Error>(pauses("sync_1", Some(req.param("index")?), 1_000))
        })
        .get_blocking("/sync_c/{index}", |req: Request| {
            let index = Some(req.param("index")?);
            let ms = bounded("ms", req.query::<Millis>()?.ms, MAX_SPIN_MS)?;
            spin(Duration::from_millis(ms));
            Ok::<_, Error>(Json(Answer { endpoint: "sync_c", index }))
        })
        .get_blocking("/test/sync", |req: Request| {
            let ms = bounded("ms", req.query::<Millis>()?.ms, MAX_WAIT_MS)?;
            Ok::<_, Error>(pauses("test/sync", None, ms))
        })
        .get("/test/sync_async", |req: Request| offloaded(req, "test/sync_async"))
        .get("/test/sync_async_fastapi", |req: Request| offloaded(req, "test/sync_async_fastapi"))
}

fn pauses(endpoint: &'static str, index: Option<u64>, ms: u64) -> Json<Answer> {
    std::thread::sleep(Duration::from_millis(ms));
    Json(Answer { endpoint, index })
}

/// An asynchronous handler that gives its blocking part to the pool.
async fn offloaded(req: Request, endpoint: &'static str) -> Result<Json<Answer>, Error> {
    let ms = bounded("ms", req.query::<Millis>()?.ms, MAX_WAIT_MS)?;
    Ok(mainspring::spawn_blocking(move || pauses(endpoint, None, ms)).await?)
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

async fn waits(endpoint: &'static str, index: Option<u64>, ms: u64) -> Json<Answer> {
    sleep(Duration::from_millis(ms)).await;
    Json(Answer { endpoint, index })
}

async fn indexed(req: Request, endpoint: &'static str, ms: u64) -> Result<Json<Answer>, Error> {
    let index = req.param("index")?;
    Ok(waits(endpoint, Some(index), ms).await)
}

/// What a handler must not do, done on purpose: it blocks the thread that serves all others.
async fn blocks(req: Request, endpoint: &'static str, ms: u64) -> Result<Json<Answer>, Error> {
    let index = Some(req.param("index")?);
    std::thread::sleep(Duration::from_millis(ms));
    Ok(Json(Answer { endpoint, index }))
}

fn bounded(name: &str, value: u64, most: u64) -> Result<u64, Error> {
    if value > most {
        let reason = format!("{name} must be at most {most}");
        return Err(Error::new(StatusCode::BAD_REQUEST, reason));
    }
    Ok(value)
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Three tasks at the same time; their results in order.
async fn side_by_side() -> Result<Json<Vec<u64>>, Error> {
    let tasks: Vec<_> = (1..=3)
        .map(|n| {
            mainspring::spawn(async move {
                sleep(Duration::from_millis(20 * n)).await;
                n * n
            })
        })
        .collect();
    let mut squares = Vec::new();
    for task in tasks {
        squares.push(task.await.map_err(internal)?);
    }
    Ok(Json(squares))
}

/// `count` tasks, ten at a time.
async fn bulk(count: u64) -> Result<Json<BTreeMap<&'static str, u64>>, Error> {
    let limit = Arc::new(mainspring::sync::Semaphore::new(10));
    let mut tasks = Vec::new();
    for _ in 0..count {
        let permit = limit.clone().acquire_owned().await.map_err(internal)?;
        tasks.push(mainspring::spawn(async move {
            sleep(Duration::from_millis(1)).await;
            drop(permit);
        }));
    }
    let mut done = 0;
    for task in tasks {
        task.await.map_err(internal)?;
        done += 1;
    }
    Ok(Json(BTreeMap::from([("done", done)])))
}

/// Membership of a key, for pages of every origin.
fn keys(own: &Handles) -> Result<Router, CorsError> {
    const KNOWN: [&str; 4] = ["apple", "banana", "cherry", "damson"];
    #[derive(Serialize)]
    struct Known {
        item: String,
        known: bool,
    }
    let cors = Cors::new().allow_origin("*").allow_methods([Method::GET]).build()?;
    let routes = Counting::new(own).get("/key/{item}", |req: Request| async move {
        let item: String = req.param("item")?;
        let known = KNOWN.contains(&item.as_str());
        Ok::<_, Error>(Json(Known { item, known }))
    });
    Ok(routes.router.layer(cors))
}

/// Uses `time` of the CPU, however long that takes.
fn spin(time: Duration) {
    let used = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    };
    let start = used();
    while used().saturating_sub(start) < time {
        std::hint::spin_loop();
    }
}
