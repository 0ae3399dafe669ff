//! What systemd has to be told when a package with units comes and goes. A unit is neither enabled nor started by
//! itself.

use std::collections::BTreeSet;

use super::PackageError;

/// When a script runs, in the format's own condition for "removed, not upgraded".
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    BeforeInstall,
    AfterInstall,
    BeforeRemoval,
    AfterRemoval,
}

/// Returns the script that is stored: `script` with what the units need before it. Empty if there is none of both.
/// `is_removal` and `is_upgrade` are the format's conditions of the shell.
pub(crate) fn unit_script(
    moment: Moment,
    script: &str,
    units: &BTreeSet<String>,
    (is_removal, is_upgrade): (&str, &str),
) -> Result<String, PackageError> {
    if script.contains('\0') {
        return Err(PackageError::Value("a script of the package holds a NUL".to_owned()));
    }
    let generated = generated(moment, units, is_removal, is_upgrade);
    if generated.is_empty() && script.trim().is_empty() {
        return Ok(String::new());
    }
    let (first, rest) = match script.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => (first, rest),
        _ if script.starts_with("#!") => (script, ""),
        _ => ("#!/bin/sh", script),
    };
    let Some(program) = first[2..].split_whitespace().next() else {
        return Err(PackageError::Value("a script of the package begins with `#!` and names no program".to_owned()));
    };
    let is_shell = matches!(program.rsplit('/').next(), Some("sh" | "bash" | "dash"));
    if !is_shell && !generated.is_empty() {
        return Err(PackageError::Value(format!(
            "a script of a package with units begins with `{}`: lines for systemd come before it, so it has to be one \
             of the shell",
            first.escape_default()
        )));
    }
    let end = if rest.is_empty() || rest.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{first}\n{generated}{rest}{end}"))
}

fn generated(moment: Moment, units: &BTreeSet<String>, is_removal: &str, is_upgrade: &str) -> String {
    // `foo@.service` is a template, which nothing runs under this name.
    let started: Vec<&str> = units.iter().map(String::as_str).filter(|unit| !unit.contains("@.")).collect();
    let names = started.join(" ");
    let running = "[ -d /run/systemd/system ]";
    match moment {
        _ if units.is_empty() => String::new(),
        Moment::BeforeInstall => String::new(),
        Moment::AfterInstall if names.is_empty() => {
            format!("if {running}; then\n    systemctl daemon-reload || :\nfi\n")
        }
        Moment::AfterInstall => format!(
            "if {running}; then\n    systemctl daemon-reload || :\n    if {is_upgrade}; then systemctl try-restart {names} || :; \
             fi\nfi\n"
        ),
        Moment::BeforeRemoval if names.is_empty() => String::new(),
        Moment::BeforeRemoval => {
            format!("if {is_removal} && {running}; then\n    systemctl disable --now {names} || :\nfi\n")
        }
        Moment::AfterRemoval => format!("if {running}; then\n    systemctl daemon-reload || :\nfi\n"),
    }
}
