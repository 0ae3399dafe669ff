//! cgo for platforms that are not this machine's: which compiler is taken, whose key holds it, and the programs that it
//! makes. They run under qemu.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::space::{TestSpace, repository, shared_cache};

const BOTH: &str = r#"["linux/amd64", "linux/arm64"]"#;
/// `EM_AARCH64`
const AARCH64: u16 = 183;

/// The small module with a program that has a C file, a header of its own, and uses the C library.
fn with_c(fields: &str) -> TestSpace {
    let space = TestSpace::small();
    space.write(
        "cmd/small/main.go",
        "package main\n\n/*\n#cgo LDFLAGS: -lm\n#include <math.h>\n#include \"answer.h\"\n*/\nimport \"C\"\n\n\
         import (\n\t\"fmt\"\n\t\"runtime\"\n)\n\n\
         func main() { fmt.Println(runtime.GOARCH, int(C.answer()), float64(C.sqrt(2))) }\n",
    );
    space.write("cmd/small/answer.h", "int answer(void);\n#ifndef EXTRA\n#define EXTRA 0\n#endif\n");
    space.write("cmd/small/answer.c", "#include \"answer.h\"\nint answer(void) { return 42 + EXTRA; }\n");
    space.replace(
        "build.ron",
        "        \"image\": Image(",
        &format!("        \"c\": GoBuild(packages: [\"./cmd/small\"], {fields}),\n        \"image\": Image("),
    );
    space
}

/// What the executable for ARM prints under qemu, which gets `flags`.
fn emulated(flags: &[&str], executable: &Path) -> String {
    let output = Command::new("qemu-aarch64").args(flags).arg(executable).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const GLIBC: &[&str] = &["-L", "/usr/aarch64-linux-gnu"];

/// Flags of the C compiler that the go command gives by itself, and of the linker.
const DEFAULTS: (&str, &str) = ("-O2 -g", "");

/// What a bare `go build` makes with a compiler.
fn bare(space: &TestSpace, compiler: &str, architecture: &str, (cflags, ldflags): (&str, &str)) -> Vec<u8> {
    let out = space.beside("bare");
    let output = Command::new(space.cache().join("go/toolchains/go1.22.12.linux-amd64/sdk/bin/go"))
        .args(["build", "-trimpath", "-buildvcs=false", &format!("-ldflags=-buildid= {ldflags}"), "-o"])
        .arg(&out)
        .arg("./cmd/small")
        .current_dir(space.root())
        .env_clear()
        .env("HOME", space.beside("home"))
        .env("GOCACHE", shared_cache().with_file_name("bare-go-build"))
        .envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "1"), ("GOPROXY", "off"), ("PATH", "/usr/bin:/bin")])
        .envs([("GOOS", "linux"), ("GOARCH", architecture), ("CC", compiler), ("CGO_CFLAGS", cflags)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(out).unwrap()
}

fn machine(executable: &[u8]) -> u16 {
    u16::from_le_bytes([executable[18], executable[19]])
}

fn steps(ran: &BTreeMap<String, String>) -> Vec<&str> {
    ran.keys().map(String::as_str).collect()
}

#[test]
#[cfg_attr(not(has_aarch64_gcc), ignore = "no aarch64-linux-gnu-gcc with qemu-aarch64")]
fn another_platform_is_built_by_its_own_compiler() {
    let mut space = with_c(&format!("cgo: true, platforms: {BOTH}"));
    let all = ["c", "--all-platforms"];
    let (own, foreign) = ("dist/c/linux_amd64/small", "dist/c/linux_arm64/small");
    space.ok(&all);
    assert_eq!(machine(&space.bytes(foreign)), AARCH64);
    assert!(space.bytes(foreign) == bare(&space, "aarch64-linux-gnu-gcc", "arm64", DEFAULTS), "a bare go build");
    assert!(space.bytes(own) == bare(&space, "gcc", "amd64", DEFAULTS), "a bare go build");
    let printed = |space: &TestSpace| emulated(GLIBC, &space.root().join(foreign));
    assert_eq!(printed(&space), "arm64 42 1.4142135623730951\n");
    assert!(space.ran(&all).is_empty());
    let plan = space.ok(&["plan", "-v", "c", "--all-platforms"]).stdout;
    assert!(plan.contains("compiled by /usr/bin/aarch64-linux-gnu-gcc\n"), "{plan}");
    // Another compiler of one platform, by its contents.
    space.program("aarch64-linux-gnu-gcc", "exec /usr/bin/aarch64-linux-gnu-gcc \"$@\" # one");
    let ran = space.ran(&all);
    assert_eq!(steps(&ran), ["c (linux/arm64)"]);
    assert!(ran["c (linux/arm64)"].contains("C compiler"), "{ran:?}");
    space.program("aarch64-linux-gnu-gcc", "exec /usr/bin/aarch64-linux-gnu-gcc \"$@\" # two");
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    space.program("gcc", "exec /usr/bin/gcc \"$@\" # one");
    assert_eq!(steps(&space.ran(&all)), ["c (linux/amd64)"]);
    // Arguments of a declared compiler, and a header in a directory that they name.
    let include = space.beside("include");
    fs::create_dir_all(&include).unwrap();
    fs::write(include.join("extra.h"), "#define EXTRA 1\n").unwrap();
    let declared = |flags: &str| format!("\"aarch64-linux-gnu-gcc {flags}\"");
    let flags = format!("-I{} -include extra.h", include.display());
    let field = format!("cgo: true, by_platform: {{\"linux/arm64\": (env: {{\"CC\": {}}})}}", declared(&flags));
    space.replace("build.ron", "cgo: true", &field);
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "arm64 43 1.4142135623730951\n");
    fs::write(include.join("extra.h"), "#define EXTRA 20\n").unwrap();
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "arm64 62 1.4142135623730951\n");
    space.replace("build.ron", &declared(&flags), &declared("-DEXTRA=5"));
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "arm64 47 1.4142135623730951\n");
    space.replace("build.ron", "-DEXTRA=5", "-DEXTRA=6");
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "arm64 48 1.4142135623730951\n");
    // Without cgo on that platform, there is no C compiler in its key.
    space.replace("build.ron", "(env: {\"CC\": \"aarch64-linux-gnu-gcc -DEXTRA=6\"})", "(cgo: false)");
    space.run(&all).fails(1, &["build constraints exclude all Go files in", "hint: a package that needs cgo"]);
}

/// The example of the page about cgo, with a module that fits.
#[test]
#[cfg_attr(not(has_aarch64_gcc), ignore = "no aarch64-linux-gnu-gcc with qemu-aarch64")]
fn the_example_of_the_page_is_static() {
    let space = with_c("cgo: true");
    let page = fs::read_to_string(repository().join("docs/cgo.md")).unwrap();
    let example = page.split("```ron\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    space.write("build.ron", example);
    space.ok(&["server", "--all-platforms"]);
    let executable = "dist/server/linux_arm64/small";
    assert_eq!(machine(&space.bytes(executable)), AARCH64);
    let wanted = bare(&space, "aarch64-linux-gnu-gcc", "arm64", ("-O2 -mcpu=cortex-a72", "-s -w -extldflags=-static"));
    assert!(space.bytes(executable) == wanted, "a bare go build");
    // No `-L`: there is no dynamic linker to look for.
    assert_eq!(emulated(&[], &space.root().join(executable)), "arm64 42 1.4142135623730951\n");
}

/// This machine's packages are not those of another platform.
#[test]
#[cfg_attr(not(has_aarch64_gcc), ignore = "no aarch64-linux-gnu-gcc with qemu-aarch64")]
fn packages_of_this_machine_are_not_taken_for_another_platform() {
    let mut space = with_c(&format!("cgo: true, platforms: {BOTH}"));
    space.replace("cmd/small/main.go", "#cgo LDFLAGS: -lm\n", "#cgo LDFLAGS: -lm\n#cgo pkg-config: thing\n");
    let packages = space.beside("packages");
    fs::create_dir_all(&packages).unwrap();
    fs::write(packages.join("thing.pc"), "").unwrap();
    let says = |value: &str| {
        format!("case \"$*\" in\n*pcfiledir*) echo {};;\n*--cflags*) echo -DEXTRA={value};;\nesac", packages.display())
    };
    // Finds the package in the directories of this machine, or in those that it is told.
    let own = format!(
        "e=1; case \"$PKG_CONFIG_LIBDIR\" in */usr/lib/aarch64-linux-gnu/pkgconfig*) e=2;; esac\n{}",
        says("$e")
    );
    space.program("pkg-config", &own);
    let all = ["c", "--all-platforms"];
    let printed = |space: &TestSpace| {
        let own = Command::new(space.root().join("dist/c/linux_amd64/small")).output().unwrap();
        let foreign = emulated(GLIBC, &space.root().join("dist/c/linux_arm64/small"));
        let both = format!("{}{foreign}", String::from_utf8_lossy(&own.stdout));
        both.replace(" 1.4142135623730951\n", ";")
    };
    space.ok(&all);
    assert_eq!(printed(&space), "amd64 43;arm64 44;");
    // One for the platform is preferred, and its contents count.
    space.program("aarch64-linux-gnu-pkg-config", &says("3"));
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "amd64 43;arm64 45;");
    space.program("aarch64-linux-gnu-pkg-config", &says("4"));
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "amd64 43;arm64 46;");
    assert!(space.ran(&all).is_empty());
    // A package that is not there for the platform is no package, whatever this machine has.
    fs::remove_file(space.beside("programs").join("aarch64-linux-gnu-pkg-config")).unwrap();
    space.program(
        "pkg-config",
        &format!("test -z \"$PKG_CONFIG_LIBDIR\" || {{ echo no thing >&2; exit 1; }}\n{}", says("1")),
    );
    let words = [
        "no thing",
        "hint: pkg-config looked in /usr/local/lib/aarch64-linux-gnu/pkgconfig:/usr/lib/aarch64-linux-gnu/pkgconfig:",
    ];
    space.run(&all).fails(1, &words);
    space.program("pkg-config", &own);
    // What the target says decides.
    let declared =
        "cgo: true, by_platform: {\"linux/arm64\": (env: {\"PKG_CONFIG_LIBDIR\": \"/usr/lib/other/pkgconfig\"})}";
    space.replace("build.ron", "cgo: true", declared);
    assert_eq!(steps(&space.ran(&all)), ["c (linux/arm64)"]);
    assert_eq!(printed(&space), "amd64 43;arm64 43;");
}

#[test]
fn a_missing_compiler_is_named_before_anything_is_built() {
    let mut space = with_c(r#"cgo: true, platforms: ["linux/amd64", "linux/s390x"]"#);
    space.program("gcc", "exit 1");
    let programs = space.beside("programs").display().to_string();
    space.set("PATH", &programs);
    let run = space.run(&["c", "--all-platforms"]);
    run.fails(
        3,
        &[
            "error: cgo for linux/s390x needs a C compiler that makes programs for it, and `s390x-linux-gnu-gcc` is not on PATH",
            "hint: install it (Debian: `apt install gcc-s390x-linux-gnu`), or name another: by_platform: {\"linux/s390x\": (env: {\"CC\": \"…\"})}",
        ],
    );
    assert!(!space.exists("dist"));
    let missing = "missing  a C compiler for linux/s390x (s390x-linux-gnu-gcc): `cgo: true` links with it; install it \
                   (Debian: `apt install gcc-s390x-linux-gnu`), or name another with `CC` (needed by c)\n";
    let doctor = space.run(&["doctor"]).stdout;
    assert!(doctor.contains(missing), "{doctor}");
    space.program("s390x-linux-gnu-gcc", "exit 1");
    let doctor = space.run(&["doctor"]).stdout;
    assert!(
        doctor.contains(&format!("C compiler for linux/s390x {programs}/s390x-linux-gnu-gcc (for c)\n")),
        "{doctor}"
    );
}

#[test]
#[cfg_attr(not(has_gcc), ignore = "no gcc")]
fn a_compiler_for_something_else_is_refused() {
    let space = with_c(r#"cgo: true, env: {"CC": "gcc"}, platforms: ["linux/amd64", "linux/arm64"]"#);
    let words = [
        "the C compiler `/usr/bin/gcc` makes programs for x86_64-linux-gnu, not for linux/arm64",
        "hint: name one for it: by_platform: {\"linux/arm64\": (env: {\"CC\": \"…\"})}",
    ];
    space.run(&["c", "--platform", "linux/arm64"]).fails(2, &words);
    space.ok(&["c"]);
}
