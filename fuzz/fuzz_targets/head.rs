//! A request head: every split of it says the same, and what is accepted is sound.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring::fuzzing::head(data));
