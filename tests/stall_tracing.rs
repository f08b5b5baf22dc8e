//! A stall as an event of `tracing`. One test, as the subscriber is that of the whole process: the event
//! comes from a thread of the runtime.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{block_worker, gate, until};
use mainspring::task::Builder;
use mainspring::{Runtime, spawn};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use watchdog::within;

const TARGET: &str = "mainspring::stall";

/// The fields of each event, by their names.
static EVENTS: Mutex<Vec<Fields>> = Mutex::new(Vec::new());

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.to_string());
    }
}

struct Records;

impl Subscriber for Records {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        panic!("{span:?}");
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        assert_eq!((*metadata.level(), metadata.target()), (Level::WARN, TARGET));
        assert!(!std::thread::current().name().unwrap().contains("sentry"), "it must not wait");
        let mut fields = Fields::default();
        event.record(&mut fields);
        EVENTS.lock().unwrap().push(fields);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The next event, that is about this field's value.
fn told(name: &str, value: &str) -> Fields {
    let find = || {
        let events = EVENTS.lock().unwrap();
        events.iter().find(|event| event.0.get(name).is_some_and(|it| it == value)).cloned()
    };
    until(|| find().is_some());
    find().unwrap()
}

#[test]
fn a_stall_is_told_with_all_that_is_known() {
    within(|| {
        tracing::subscriber::set_global_default(Records).unwrap();
        // No hooks: that is enough for a thread that tells.
        let rt = Runtime::builder().worker_threads(2).build().unwrap();
        drop(rt.handle().spawn_pinned(1, std::future::pending::<()>).ok().unwrap());

        let (release, blocks) = gate();
        let named = Builder::new().name("import");
        let entered = rt.enter();
        let line = line!() + 1;
        let task = named.spawn_pinned(1, || async { blocks() }).ok().unwrap();
        drop(entered);
        let id = task.id().to_string();
        let Fields(fields) = told("task.id", &id);
        assert_eq!((&*fields["task.name"], &*fields["worker"]), ("import", "1"));
        assert!(fields["task.location"].contains(&format!("stall_tracing.rs:{line}:")));
        assert!(fields["elapsed_ms"].parse::<u64>().unwrap() >= 50);
        let kind = if cfg!(target_os = "linux") { "blocked" } else { "stuck" };
        assert_eq!((&*fields["kind"], &*fields["within"]), (kind, "a poll"));
        assert_eq!((&*fields["pinned_tasks"], fields.get("doing")), ("1", None));
        let says = format!("worker 1 is {kind} in a poll of task {id} (import) spawned at ");
        assert!(fields["message"].starts_with(&says), "{}", fields["message"]);
        drop(release);
        rt.block_on(task).unwrap();

        // One without a name.
        let stuck = block_worker(&rt, 0);
        let Fields(fields) = told("task.id", &stuck.task.id().to_string());
        assert_eq!((fields.get("task.name"), &*fields["worker"]), (None, "0"));
        drop(stuck.release);
        rt.block_on(stuck.task).unwrap();
        assert_eq!(rt.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
        drop(rt);
        let ids = EVENTS.lock().unwrap().iter().filter(|event| event.0["task.id"] == id).count();
        assert_eq!(ids, 1, "once");
    });
}
