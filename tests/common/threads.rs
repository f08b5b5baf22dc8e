//! The threads of this process, as the system lists them.

use std::fs::{read_dir, read_to_string};

/// The numbers of those whose names begin so. Of a name the system keeps 15 bytes.
pub(crate) fn named(prefix: &str) -> Vec<u32> {
    let threads = read_dir("/proc/self/task").unwrap();
    let numbers = threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().to_owned());
    let is_named = |number: &String| {
        // It may have ended meanwhile.
        let name = read_to_string(format!("/proc/self/task/{number}/comm"));
        name.is_ok_and(|name| name.starts_with(prefix))
    };
    numbers.filter(is_named).map(|number| number.parse().unwrap()).collect()
}
