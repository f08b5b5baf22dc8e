//! The server of the scenarios: handlers that wait, handlers that block, and a few that do neither.
//!
//! ```text
//! cargo run --release --example serve -- --addr 127.0.0.1:8080
//! ```

#![allow(clippy::disallowed_types)]

mod app;
mod numbers;
mod options;
mod users;

use mainspring::hooks::Stall;
use mainspring::http::{Drained, Server};
use numbers::Process;
use options::{Command, Options};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Serve(options)) => options,
        Ok(Command::Help(text)) => {
            tell(format_args!("{text}"));
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("serve: {problem}; see --help");
            return ExitCode::from(2);
        }
    };
    match serve(*options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells of handlers that block, of the first few.
fn tell_of_stall(stall: &Stall, told: &AtomicUsize) {
    const MOST: usize = 10;
    match told.fetch_add(1, Relaxed) + 1 {
        ..=MOST => eprintln!("serve: {stall}"),
        count if count == MOST + 1 => eprintln!("serve: further stalls are only counted"),
        _ => {}
    }
}

fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = raise_descriptor_limit();
    let process = Process { server: OnceLock::new(), descriptors, start: Instant::now() };
    let own = app::Handles::new(process);
    let told = AtomicUsize::new(0);
    let runtime = options.runtime.on_stall(move |stall| tell_of_stall(stall, &told));
    let runtime = runtime.blocking_niceness(options.niceness).build()?;
    let server = options.server.build(app::routes(&own)?)?;
    let admin = options.admin.map(|addr| Server::builder().addr(addr).build(app::admin(&own)));
    let admin = admin.transpose()?;
    let handle = server.handle();
    own.process.server.set(handle.clone()).unwrap_or_else(|_| unreachable!("set once"));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for (count, _signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(130);
            }
            handle.shutdown(options.grace);
        }
    })?;
    tell(format_args!("listening on http://{}", server.local_addr()));
    let bounds = options::describe(&runtime.handle(), &server.handle().bounds(), options.niceness);
    let descriptors = descriptors.map_or_else(|| "unlimited".to_owned(), |count| count.to_string());
    tell(format_args!("limits: {descriptors} descriptors, {bounds}"));
    if let Some(admin) = &admin {
        tell(format_args!("numbers at http://{}", admin.local_addr()));
    }
    let drained = runtime.block_on(async {
        // Until the last connection has ended, the numbers can be seen.
        let admin = admin.map(|admin| (admin.handle(), mainspring::spawn(admin.run())));
        let drained = server.run().await;
        if let Some((handle, task)) = admin {
            handle.shutdown(Duration::ZERO);
            let _ = task.await;
        }
        drained
    })?;
    let Drained { served, cut_off, .. } = drained;
    tell(format_args!("served {served} requests, cut off {cut_off} connections"));
    Ok(())
}

/// Prints a line, if anybody still reads: `serve | head -1` must not end the server.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Allows as many descriptors as the system does, and tells how many that is, if it is a number.
fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}
