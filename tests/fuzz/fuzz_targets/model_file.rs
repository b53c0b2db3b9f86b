#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| equibatch_tests::fuzz::model_file(data));
