//! What this process has, and what it may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Bytes that this process has in memory.
pub(crate) fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

/// Both ends of each connection are in this process: how many there may be, at most `wanted`.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let most = limit.maximum.map_or(usize::MAX, |most| most as usize);
    let count = wanted.min(most.saturating_sub(500) / 2);
    if count < wanted {
        println!("{count} clients instead of {wanted}: the hard limit of descriptors is {most}");
    }
    count
}
