#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| equibatch_tests::fuzz::position_token(data));
