//! Tasks whose future is made where it stays, and which others ask to end meanwhile.

use super::loom_owned_tests::{Counted, Rt, assert_freed};
use super::*;
use crate::primitives::{Arc, AtomicUsize, Ordering, thread};
use std::future::pending;
use std::panic::Location;
use std::rc::Rc;

use Ordering::Relaxed;

/// A pinned task is spawned elsewhere, and asked to end there before or while the owner makes its
/// future, or after that: it is dropped here, or never made.
#[test]
fn loom_owned_pinned_and_aborted_elsewhere() {
    loom::model(|| {
        let rt = Rt::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let made = Arc::new(AtomicUsize::new(0));
        let other = {
            let (rt, drops, made) = (rt.clone(), drops.clone(), made.clone());
            thread::spawn(move || {
                let make = move || {
                    made.fetch_add(1, Relaxed);
                    let stays = (Counted::new(&drops), Rc::new(()));
                    async move {
                        let _stays = stays;
                        pending::<()>().await;
                    }
                };
                let handle = spawn_pinned(&rt, 0, make, Location::caller()).unwrap();
                handle.abort();
            })
        };
        rt.run();
        other.join().unwrap();
        rt.run();
        assert_eq!(rt.0.live_tasks(), 0, "the abort was lost");
        assert_eq!(drops.load(Relaxed), made.load(Relaxed));
        rt.shut_down();
        assert_freed(rt);
    });
}
