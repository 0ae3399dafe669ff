//! Compares the parts of the machine found when the tests were compiled with those that are there when they run.

use std::fs::File;
use std::time::SystemTime;

use crate::parts::{PARTS, missing};

fn missing_when_compiled() -> Vec<&'static str> {
    env!("RONDEL_TEST_MISSING").split(',').filter(|cfg| !cfg.is_empty()).collect()
}

fn in_words(cfgs: &[&str]) -> String {
    let parts = PARTS.iter().filter(|part| cfgs.contains(&part.cfg));
    parts.map(|part| format!("\n  no {}", part.name)).collect()
}

/// Otherwise tests would be ignored that could run, or fail for want of a part.
#[test]
fn the_machine_is_as_it_was_when_the_tests_were_compiled() {
    let (then, now) = (missing_when_compiled(), missing());
    if then != now {
        // The next `cargo test` looks again.
        let stale = File::options().write(true).open(concat!(env!("OUT_DIR"), "/stale")).unwrap();
        stale.set_modified(SystemTime::now()).unwrap();
        panic!(
            "parts of this machine came or went since the tests were compiled; run the tests again\nthen:{}\nnow:{}",
            in_words(&then),
            in_words(&now)
        );
    }
}

/// CI sets `RONDEL_TEST_REQUIRE`: there a part that is missing is a failure, so that no test is ignored.
#[test]
fn nothing_is_missing_where_everything_is_required() {
    let missing = missing_when_compiled();
    let is_required = std::env::var_os("RONDEL_TEST_REQUIRE").is_some();
    assert!(!is_required || missing.is_empty(), "RONDEL_TEST_REQUIRE is set, and there is{}", in_words(&missing));
}

/// A reason on a test's line is the name of the part that its cfg stands for.
#[test]
fn reasons_of_ignored_tests_are_true() {
    let mut ignored = 0;
    for path in crate::tidy::rust_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("#[cfg_attr(not(has_")) {
            let known = PARTS
                .iter()
                .any(|part| line == format!("#[cfg_attr(not({}), ignore = \"no {}\")]", part.cfg, part.name));
            assert!(known, "{}: {line}", path.display());
            ignored += 1;
        }
        let plain = text.lines().find(|line| line.trim().starts_with("#[ignore"));
        assert!(plain.is_none(), "{}: a test that is ignored everywhere: {plain:?}", path.display());
    }
    assert!(ignored > 15, "the attributes are written in another way");
}
