#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring::fuzzing::wheel_ops(data));
