#![no_main]
//! See `rondel_tests::ENTRY_POINTS`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rondel_tests::call("executable", bytes));
