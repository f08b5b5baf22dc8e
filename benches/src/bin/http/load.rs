//! The load: wrk.

use super::Failure;
use super::workload::{PIPELINED, Workload};
use mainspring_benches::process::on_cores;
use std::path::PathBuf;

/// One thread of wrk on one core, as fast as it can.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) core: usize,
    pub(crate) connections: usize,
    pub(crate) workload: Workload,
    pub(crate) address: String,
    /// How long an answer is.
    pub(crate) answer_bytes: usize,
}

/// What wrk says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) requests: f64,
    pub(crate) requests_per_second: f64,
    bytes: f64,
}

impl Load {
    pub(crate) fn run(&self, seconds: u64) -> Result<Loaded, Failure> {
        let mut command = vec![
            "wrk".to_string(),
            "-t1".into(),
            format!("-c{}", self.connections),
            format!("-d{seconds}s"),
            format!("http://{}{}", self.address, self.workload.answer().path),
        ];
        let script = match self.workload {
            Workload::Pipelined => Some(Script::new()?),
            _ => None,
        };
        if let Some(Script(path)) = &script {
            command.extend(["-s".into(), path.to_string_lossy().into_owned()]);
            command.extend(["--".into(), PIPELINED.to_string()]);
        }
        let output = on_cores(&[self.core], &command).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk failed ({}): {said}{error}", output.status).into());
        }
        let loaded = parse(&said)
            .ok_or_else(|| format!("wrk reports errors, or reports nothing:\n{said}"))?;
        if !loaded.counts_answers_of(self.answer_bytes) {
            let reason =
                format!("wrk's count is not that of answers of {} bytes", self.answer_bytes);
            return Err(format!("{reason}:\n{said}").into());
        }
        Ok(loaded)
    }
}

impl Loaded {
    /// Whether the count of requests fits what was read: a wrong one makes the comparison void.
    fn counts_answers_of(&self, answer_bytes: usize) -> bool {
        let expected = self.requests * answer_bytes as f64;
        (self.bytes / expected - 1.0).abs() < 0.02
    }
}

/// The script that pipelines, in a file for wrk; removed with this value.
#[derive(Debug)]
struct Script(PathBuf);

impl Script {
    fn new() -> Result<Self, Failure> {
        let name = format!("mainspring-pipelined-{}.lua", std::process::id());
        let script = Self(std::env::temp_dir().join(name));
        std::fs::write(&script.0, include_str!("pipelined.lua"))?;
        Ok(script)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The figures in wrk's words; `None` if it tells of errors.
fn parse(said: &str) -> Option<Loaded> {
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        return None;
    }
    let total = said.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = total.split_once(" requests in ")?;
    let (_, read) = rest.split_once(", ")?;
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    Some(Loaded {
        requests: requests.trim().parse().ok()?,
        requests_per_second: rate.trim().parse().ok()?,
        bytes: bytes(read.strip_suffix(" read")?)?,
    })
}

/// wrk's units are powers of 1024.
fn bytes(text: &str) -> Option<f64> {
    let number = text.strip_suffix('B')?;
    let (number, exponent) = match number.char_indices().next_back()? {
        (at, 'K') => (&number[..at], 1),
        (at, 'M') => (&number[..at], 2),
        (at, 'G') => (&number[..at], 3),
        _ => (number, 0),
    };
    Some(number.parse::<f64>().ok()? * 1024_f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str =
        "  1 threads\n  435132 requests in 4.00s, 53.94MB read\nRequests/sec: 108768.43\n";

    #[test]
    fn errors_make_a_measurement_void() {
        let loaded = parse(FINE).unwrap();
        assert_eq!((loaded.requests, loaded.requests_per_second), (435_132.0, 108_768.43));
        assert_eq!(parse(&format!("{FINE}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(parse(&format!("{FINE}  Socket errors: connect 0, read 1\n")), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_count_of_something_else_is_noticed() {
        let loaded = parse(FINE).unwrap();
        assert!(loaded.counts_answers_of(130));
        assert!(!loaded.counts_answers_of(130 * 16));
        assert_eq!(bytes("1.50GB"), Some(1.5 * 1024.0 * 1024.0 * 1024.0));
        assert_eq!(bytes("12.00B"), Some(12.0));
    }
}
