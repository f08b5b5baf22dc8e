//! What a thread spends its time on, as the system counts it: computing, waiting for a processor, or
//! asleep.
//!
//! On Linux that is in `/proc/self/task/<thread>`: `schedstat` has the nanoseconds on a processor and those
//! in its queue (Documentation/scheduler/sched-stats.rst), `stat` the state (proc_pid_stat(5)). The time in
//! the queue is added up only when it ends, so the state says what the last of it was. Elsewhere, and
//! where there is no `/proc`, nothing is known.

use std::time::Duration;

/// How a stretch of time was spent; what is unknown of it is in none of the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) ran: Duration,
    /// Ready to run, without a processor.
    pub(super) starved: Duration,
    pub(super) slept: Duration,
}

impl Spent {
    /// Adds the next stretch.
    pub(super) fn add(&mut self, more: Self) {
        self.ran += more.ran;
        self.starved += more.starved;
        self.slept += more.slept;
    }

    /// Of a stretch of this length: how the kernel's figures came on, and whether the thread slept at
    /// its end.
    fn of(length: Duration, ran: Duration, queued: Duration, asleep: bool) -> Self {
        let ran = ran.min(length);
        let starved = queued.min(length - ran);
        let rest = length - ran - starved;
        match asleep {
            true => Self { ran, starved, slept: rest },
            false => Self { ran, starved: starved + rest, slept: Duration::ZERO },
        }
    }
}

/// The number by which the system knows the present thread; 0 where it tells nothing by that.
pub(super) fn thread_number() -> u32 {
    imp::thread_number()
}

/// Looks at one thread again and again, for as long as it is there.
#[derive(Debug)]
pub(super) struct Looker(imp::Looker);

impl Looker {
    /// Looks at the thread for the first time; nobody knows what it did before. `None` if nothing can be
    /// known of it.
    pub(super) fn new(thread: u32) -> Option<Self> {
        imp::Looker::new(thread).map(Self)
    }

    /// How it spent the time since the last look, which was so long ago; `None` if that is not known any
    /// more.
    pub(super) fn look(&mut self, length: Duration) -> Option<Spent> {
        let (ran, queued, asleep) = self.0.look()?;
        Some(Spent::of(length, ran, queued, asleep))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    pub(super) fn thread_number() -> u32 {
        rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
    }

    /// The files stay open: to read them again costs a fifth of opening them.
    #[derive(Debug)]
    pub(super) struct Looker {
        stat: File,
        times: File,
        ran: u64,
        queued: u64,
    }

    impl Looker {
        pub(super) fn new(thread: u32) -> Option<Self> {
            if thread == 0 || cfg!(loom) {
                return None;
            }
            let open = |file| File::open(format!("/proc/self/task/{thread}/{file}")).ok();
            let mut looker =
                Self { stat: open("stat")?, times: open("schedstat")?, ran: 0, queued: 0 };
            looker.look()?;
            Some(looker)
        }

        pub(super) fn look(&mut self) -> Option<(Duration, Duration, bool)> {
            let mut buffer = [0; 512];
            let (ran, queued) = times(read(&self.times, &mut buffer)?)?;
            let asleep = is_asleep(read(&self.stat, &mut buffer)?)?;
            let since = |now: u64, before| Duration::from_nanos(now.saturating_sub(before));
            let spent = (since(ran, self.ran), since(queued, self.queued), asleep);
            (self.ran, self.queued) = (ran, queued);
            Some(spent)
        }
    }

    fn read<'a>(file: &File, buffer: &'a mut [u8]) -> Option<&'a str> {
        let length = file.read_at(buffer, 0).ok()?;
        // The name of the thread, which comes first, may be cut or no text.
        let text = &buffer[..length];
        let after_name = text.iter().rposition(|byte| *byte == b')').map_or(0, |at| at + 1);
        std::str::from_utf8(&text[after_name..]).ok()
    }

    /// The time on a processor, and that in its queue.
    pub(super) fn times(schedstat: &str) -> Option<(u64, u64)> {
        let mut fields = schedstat.split_ascii_whitespace();
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }

    /// Whether the thread neither runs nor is ready to, by what comes after its name.
    pub(super) fn is_asleep(stat: &str) -> Option<bool> {
        Some(!stat.split_ascii_whitespace().next()?.starts_with('R'))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::time::Duration;

    pub(super) fn thread_number() -> u32 {
        0
    }

    #[derive(Debug)]
    pub(super) struct Looker(std::convert::Infallible);

    impl Looker {
        pub(super) fn new(_: u32) -> Option<Self> {
            None
        }

        pub(super) fn look(&mut self) -> Option<(Duration, Duration, bool)> {
            match self.0 {}
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_stretch_is_divided_among_what_was_done_in_it() {
        let spent =
            |ran, starved, slept| Spent { ran: ms(ran), starved: ms(starved), slept: ms(slept) };
        assert_eq!(Spent::of(ms(5), ms(5), ms(0), false), spent(5, 0, 0));
        assert_eq!(Spent::of(ms(5), ms(1), ms(1), true), spent(1, 1, 3));
        // It waits still, which the kernel has not added up yet.
        assert_eq!(Spent::of(ms(5), ms(1), ms(1), false), spent(1, 4, 0));
        // Its clocks and ours are read one after the other.
        assert_eq!(Spent::of(ms(5), ms(6), ms(7), true), spent(5, 0, 0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_kernel_tells_is_read() {
        assert_eq!(imp::times("101464 183174 2\n"), Some((101_464, 183_174)));
        assert_eq!((imp::times(""), imp::times("1 x 2")), (None, None));
        assert_eq!(imp::is_asleep(" S 1 2 3"), Some(true));
        assert_eq!((imp::is_asleep(" R 1 2 3"), imp::is_asleep(" ")), (Some(false), None));
    }

    /// By counters of the kernel, not by the clock: so long as it takes.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_computes_is_told_from_one_that_sleeps() {
        use std::sync::mpsc;
        use std::time::Instant;
        let (tell, told) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(thread_number()).unwrap();
            while ends.try_recv().is_err() {
                std::hint::spin_loop();
            }
            tell.send(0).unwrap();
            let _ = ends.recv();
        });
        let mut looker = Looker::new(told.recv().unwrap()).unwrap();
        let begun = Instant::now();
        let mut spent = Spent::default();
        while spent.ran < ms(20) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{spent:?}");
            std::thread::sleep(ms(1));
            spent.add(looker.look(ms(100)).unwrap());
        }
        end.send(()).unwrap();
        let _ = told.recv();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(40));
            std::thread::sleep(ms(1));
            let spent = looker.look(ms(100)).unwrap();
            if spent.slept > ms(90) {
                break;
            }
        }
        drop(end);
        thread.join().unwrap();
        std::thread::sleep(ms(1));
        assert_eq!((Looker::new(0).is_none(), Looker::new(u32::MAX).is_none()), (true, true));
    }
}
