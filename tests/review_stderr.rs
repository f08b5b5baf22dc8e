//! What is reported on standard error harms nobody where nobody reads it.
#![cfg(not(loom))]

use mainspring::hooks::{Finish, Hooks, TaskInfo};
use mainspring::{LocalRuntime, spawn};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Says to the process that this test starts that it is the one.
const INSIDE: &str = "MAINSPRING_TEST_STDERR";

struct Panics;

impl Hooks for Panics {
    fn on_finish(&self, _: &TaskInfo, _: Finish) {
        panic!("a hook");
    }
}

#[test]
fn a_hook_panics_while_nobody_reads_standard_error() {
    if std::env::var_os(INSIDE).is_some() {
        // Ends once standard error is closed.
        std::io::read_to_string(std::io::stdin()).unwrap();
        let rt = LocalRuntime::builder().hooks(Arc::new(Panics)).build().unwrap();
        assert_eq!(rt.block_on(async { spawn(async { 7 }).await }).unwrap(), 7);
        return;
    }
    let mut inside = Command::new(std::env::current_exe().unwrap())
        // Captured output would not get as far as standard error.
        .args(["--exact", "a_hook_panics_while_nobody_reads_standard_error", "--nocapture"])
        .env(INSIDE, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(inside.stderr.take());
    assert!(inside.wait().unwrap().success());
}
