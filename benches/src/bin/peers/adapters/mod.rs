//! The runtimes, an adapter each.

mod compio;
mod floor;
mod glommio;
mod mainspring;
mod may;
mod monoio;
mod smol;
mod tokio;

use self::compio::{Compio, IoUring, Polling};
use self::glommio::Glommio;
use self::mainspring::{Local, LocalFine, LocalSend, Mainspring};
use self::monoio::Monoio;
use self::smol::{One, Smol, Two};
use self::tokio::{CurrentThread, Tokio, TwoWorkers};
use crate::entry::{Entry, Role};
use crate::workload::Workload;
use ::monoio::{IoUringDriver, LegacyDriver};

/// All of this build, in the order of the tables.
pub(crate) const ALL: &[Entry] = &[
    Entry::new("floor", 1, floor::start).role(Role::Floor),
    Entry::of::<Mainspring<Local>>("mainspring_local", 1).role(Role::Ours),
    Entry::of::<Mainspring<LocalSend>>("mainspring_send", 1).role(Role::Variant(&SPAWN)),
    Entry::of::<Mainspring<LocalFine>>("mainspring_50us", 1).role(Role::Variant(&SLEEP)),
    Entry::of::<Tokio<CurrentThread>>("tokio_ct", 1),
    Entry::of::<Smol<One>>("smol_1", 1),
    Entry::of::<Monoio<LegacyDriver>>("monoio_epoll", 1),
    Entry::of::<Monoio<IoUringDriver>>("monoio_uring", 1),
    Entry::of::<Glommio>("glommio", 1).eager(),
    Entry::of::<Compio<Polling>>("compio_poll", 1),
    Entry::of::<Compio<IoUring>>("compio_uring", 1),
    Entry::new("may", 1, may::start),
    Entry::of::<Mainspring<mainspring::TwoWorkers>>("mainspring_mt2", 2).role(Role::Ours),
    Entry::of::<Tokio<TwoWorkers>>("tokio_mt2", 2),
    #[cfg(tokio_unstable)]
    Entry::of::<Tokio<tokio::TwoWorkersEager>>("tokio_mt2_eager", 2),
    Entry::of::<Smol<Two>>("smol_2", 2),
];

const SPAWN: [Workload; 3] = [Workload::SpawnJoin, Workload::SpawnAll, Workload::SpawnChain];
const SLEEP: [Workload; 2] = [Workload::SleepCancel, Workload::SleepFire];

/// The runtime of this name.
pub(crate) fn of_name(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
