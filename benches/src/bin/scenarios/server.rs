//! The server under test: `examples/serve`, in a process of its own.

use crate::Failure;
use mainspring_benches::process;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running `serve`, ended with this value.
pub(crate) struct Serve {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it tells its numbers while it refuses others.
    pub(crate) admin: SocketAddr,
}

impl Serve {
    pub(crate) fn start(flags: &[&str]) -> Result<Self, Failure> {
        let mut path = std::env::current_exe()?;
        path.set_file_name("examples");
        path.push("serve");
        let mut child = Command::new(&path)
            .args(["--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}; see benches/README.md", path.display()))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut address = |ready: &str| -> Result<SocketAddr, Failure> {
            for line in lines.by_ref() {
                if let Some(address) = line?.strip_prefix(ready) {
                    return Ok(address.trim().parse()?);
                }
            }
            Err(format!("serve ended before it printed '{ready}'").into())
        };
        let (address, admin) = (address("listening on http://")?, address("numbers at http://")?);
        Ok(Self { child, address, admin })
    }

    /// Bytes of memory that the process has resident.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        Ok(process::resident(&self.child)?)
    }

    pub(crate) fn terminate(&self) -> Result<(), Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or("no process number")?, Signal::TERM)?;
        Ok(())
    }

    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Failure> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
