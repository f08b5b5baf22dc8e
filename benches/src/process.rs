//! Child processes that are pinned to some cores and whose CPU time is read.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running program that ends with this value.
#[derive(Debug)]
pub struct Pinned {
    child: Child,
}

impl Pinned {
    /// Starts a program on these cores, and waits until it prints a line that begins with `ready`.
    ///
    /// Returns what follows `ready` on that line.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or ends before it is ready.
    pub fn start(cores: &[usize], command: &[String], ready: &str) -> io::Result<(Self, String)> {
        let child = on_cores(cores, command).stdout(Stdio::piped()).spawn()?;
        let mut pinned = Self { child };
        let stdout = pinned.child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        for line in BufReader::new(stdout).lines() {
            if let Some(rest) = line?.strip_prefix(ready) {
                return Ok((pinned, rest.trim().into()));
            }
        }
        Err(io::Error::other(format!("{command:?} ended before it printed '{ready}'")))
    }

    /// The CPU time that the process has used, in user and kernel together.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_ticks(&stat)
            .map(|ticks| Duration::from_secs(ticks) / ticks_per_second())
            .ok_or_else(|| io::Error::other(format!("cannot read the times in '{stat}'")))
    }

    /// The memory of the process that is in RAM, in bytes; see [`resident`].
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn resident(&self) -> io::Result<u64> {
        resident(&self.child)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on these cores only. `taskset` sets the affinity and then becomes the program,
/// so the process number is the program's.
pub fn on_cores(cores: &[usize], command: &[String]) -> Command {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    let mut taskset = Command::new("taskset");
    taskset.arg("-c").arg(cores.join(",")).args(command).stdin(Stdio::null());
    taskset
}

/// The memory of a process that is in RAM, in bytes.
///
/// It is counted page by page; the figures of `/proc/PID/status` are sums that each CPU adds to only
/// now and then, and can be hundreds of KiB behind.
///
/// # Errors
///
/// If the process is gone.
pub fn resident(process: &Child) -> io::Result<u64> {
    resident_of(process.id())
}

/// [`resident`] of the process of this number.
///
/// # Errors
///
/// If the process is gone.
pub fn resident_of(process: u32) -> io::Result<u64> {
    let pages = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    resident_kib(&pages)
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other(format!("cannot read the size in '{pages}'")))
}

/// Allows this process as many descriptors as the system does, and tells how many that is.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// User and system time in a line of `/proc/PID/stat`: fields 14 and 15. The second field is a name
/// in parentheses, which may contain anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_kib(smaps: &str) -> Option<u64> {
    let size = smaps.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    size.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn ticks_per_second() -> u32 {
    u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, resident_kib};

    #[test]
    fn a_name_may_contain_anything() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 120 0 0 0 250 50 0 0 20 0 1 0 9 1 2";
        assert_eq!(cpu_ticks(stat), Some(300));
    }
    #[test]
    fn the_resident_size_is_in_kib() {
        let smaps = "5581-7ffd ---p 00000000 00:00 0 [rollup]\nRss:     1856 kB\nPss:  5 kB\n";
        assert_eq!(resident_kib(smaps), Some(1856));
    }
}
