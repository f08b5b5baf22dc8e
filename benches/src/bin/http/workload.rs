//! What is asked of the servers.

use super::answers::{Answer, JSON, PLAIN};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// One short text per request and connection at a time.
    Plain,
    /// The same with JSON that is serialised per request.
    Json,
    /// The short text, [`PIPELINED`] requests at a time.
    Pipelined,
    /// Connections that made one request, and stay open.
    Idle,
}

/// How many requests a connection sends before it waits for their answers.
pub(crate) const PIPELINED: usize = 16;

impl Workload {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Json, Self::Pipelined, Self::Idle];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Pipelined => "pipelined",
            Self::Idle => "idle",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    pub(crate) fn answer(self) -> &'static Answer {
        match self {
            Self::Json => &JSON,
            Self::Plain | Self::Pipelined | Self::Idle => &PLAIN,
        }
    }

    /// What is compared, for the table and for the CSV.
    pub(crate) fn compared(self) -> (&'static str, &'static str) {
        match self {
            Self::Idle => ("RSS bytes/connection", "rss_bytes_per_connection"),
            _ => ("CPU µs/request", "cpu_us_per_request"),
        }
    }
}
