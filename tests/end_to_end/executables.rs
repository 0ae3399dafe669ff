//! Names of executables, settings of single platforms, stamps and tags of a `GoBuild`, on real Go.

use std::fs;
use std::process::Command;

use expect_test::expect;

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
    // By import path it is the same, and a name that is nowhere is none of these.
    space.replace("build.ron", "[\"./tools/...\"]", "[\"example.com/small/tools/...\"]");
    space.replace("build.ron", "\"./tools/walk\": \"w\"", "\"example.com/small/tools/walk\": \"w\"");
    space.ok(&["bins", "--all-platforms"]);
    space.replace("build.ron", "tools/walk\": \"w\"", "tools/wlak\": \"w\"");
    space.run(&["bins"]).fails(2, &["builds no command of the package `example.com/small/tools/wlak`"]);
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

/// Variables of every form, in two packages of the module and one of another.
fn stamped() -> TestSpace {
    let space = TestSpace::small();
    let variables = "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\n\t\"example.com/lib/far\"\n\t\"example.com/small/conf\"\n)\n\n\
        const fixed = \"fixed\"\n\ntype own string\n\ntype alias = string\n\n\
        var (\n\tplain, twin string\n\tvalued  = \"v\"\n\tadded   = \"a\" + \"b\"\n\tfromConst = fixed + \"-x\"\n\taliased alias = \"x\"\n\
        \tconverted = string(\"x\")\n\tcopied = plain\n\tenv = os.Getenv(\"NOTHING\")\n\tprinted = fmt.Sprint(\"p\")\n\
        \tcalled = constant()\n\tcomputed = working()\n\timmediate = func() string { return \"i\" }()\n\ttyped own = \"t\"\n\tnumber = 1\n)\n\n\
        func constant() string { return \"c\" }\n\nfunc working() string {\n\ttext := \"\"\n\tfor range os.Args {\n\t\ttext += \"w\"\n\t}\n\treturn text\n}\n\n\
        func init() {\n\tfor _, pair := range [][2]string{{\"plain\", plain}, {\"twin\", twin}, {\"valued\", valued}, {\"added\", added}, {\"fromConst\", fromConst}, {\"aliased\", aliased}, {\"converted\", converted}, {\"copied\", copied}, {\"env\", env}, {\"printed\", printed}, {\"called\", called}, {\"computed\", computed}, {\"immediate\", immediate}, {\"fixed\", fixed}} {\n\t\tfmt.Println(\"main.\"+pair[0], pair[1])\n\t}\n\
        \tfmt.Println(\"example.com/small/conf.Version\", conf.Version)\n\tfmt.Println(\"example.com/lib/far.Version\", far.Version)\n\tfmt.Println(typed, number)\n}\n";
    space.write("cmd/small/variables.go", variables);
    space.write("conf/conf.go", "package conf\n\nvar Version string\n\nvar Commit = \"none\"\n");
    space.write("unused/unused.go", "package unused\n\nvar Version string\n");
    space.write("lib/go.mod", "module example.com/fork\n\ngo 1.22\n");
    space.write("lib/far/far.go", "package far\n\nvar Version = \"far\"\n");
    space.write(
        "go.mod",
        "module example.com/small\n\ngo 1.22\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ./lib\n",
    );
    space.replace("build.ron", "\"main.version\": \"{version}\"", "STAMP");
    space
}

/// What the linker honours is never refused, and what it ignores in silence is never built without a word.
#[test]
fn stamps_are_judged_as_the_linker_does() {
    let space = stamped();
    let names: Vec<String> =
        "plain twin valued added fromConst aliased converted copied env printed called computed immediate fixed absent"
            .split(' ')
            .map(|name| format!("main.{name}"))
            .chain(
                ["conf.Version", "conf.Absent", "unused.Version", "cmd/small.plain"]
                    .map(|name| format!("example.com/small/{name}")),
            )
            .chain(["example.com/lib/far.Version", "example.com/fork/far.Version"].map(str::to_owned))
            .collect();
    let flags: Vec<String> = names.iter().map(|name| format!("-X {name}=STAMPED")).collect();
    let program = bare(&space, &[&format!("-ldflags=-buildid= {}", flags.join(" "))], "./cmd/small");
    let path = space.beside("bare-program");
    fs::write(&path, program).unwrap();
    crate::space::make_executable(&path);
    let printed = String::from_utf8(Command::new(&path).output().unwrap().stdout).unwrap();
    let mut lines = String::new();
    let mut former = "STAMP".to_owned();
    for name in &names {
        let stamp = format!("\"{name}\": \"STAMPED\"");
        space.replace("build.ron", &former, &stamp);
        former = stamp;
        let run = space.run(&["server", "--platform", "linux/amd64"]);
        let is_honoured = printed.contains(&format!("{name} STAMPED\n"));
        let word = match (run.code, run.stderr.contains("warning: `stamp` sets")) {
            (0, false) => "accepted",
            (0, true) => "warned of",
            _ => "refused",
        };
        assert!(if is_honoured { run.code == 0 } else { word != "accepted" }, "{name}: {word}, {}", run.stderr);
        lines.push_str(&format!("{name}: {}, {word}\n", if is_honoured { "honoured" } else { "ignored" }));
    }
    expect![[r#"
        main.plain: honoured, accepted
        main.twin: honoured, accepted
        main.valued: honoured, accepted
        main.added: honoured, accepted
        main.fromConst: honoured, accepted
        main.aliased: honoured, accepted
        main.converted: honoured, accepted
        main.copied: honoured, warned of
        main.env: ignored, refused
        main.printed: ignored, refused
        main.called: honoured, warned of
        main.computed: ignored, warned of
        main.immediate: honoured, warned of
        main.fixed: ignored, refused
        main.absent: ignored, refused
        example.com/small/conf.Version: honoured, accepted
        example.com/small/conf.Absent: ignored, refused
        example.com/small/unused.Version: ignored, refused
        example.com/small/cmd/small.plain: ignored, refused
        example.com/lib/far.Version: honoured, accepted
        example.com/fork/far.Version: ignored, refused
    "#]]
    .assert_eq(&lines);
    // Another type is an error of the linker's own, which would come late.
    for (name, words) in [
        ("main.typed", "`stamp` sets `main.typed`: it is no variable of the type string"),
        ("main.number", "`stamp` sets `main.number`: it is no variable of the type string"),
        ("main.constant", "`stamp` sets `main.constant`: it is no variable, and the linker sets variables only"),
    ] {
        let stamp = format!("\"{name}\": \"STAMPED\"");
        space.replace("build.ron", &former, &stamp);
        former = stamp;
        space.run(&["server"]).fails(2, &[words]);
    }
}

#[test]
fn stamps_that_are_ignored_have_a_nearest_name() {
    let space = stamped();
    let mut former = "STAMP".to_owned();
    let mut refused = |stamp: &str, words: &[&str]| {
        let stamp = format!("\"{stamp}\": \"1\"");
        space.replace("build.ron", &former, &stamp);
        former = stamp;
        space.run(&["server"]).fails(2, words);
    };
    refused("main.Plain", &["`stamp` sets `main.Plain`, which is not declared", "did you mean `main.plain`?"]);
    refused("main.nothing", &["which is not declared", "variables that can be set: `main.added`, `main.aliased`, "]);
    refused(
        "main.fixed",
        &["`stamp` sets `main.fixed`: it is a constant, which the linker can't set", "declare it with `var`"],
    );
    refused(
        "main.env",
        &["`stamp` sets `main.env`: its first value is a call, which sets it again when the program starts"],
    );
    refused(
        "example.com/small/cmd/small.plain",
        &["the linker knows the package of a command as `main`", "write `main.plain`"],
    );
    refused(
        "example.com/small/cnof.Version",
        &["the program has no package `example.com/small/cnof`", "did you mean `example.com/small/conf.Version`?"],
    );
    refused("example.com/small/unused.Version", &["the program has no package `example.com/small/unused`"]);
    refused("example.com/small/conf.version", &["did you mean `example.com/small/conf.Version`?"]);
    // It is looked for when a build runs, not when nothing is to be done.
    space.replace("build.ron", &former, "\"main.plain\": \"1\", \"runtime.buildVersion\": \"mine\"");
    space.ok(&["server"]);
    assert!(space.ran(&["server"]).is_empty());
}
