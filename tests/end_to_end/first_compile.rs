//! The first `cargo xtask` on a machine: what a terminal shows while everything is compiled.

use std::process::Command;

use crate::space::{TestSpace, repository};

/// Once, at once, and only for the program that `cargo xtask` runs.
#[test]
fn a_terminal_is_told_that_it_compiles() {
    let space = TestSpace::empty();
    let target = space.beside("target");
    let compile = |profile: &str| {
        let cargo = format!("{} build --quiet --offline --profile {profile} --package rondel-names", env!("CARGO"));
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--return", "--command", &cargo, "/dev/null"]).current_dir(repository());
        let output = terminal.env("CARGO_TARGET_DIR", &target).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(compile("xtask"), "Compiling Rondel, once (about a minute)\r\n");
    assert_eq!(compile("xtask"), "");
    assert_eq!(compile("dev"), "");
}
