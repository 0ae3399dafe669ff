//! See `rondel_tests::ENTRY_POINTS`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rondel_tests::call("signatures", bytes));
