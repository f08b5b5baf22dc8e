//! The workloads, by name.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Workload {
    SpawnJoin,
    SpawnAll,
    SpawnChain,
    YieldLone,
    YieldMany,
    PingPong,
    Oneshot,
    Mutex,
    MutexMany,
    Semaphore,
    SemaphoreMany,
    Mpsc1,
    Mpsc4,
    SleepCancel,
    SleepFire,
    SleepBytes,
    TaskBytes,
    Wake,
    RootJoin,
    Blocking,
    BlockingQueued,
    Echo64,
    Echo512,
    Echo64K,
}

impl Workload {
    pub(crate) const ALL: [Self; 24] = [
        Self::SpawnJoin,
        Self::SpawnAll,
        Self::SpawnChain,
        Self::YieldLone,
        Self::YieldMany,
        Self::PingPong,
        Self::Oneshot,
        Self::Mutex,
        Self::MutexMany,
        Self::Semaphore,
        Self::SemaphoreMany,
        Self::Mpsc1,
        Self::Mpsc4,
        Self::SleepCancel,
        Self::SleepFire,
        Self::SleepBytes,
        Self::TaskBytes,
        Self::Wake,
        Self::RootJoin,
        Self::Blocking,
        Self::BlockingQueued,
        Self::Echo64,
        Self::Echo512,
        Self::Echo64K,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SpawnJoin => "spawn_join",
            Self::SpawnAll => "spawn_all",
            Self::SpawnChain => "spawn_chain",
            Self::YieldLone => "yield_lone",
            Self::YieldMany => "yield_many",
            Self::PingPong => "ping_pong",
            Self::Oneshot => "oneshot",
            Self::Mutex => "mutex",
            Self::MutexMany => "mutex_many",
            Self::Semaphore => "semaphore",
            Self::SemaphoreMany => "semaphore_many",
            Self::Mpsc1 => "mpsc_1to1",
            Self::Mpsc4 => "mpsc_4to1",
            Self::SleepCancel => "sleep_cancel",
            Self::SleepFire => "sleep_fire",
            Self::SleepBytes => "sleep_bytes",
            Self::TaskBytes => "task_bytes",
            Self::Wake => "wake",
            Self::RootJoin => "root_join",
            Self::Blocking => "blocking",
            Self::BlockingQueued => "blocking_queued",
            Self::Echo64 => "echo_64",
            Self::Echo512 => "echo_512",
            Self::Echo64K => "echo_64k",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// Whether a runtime of one thread starts others for it, which then have both CPUs.
    pub(crate) fn starts_threads(self) -> bool {
        matches!(self, Self::RootJoin | Self::Blocking | Self::BlockingQueued)
    }

    /// Whether it runs as the future of `block_on`, and not in a task. Then it is for the runtimes of
    /// several threads only, where the two are on different ones.
    pub(crate) fn is_root(self) -> bool {
        self == Self::RootJoin
    }

    /// For the workloads with sockets.
    pub(crate) fn echo(self) -> Option<Echo> {
        match self {
            Self::Echo64 => Some(Echo { connections: 64, message: 64 }),
            Self::Echo512 => Some(Echo { connections: 512, message: 64 }),
            Self::Echo64K => Some(Echo { connections: 8, message: 65536 }),
            _ => None,
        }
    }
}

/// A load of an echo server: each connection awaits its message before it sends the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) connections: usize,
    /// In bytes.
    pub(crate) message: usize,
}
