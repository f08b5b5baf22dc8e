//! The runtimes, an adapter each.

mod mainspring;
mod tokio;

use crate::entry::{Entry, Role};

/// All of this build, in the order of the tables.
pub(crate) const ALL: &[Entry] = &[
    Entry::of::<mainspring::Local>("mainspring_local", 1).role(Role::Ours),
    Entry::of::<mainspring::LocalSend>("mainspring_send", 1).role(Role::Variant),
    Entry::of::<mainspring::LocalFine>("mainspring_50us", 1).role(Role::Variant),
    Entry::of::<tokio::CurrentThread>("tokio_ct", 1),
    Entry::of::<tokio::TwoWorkers>("tokio_mt2", 2),
];

pub(crate) fn of_name(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
