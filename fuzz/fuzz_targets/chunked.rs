//! A chunked body: every split of it says the same, and what is encoded is decoded again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring::fuzzing::chunked(data));
