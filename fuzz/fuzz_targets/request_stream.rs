//! A connection's worth of requests: every split of them gives the same events.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring::fuzzing::request_stream(data));
