//! C compilers that are refused before anything runs.

use expect_test::{Expect, expect};

use super::Space;
use super::refusals::refused;
use crate::PlatformChoice;

#[test]
fn commands_of_compilers() {
    let space = Space::new();
    let check = |fields: &str, expected| {
        refused(&space, &format!(r#""server": GoBuild(packages: ["."], {fields})"#), "server", expected);
    };
    check(
        r#"cgo: true, env: {"CC": "arm-gcc -march=x"}"#,
        expect![[r#"
            environment: the C compiler `arm-gcc` was not found
            hint: correct `CC`"#]],
    );
    check(
        r#"cgo: true, env: {"CC": "'gcc"}"#,
        expect![[r#"
            input: `CC` is `'gcc`, which is no command
            hint: close the quote, or leave it out"#]],
    );
}

/// Compilers for other platforms have usual names, or must be named.
#[test]
fn compilers_for_other_platforms() {
    let check = |platform: &str, fields: &str, expected: Expect| {
        let mut space = Space::new();
        space.replace_in_head("\"linux/arm64\"", &format!("\"{platform}\""));
        space.platforms = PlatformChoice::Some(vec![rondel_buildfile::Platform::new(platform).unwrap()]);
        let text = format!(r#""server": GoBuild(packages: ["."], cgo: true, {fields})"#);
        refused(&space, &text, "server", expected);
    };
    check(
        "linux/arm64",
        "",
        expect![[r#"
            environment: cgo for linux/arm64 needs a C compiler that makes programs for it, and `aarch64-linux-gnu-gcc` is not on PATH
            hint: install it (Debian: `apt install gcc-aarch64-linux-gnu`), or name another: by_platform: {"linux/arm64": (env: {"CC": "…"})}"#]],
    );
    check(
        "linux/arm",
        r#"env: {"GOARM": "6,softfloat"}"#,
        expect![[r#"
            environment: cgo for linux/arm needs a C compiler that makes programs for it, and `arm-linux-gnueabi-gcc` is not on PATH
            hint: install it (Debian: `apt install gcc-arm-linux-gnueabi`), or name another: by_platform: {"linux/arm": (env: {"CC": "…"})}"#]],
    );
    check(
        "windows/arm64",
        "",
        expect![[r#"
            environment: cgo for windows/arm64 needs a C compiler that makes programs for it, and `aarch64-w64-mingw32-gcc` is not on PATH
            hint: install it (llvm-mingw has it), or name another: by_platform: {"windows/arm64": (env: {"CC": "…"})}"#]],
    );
    check(
        "darwin/arm64",
        "",
        expect![[r#"
            input: cgo for darwin/arm64 needs a C compiler that makes programs for it, and none has a usual name
            hint: name it: by_platform: {"darwin/arm64": (env: {"CC": "…"})}, or build without cgo there: {"darwin/arm64": (cgo: false)}"#]],
    );
    check(
        "darwin/arm64",
        r#"env: {"CC": "oa64-clang"}"#,
        expect![[r#"
            environment: the C compiler `oa64-clang` was not found
            hint: correct `CC`"#]],
    );
}
