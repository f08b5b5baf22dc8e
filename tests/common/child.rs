//! Tests that change what holds for the whole process, and so have one to themselves.

use std::process::Command;

const CHILD: &str = "MAINSPRING_TEST_ALONE";

/// Runs `test` in a process of its own: this one, run again for that test only.
#[track_caller]
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let itself = std::env::current_exe().unwrap();
    let output = Command::new(itself)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let (said, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}{told}");
}
