//! The house in order: headers, lengths, arrows, leftovers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::space::repository;

pub fn rust_files() -> Vec<PathBuf> {
    fn below(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for directory in ["xtask", "crates", "tests", "benches"] {
        below(&repository().join(directory), &mut found);
    }
    assert!(found.len() > 60, "the walk found too little");
    found
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not begin with `//! `", path.display());
    }
}

#[test]
fn files_stay_readable() {
    for path in rust_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_left_lying_about() {
    let words = [
        ["to", "do!("].concat(),
        ["dbg", "!("].concat(),
        ["unimple", "mented!("].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ];
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        for word in &words {
            assert!(!text.contains(word.as_str()), "{} holds `{word}`", path.display());
        }
    }
}

/// The arrows of ARCHITECTURE.md: who may depend on whom.
#[test]
fn arrows_point_one_way() {
    let allowed: &[(&str, &[&str])] = &[
        ("buildfile", &[]),
        ("cas", &[]),
        ("process", &[]),
        ("engine", &["cas", "process"]),
        ("oci", &["cas"]),
        ("golang", &["cas", "engine", "process"]),
        ("compare", &["golang"]),
        ("targets", &["buildfile", "cas", "engine", "golang", "oci", "process"]),
        ("rondel", &["buildfile", "cas", "compare", "engine", "golang", "process", "targets"]),
    ];
    for (name, allowed) in allowed {
        let manifest = fs::read_to_string(repository().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        for line in manifest.lines().filter_map(|line| line.strip_prefix("rondel-")) {
            let other = line.split('.').next().unwrap();
            assert!(allowed.contains(&other), "{name} depends on {other}");
        }
    }
    let crates = fs::read_dir(repository().join("crates")).unwrap().count();
    assert_eq!(crates, allowed.len(), "a crate without a line here");
}

/// Every package of the lock file costs a millisecond on every `cargo xtask`.
#[test]
fn the_lock_file_stays_small() {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let packages = lock.matches("[[package]]").count();
    assert!(packages <= 105, "{packages} packages");
}
