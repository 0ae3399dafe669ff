//! The house in order: headers, lengths, arrows, leftovers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Functions are held by clippy (`too_many_lines`, with the limit of clippy.toml).
#[test]
fn files_stay_readable() {
    for path in rust_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        let limit = if is_test { 600 } else { 500 };
        assert!(lines <= limit, "{} has {lines} lines, of at most {limit}", path.display());
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

/// The room and the crates that it depends on, of each row of the table in ARCHITECTURE.md that names a crate.
fn arrows_in_the_table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let rows =
        text.lines().skip_while(|line| *line != "## The rooms").skip(1).take_while(|line| !line.starts_with("## "));
    let mut arrows = BTreeMap::new();
    for row in rows.filter(|line| line.starts_with("| `crates/") || line.starts_with("| `xtask`")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let names = cells[3].split(", ").filter(|cell| *cell != "nothing here");
        let names = names.map(|name| name.trim_matches('`').to_owned()).collect();
        arrows.insert(cells[0].trim_matches('`').to_owned(), names);
    }
    arrows
}

/// The crates of this repository that a manifest names, for the tests of the crate too.
fn arrows_in_the_manifest(room: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(repository().join(room).join("Cargo.toml")).unwrap();
    let sections = manifest.split("\n[").filter(|section| section.contains("dependencies]\n"));
    let lines = sections.flat_map(|section| section.lines().skip(1));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| name.starts_with("rondel"));
    names.map(|name| name.strip_prefix("rondel-").unwrap_or(name).to_owned()).collect()
}

/// The table of ARCHITECTURE.md is the one place where arrows between crates are decided.
#[test]
fn arrows_are_those_of_the_table() {
    let table = arrows_in_the_table();
    let mut rooms: BTreeSet<String> = BTreeSet::from(["xtask".to_owned()]);
    for entry in fs::read_dir(repository().join("crates")).unwrap().flatten() {
        rooms.insert(format!("crates/{}", entry.file_name().into_string().unwrap()));
    }
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), rooms, "rooms of the table, and those that there are");
    for (room, allowed) in &table {
        let there = arrows_in_the_manifest(room);
        assert_eq!(allowed, &there, "{room}: the table of ARCHITECTURE.md, and its Cargo.toml");
    }
}

/// Nothing that an arrow leads to leads back. (Cargo refuses it too, but for dependencies of tests.)
#[test]
fn arrows_point_one_way() {
    let table = arrows_in_the_table();
    let mut placed: BTreeSet<String> = BTreeSet::new();
    while placed.len() < table.len() {
        let before = placed.len();
        for (room, arrows) in &table {
            if arrows.is_subset(&placed) {
                placed.insert(room.trim_start_matches("crates/").to_owned());
            }
        }
        assert!(placed.len() > before, "a circle of crates beside {placed:?}");
    }
}

/// What `{:?}` writes is Rust's to change: where keys are made, bytes are written on purpose.
#[test]
fn no_key_holds_what_debug_prints() {
    for name in ["cas", "closure", "engine", "golang", "oci", "targets", "tree"] {
        for path in
            rust_files().iter().filter(|path| path.starts_with(repository().join("crates").join(name).join("src")))
        {
            if path.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("mod tests {").next().unwrap();
            let line = code.lines().position(|line| line.contains("?}") && !line.trim_start().starts_with("//"));
            assert_eq!(line, None, "{} formats with `{{:?}}`", path.display());
        }
    }
}

/// Every package of the lock file costs a millisecond on every `cargo xtask`. Our own are in the table of rooms. 28 of them
/// belong to the feature `signing`, which is off: they are in the lock file of who has it on.
#[test]
fn the_lock_file_stays_small() {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let of_others = lock.matches("\nsource = ").count();
    assert!(of_others <= 95 + 28, "{of_others} packages of others");
}

/// The packages of others that `cargo xtask` compiles, with those of other systems. Features that are off add none.
#[test]
fn the_first_compile_stays_small() {
    let mut command = Command::new("cargo");
    command.current_dir(repository()).args(["tree", "--offline", "--locked", "--package", "xtask", "--target", "all"]);
    command.args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe", "--format", "{p}"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let of_others: BTreeSet<&str> = text.lines().filter(|line| !line.contains("(/")).collect();
    assert!(of_others.iter().any(|package| package.starts_with("ring ")), "{text}");
    assert!(!of_others.iter().any(|package| package.starts_with("p256 ")), "{text}");
    assert!(of_others.len() <= 93, "{} packages of others", of_others.len());
}

/// Each promise names the test that holds it: a test that is renamed or removed takes its name along.
#[test]
fn promises_name_tests_that_exist() {
    let text = fs::read_to_string(repository().join("docs/promises.md")).unwrap();
    let sources: String = rust_files().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let names: BTreeSet<&str> =
        text.split('`').skip(1).step_by(2).filter_map(|word| Some(word.rsplit_once("::")?.1)).collect();
    assert!(names.len() > 40, "the page has lost its tests");
    for name in names {
        assert!(sources.contains(&format!("fn {name}(")), "docs/promises.md names `{name}`, which is no test");
    }
}
