//! The fields of the kinds that run `go`.

use crate::fields::{Fields, Reader};
use crate::kinds::{path, platforms};
use crate::value::Value;
use crate::{BuildMode, Diagnostic, GoBuild, GoTest, Text, TextSource};

pub(crate) fn go_build(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<GoBuild> {
    let packages = fields.take("packages");
    let packages = reader.required(packages, "packages", fields);
    let stamp = fields.take("stamp");
    let env = fields.take("env");
    let platforms_field = fields.take("platforms");
    let result = GoBuild {
        tags: {
            let value = fields.take("tags");
            reader.texts(value)
        },
        ldflags: {
            let value = fields.take("ldflags");
            reader.texts(value)
        },
        gcflags: {
            let value = fields.take("gcflags");
            reader.texts(value)
        },
        stamp: reader.text_map(stamp, false),
        env: reader.environment(env, false),
        cgo: {
            let value = fields.take("cgo");
            reader.boolean(value, false)
        },
        build_mode: {
            let value = fields.take("buildmode");
            value.map_or(Some(BuildMode::Default), |value| build_mode(reader, value)).unwrap_or(BuildMode::Default)
        },
        sbom: {
            let value = fields.take("sbom");
            reader.boolean(value, false)
        },
        platforms: platforms(reader, platforms_field),
        out: {
            let value = fields.take("out");
            path(reader, value)
        },
        packages: {
            let packages = non_empty(reader, packages?, "packages");
            check_patterns(reader, &packages);
            packages
        },
    };
    Some(result)
}

/// `…` is one character in many editors, and three in Go.
fn check_patterns(reader: &mut Reader<'_>, packages: &[Text]) {
    for text in packages {
        if let TextSource::Template(template) = &text.source
            && template.parts.iter().any(|part| matches!(part, crate::Part::Literal(text) if text.contains('…')))
        {
            let message = "a package pattern has three dots, and this is one character that looks like them";
            reader.report(Diagnostic::new(text.span, message).hint("write \"./cmd/...\""));
        }
    }
}

/// `buildmode:`, a string as Go has it.
fn build_mode(reader: &mut Reader<'_>, value: Value<'_>) -> Option<BuildMode> {
    let mode = reader.string(value, "a build mode, \"exe\" or \"pie\"")?;
    match mode.value.as_str() {
        "exe" => Some(BuildMode::Executable),
        "pie" => Some(BuildMode::PositionIndependent),
        "c-archive" | "c-shared" | "plugin" | "shared" => {
            let message =
                format!("`-buildmode={}` needs cgo and makes a library: `GoBuild` makes executables", mode.value);
            reader.report(
                Diagnostic::new(mode.span, message).hint("build it with an `Exec`: command: [\"go\", \"build\", …]"),
            );
            None
        }
        other => {
            let message = format!("`{}` is not a build mode of executables", other.escape_debug());
            reader.report(Diagnostic::new(mode.span, message).hint("write \"exe\" or \"pie\""));
            None
        }
    }
}

fn non_empty(reader: &mut Reader<'_>, value: Value<'_>, name: &str) -> Vec<Text> {
    let before = reader.diagnostics.len();
    let texts = reader.texts(Some(value));
    if texts.is_empty() && reader.diagnostics.len() == before {
        reader.report(Diagnostic::new(value.span(), format!("`{name}` is empty")));
    }
    texts
}

pub(crate) fn go_test(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<GoTest> {
    let packages = fields.take("packages");
    let packages = reader.required(packages, "packages", fields);
    let inputs = fields.take("inputs");
    let env = fields.take("env");
    Some(GoTest {
        race: {
            let value = fields.take("race");
            reader.boolean(value, false)
        },
        tags: {
            let value = fields.take("tags");
            reader.texts(value)
        },
        run: {
            let value = fields.take("run");
            reader.optional_text(value)
        },
        short: {
            let value = fields.take("short");
            reader.boolean(value, false)
        },
        timeout: {
            let value = fields.take("timeout");
            reader.optional_text(value)
        },
        env: reader.environment(env, true),
        inputs: inputs.map(|value| reader.strings(Some(value), "globs")),
        packages: non_empty(reader, packages?, "packages"),
    })
}
