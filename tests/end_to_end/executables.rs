//! Names of executables, settings of single platforms, stamps and tags of a `GoBuild`, on real Go.

use std::fs;
use std::process::Command;

use crate::space::{TestSpace, shared_cache};

/// The small module with more commands, of which two have one name by Go.
fn commands(fields: &str) -> TestSpace {
    let space = TestSpace::small();
    for (path, text) in [("tools/a/run", "one"), ("tools/b/run", "two"), ("tools/walk", "three")] {
        let source = format!(
            "package main\n\nimport \"example.com/small/greet\"\n\nfunc main() {{ println(\"{text}\", greet.Text()) }}\n"
        );
        space.write(&format!("{path}/main.go"), &source);
    }
    space.replace(
        "build.ron",
        "        \"image\": Image(",
        &format!("        \"bins\": GoBuild({fields}),\n        \"image\": Image("),
    );
    space
}

/// What `go build -o NAME` makes of one package, without Rondel.
fn bare(space: &TestSpace, flags: &[&str], package: &str) -> Vec<u8> {
    let out = space.beside("named");
    let output = Command::new(space.cache().join("go/toolchains/go1.22.12.linux-amd64/sdk/bin/go"))
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid="])
        .args(flags)
        .arg("-o")
        .arg(&out)
        .arg(package)
        .current_dir(space.root())
        .env_clear()
        .env("HOME", space.beside("home"))
        .env("GOCACHE", shared_cache().with_file_name("bare-go-build"))
        .envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0"), ("GOPROXY", "off")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(out).unwrap()
}

fn names(space: &TestSpace, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(space.root().join(directory)).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_executable_has_the_declared_name_and_the_same_bytes() {
    let space = commands(
        r#"packages: ["./tools/a/run"], name: "alpha", sbom: true, platforms: ["linux/amd64", "windows/amd64"]"#,
    );
    space.replace("build.ron", "\"/app/small\": Output(\"server\")", "\"/app/alpha\": Output(\"bins\", \"alpha\")");
    space.replace("build.ron", "        \"image\": Image(", "        \"use\": Exec(command: [Output(\"bins\", \"alpha\")], inputs: [], outputs: []),\n        \"sizes\": Exec(command: [\"cp\", Output(\"bins\", \"windows_amd64/alpha\"), \"copied\"], inputs: [], outputs: [\"copied\"]),\n        \"image\": Image(");
    space.ok(&["bins", "--all-platforms"]);
    assert_eq!(names(&space, "dist/bins/linux_amd64"), ["alpha", "alpha.spdx.json"]);
    assert_eq!(names(&space, "dist/bins/windows_amd64"), ["alpha.exe", "alpha.exe.spdx.json"]);
    assert!(space.read("dist/bins/linux_amd64/alpha.spdx.json").contains("\"alpha\""));
    assert!(space.bytes("dist/bins/linux_amd64/alpha") == bare(&space, &[], "./tools/a/run"), "a bare go build");
    assert!(space.ran(&["bins", "--all-platforms"]).is_empty());
    assert!(space.ok(&["use"]).stderr.contains("one hello"));
    space.ok(&["sizes"]);
    assert!(space.bytes("copied") == space.bytes("dist/bins/windows_amd64/alpha.exe"));
    space.ok(&["image", "--platform", "linux/amd64"]);
    // Another name is another output, and the former one goes.
    space.replace("build.ron", "name: \"alpha\"", "name: \"beta\"");
    space.replace(
        "build.ron",
        "\"/app/alpha\": Output(\"bins\", \"alpha\")",
        "\"/app/alpha\": Output(\"bins\", \"beta\")",
    );
    assert!(space.ran(&["bins"]).contains_key("bins (linux/amd64)"));
    assert_eq!(names(&space, "dist/bins/linux_amd64"), ["beta", "beta.spdx.json"]);
    space.run(&["use"]).fails(2, &["`bins` makes no `alpha`", "it makes beta, beta.spdx.json"]);
}

#[test]
fn names_by_package_also_where_go_gives_one_twice() {
    let all = r#"packages: ["./tools/..."], gcflags: ["-l"], platforms: ["linux/amd64"]"#;
    let space = commands(all);
    space.run(&["bins"]).fails(
        2,
        &[
            "builds two commands named `run`: example.com/small/tools/a/run and example.com/small/tools/b/run",
            "name: {\"./tools/b/run\": \"…\"}",
        ],
    );
    let rename = |from: &str, to: &str| space.replace("build.ron", from, to);
    rename(
        "gcflags: [\"-l\"], ",
        "gcflags: [\"-l\"], name: {\"./tools/b/run\": \"second\", \"example.com/small/tools/walk\": \"run.v2\"}, ",
    );
    space.ok(&["bins"]);
    assert_eq!(names(&space, "dist/bins/linux_amd64"), ["run", "run.v2", "second"]);
    for (name, package) in [("run", "./tools/a/run"), ("second", "./tools/b/run"), ("run.v2", "./tools/walk")] {
        let made = space.bytes(&format!("dist/bins/linux_amd64/{name}"));
        assert!(made == bare(&space, &["-gcflags=-l"], package), "{name}");
    }
    assert!(space.ran(&["bins"]).is_empty());
    // The same outputs, of other packages.
    rename(
        "\"./tools/b/run\": \"second\", \"example.com/small/tools/walk\": \"run.v2\"",
        "\"./tools/b/run\": \"run.v2\", \"example.com/small/tools/walk\": \"second\"",
    );
    let reason = &space.ran(&["bins"])["bins (linux/amd64)"];
    assert!(reason.starts_with("names changed from `example.com/small/tools/b/run is second"), "{reason}");
    let run = Command::new(space.root().join("dist/bins/linux_amd64/run.v2")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "two hello\n\n");
    // The name of one is that of another by Go.
    rename(
        "\"./tools/b/run\": \"run.v2\", \"example.com/small/tools/walk\": \"second\"",
        "\"./tools/b/run\": \"walk\", \"./tools/walk/\": \"x\"",
    );
    space.ok(&["bins"]);
    assert_eq!(names(&space, "dist/bins/linux_amd64"), ["run", "walk", "x"]);
    rename("\"./tools/walk/\": \"x\"", "\"./tools/wlak\": \"x\"");
    space.run(&["bins"]).fails(2, &["builds no command of the package `./tools/wlak`", "did you mean `./tools/walk`?"]);
    rename(
        "\"./tools/b/run\": \"walk\", \"./tools/wlak\": \"x\"",
        "\"./tools/b/run\": \"walk\", \"./tools/../tools/b/run\": \"x\"",
    );
    space
        .run(&["bins"])
        .fails(2, &["`./tools/b/run` and `./tools/../tools/b/run` are one package, and it has two names"]);
    rename("name: {\"./tools/b/run\": \"walk\", \"./tools/../tools/b/run\": \"x\"}", "name: \"x\"");
    space
        .run(&["bins"])
        .fails(2, &["builds 3 commands, and `name` names one: run, run, walk", "name: {\"./tools/a/run\": \"…\"}"]);
}

/// A command for one system alone has its name there, and is no mistake elsewhere.
#[test]
fn a_package_that_a_platform_leaves_out_keeps_its_name() {
    let space = commands(
        r#"packages: ["./tools/..."], name: {"./tools/walk": "w", "./tools/b/run": "b"}, platforms: ["linux/amd64", "windows/amd64"]"#,
    );
    space.replace("tools/walk/main.go", "package main", "//go:build windows\n\npackage main");
    space.ok(&["bins", "--all-platforms"]);
    assert_eq!(names(&space, "dist/bins/linux_amd64"), ["b", "run"]);
    assert_eq!(names(&space, "dist/bins/windows_amd64"), ["b.exe", "run.exe", "w.exe"]);
}

/// The modules of a program for two systems, whose build says what it was built with.
fn of_platforms(fields: &str) -> TestSpace {
    let space = TestSpace::small();
    space.replace(
        "build.ron",
        "\"linux/amd64\", \"linux/arm64\"",
        "\"linux/amd64\", \"linux/amd64/v3\", \"windows/amd64\"",
    );
    space.write("cmd/small/tagged.go", "//go:build svc\n\npackage main\n\nfunc init() { println(\"as a service\") }\n");
    space.replace("build.ron", "ldflags: [\"-s\", \"-w\"],", &format!("by_platform: {{\n{fields}\n}},"));
    // Of each platform, whatever other targets are for.
    space.replace("build.ron", "        \"image\": Image(", "        \"image\": Image(platforms: [\"linux/amd64\"], ");
    space
}

fn build_info(space: &TestSpace, file: &str) -> String {
    let path = space.root().join("dist/server").join(file);
    let output = Command::new("go").args(["version", "-m"]).arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Each field of an entry is in the keys of its own platforms, and of no others.
#[test]
fn settings_of_a_platform_are_in_its_key_alone() {
    let space = of_platforms("\"windows/*\": (ENTRY),");
    let entry = |text: &str, former: &str| space.replace("build.ron", &format!("({former})"), &format!("({text})"));
    entry("", "ENTRY");
    space.ok(&["server", "--all-platforms"]);
    let linux = space.bytes("dist/server/linux_amd64/small");
    let mut former = "";
    for (text, shown) in [
        (r#"tags: ["svc"]"#, "-tags=svc"),
        (r#"ldflags: ["-w"]"#, "small.exe"),
        (r#"gcflags: ["-N"]"#, "-gcflags=-N"),
        (r#"stamp: {"main.version": "for windows"}"#, "small.exe"),
        (r#"stamp: {"main.version": "for Windows"}"#, "small.exe"),
        (r#"env: {"GOAMD64": "v2"}"#, "GOAMD64=v2"),
        (r#"buildmode: "exe""#, "-buildmode=exe"),
    ] {
        entry(text, former);
        let ran = space.ran(&["server", "--all-platforms"]);
        assert_eq!(ran.keys().collect::<Vec<_>>(), ["server (windows/amd64)"], "{text}: {ran:?}");
        let info = build_info(&space, "windows_amd64/small.exe");
        assert!(info.contains(shown), "{text}: {info}");
        assert!(space.ran(&["server", "--all-platforms"]).is_empty(), "{text}");
        former = text;
    }
    assert!(space.bytes("dist/server/linux_amd64/small") == linux);
    // And what they make is what a bare build with them makes.
    entry(r#"tags: ["svc"], ldflags: ["-w"]"#, former);
    space.replace("build.ron", "\"windows/*\"", "\"linux/amd64/v3\"");
    space.replace("build.ron", "stamp: {\"main.version\": \"{version}\"}", "stamp: {}");
    space.ok(&["server", "--all-platforms"]);
    assert!(space.bytes("dist/server/linux_amd64/small") == bare(&space, &[], "./cmd/small"));
    let run = Command::new(space.root().join("dist/server/linux_amd64/small")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "");
    let info = build_info(&space, "linux_amd64_v3/small");
    assert!(info.contains("-tags=svc") && info.contains("GOAMD64=v3"), "{info}");
}

#[test]
#[cfg_attr(not(has_gcc), ignore = "no gcc")]
fn cgo_on_one_platform() {
    let space = of_platforms(r#""linux/amd64": (cgo: true, env: {"CGO_CFLAGS": "-DANSWER=41"}),"#);
    space.write(
        "cmd/small/c.go",
        "package main\n\n// int answer = ANSWER;\nimport \"C\"\n\nfunc init() { println(C.answer) }\n",
    );
    space.ok(&["server", "--all-platforms"]);
    let run = || Command::new(space.root().join("dist/server/linux_amd64/small")).output().unwrap().stderr;
    assert_eq!(String::from_utf8_lossy(&run()), "41\n");
    assert!(build_info(&space, "windows_amd64/small.exe").contains("CGO_ENABLED=0"));
    space.replace("build.ron", "-DANSWER=41", "-DANSWER=42");
    // A pattern without a variant is for all of them.
    let ran = space.ran(&["server", "--all-platforms"]);
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["server (linux/amd64)", "server (linux/amd64/v3)"]);
    assert_eq!(String::from_utf8_lossy(&run()), "42\n");
}
