//! Several modules in one build.ron, with and without a go.work, on real Go.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use expect_test::expect;

use crate::space::{TestSpace, shared_cache};

const TARGETS: &str = r#"
    "shop": GoBuild(packages: ["./cmd/shop"], stamp: {"example.com/shop/price.currency": "EUR"}),
    "demo": GoBuild(module: "examples", packages: ["./demo"], sbom: true),
    "gen": GoBuild(module: "./tools/", packages: ["./..."]),
    "test": GoTest(module: "examples", packages: ["./..."], inputs: ["deploy/**"]),
    "vet": GoVet(module: "examples", packages: ["./..."]),
    "fmt": GoFmt(module: "tools", check: true),
    "tidy": GoModTidy(module: "tools", check: true),
    "made": Exec(module: "tools", command: [Tool("example.com/shop/tools/gen"), "made.txt"], inputs: ["deploy/**"], outputs: ["made.txt"]),
    "all": Group(targets: ["shop", "demo", "gen"]),
"#;

const FILES: &[(&str, &str)] = &[
    ("go.mod", "module example.com/shop\n\ngo 1.22\n"),
    (
        "price/price.go",
        "package price\n\nvar currency string\n\n// Of is a price.\nfunc Of(n int) string { return string(rune('0'+n)) + currency }\n",
    ),
    ("cmd/shop/main.go", "package main\n\nimport \"example.com/shop/price\"\n\nfunc main() { println(price.Of(1)) }\n"),
    ("deploy/readme.txt", "read me\n"),
    (
        "examples/go.mod",
        "module example.com/shop/examples\n\ngo 1.22\n\nrequire (\n\texample.com/shop v0.0.0\n\tgithub.com/go-chi/chi/v5 v5.2.1\n)\n\nreplace example.com/shop => ../\n",
    ),
    (
        "examples/go.sum",
        "github.com/go-chi/chi/v5 v5.2.1 h1:KOIHODQj58PmL80G2Eak4WdvUzjSJSm0vG72crDCqb8=\ngithub.com/go-chi/chi/v5 v5.2.1/go.mod h1:L2yAIGWB3H+phAw1NxKwWM+7eUH/lU8pOMm5hHcoops=\n",
    ),
    (
        "examples/demo/main.go",
        "package main\n\nimport (\n\t\"example.com/shop/price\"\n\t\"github.com/go-chi/chi/v5\"\n)\n\nfunc main() { println(price.Of(2), chi.NewRouter() != nil) }\n",
    ),
    (
        "examples/demo/demo_test.go",
        "package main\n\nimport (\n\t\"testing\"\n\n\t\"example.com/shop/price\"\n)\n\nfunc TestPrice(t *testing.T) {\n\tif price.Of(2) != \"2\" {\n\t\tt.Fatal(price.Of(2))\n\t}\n}\n",
    ),
    ("tools/go.mod", "module example.com/shop/tools\n\ngo 1.22\n"),
    (
        "tools/gen/main.go",
        "package main\n\nimport \"os\"\n\nfunc main() {\n\tif len(os.Args) > 1 {\n\t\t_ = os.WriteFile(os.Args[1], []byte(\"generated\\n\"), 0o644)\n\t}\n}\n",
    ),
];

/// A module at the top, examples that replace it by `../`, and tools.
fn three_modules() -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    for (path, text) in FILES {
        space.write(path, text);
    }
    let build_ron = format!("(format: 1, project: \"shop\", go: FromGoMod, targets: {{{TARGETS}}})\n");
    space.write("build.ron", &build_ron);
    let lock = crate::space::repository().join("build.lock");
    space.write("build.lock", &fs::read_to_string(lock).unwrap());
    space
}

/// What `go build` makes of one package for someone who stands in the module's directory.
fn bare(space: &TestSpace, module: &str, flags: &str, package: &str, go_work: &str) -> Vec<u8> {
    let go = shared_cache().join("go");
    let out = space.beside("bare");
    let output = Command::new(go.join("toolchains/go1.22.12.linux-amd64/sdk/bin/go"))
        .args(["build", "-trimpath", "-buildvcs=false", &format!("-ldflags=-buildid= {flags}"), "-o"])
        .args([out.to_str().unwrap(), package])
        .current_dir(space.root().join(module))
        .env_clear()
        .env("HOME", space.beside("home"))
        .env("GOCACHE", go.with_file_name("bare-go-build"))
        .env("GOMODCACHE", go.join("mod"))
        .envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0"), ("GOPROXY", "off"), ("GOWORK", go_work)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(out).unwrap()
}

/// Compares all three executables with those of a bare go command.
fn same_as_bare(space: &TestSpace, go_work: &str) {
    for (target, module, flags, package, of_module) in [
        ("shop/linux_amd64/shop", "", "-X example.com/shop/price.currency=EUR", "./cmd/shop", go_work),
        ("demo/linux_amd64/demo", "examples", "", "./demo", go_work),
        ("gen/linux_amd64/gen", "tools", "", "./gen", "off"),
    ] {
        let made = space.bytes(&format!("dist/{target}"));
        assert!(made == bare(space, module, flags, package, of_module), "{target} differs from a bare go build");
    }
}

/// The builds that run again, with their reasons.
fn again(space: &TestSpace) -> String {
    let ran: BTreeMap<String, String> = space.ran(&["all"]);
    let builds = ran.iter().filter(|(step, _)| step.ends_with("(linux/amd64)") && !step.contains("sbom"));
    builds.map(|(step, why)| format!("{}: {why}\n", step.trim_end_matches(" (linux/amd64)"))).collect()
}

/// Appends to a file of the tree, and returns the builds that run again.
fn edited(space: &TestSpace, path: &str, text: &str) -> String {
    let before = if space.exists(path) { space.read(path) } else { String::new() };
    space.write(path, &(before + text));
    again(space)
}

#[test]
fn each_module_is_built_as_by_one_who_stands_there() {
    let space = three_modules();
    // Bare Go would take it, and `demo` with it.
    space.write("go.work", "go 1.22\n\nuse (\n\t.\n\t./examples\n\t./tools\n)\n");
    space.ok(&["all"]);
    same_as_bare(&space, "off");
    let document = space.read("dist/demo/linux_amd64/demo.spdx.json");
    assert!(document.contains("github.com/go-chi/chi/v5") && document.contains("checksums"), "{document}");
    assert_eq!(again(&space), "");
    let edit = |path: &str, text: &str| edited(&space, path, text);
    expect![[r#"
        demo: price/price.go changed
        shop: price/price.go changed
    "#]]
    .assert_eq(&edit("price/price.go", "\n// Edited.\n"));
    expect![[r#"
        demo: go.mod changed
        shop: go.mod changed
    "#]]
    .assert_eq(&edit("go.mod", "\n// Edited.\n"));
    expect![[r#"
        demo: examples/go.mod changed
    "#]]
    .assert_eq(&edit("examples/go.mod", "\n// Edited.\n"));
    expect![[r#"
        demo: examples/go.sum changed
        demo: bill: examples/go.sum changed
    "#]]
    .assert_eq(&edit("examples/go.sum", "example.com/none v1.0.0 h1:KOIHODQj58PmL80G2Eak4WdvUzjSJSm0vG72crDCqb8=\n"));
    expect![[r#"
        demo: examples/demo/main.go changed
    "#]]
    .assert_eq(&edit("examples/demo/main.go", "\n// Edited.\n"));
    expect![[r#"
        gen: tools/gen/main.go changed
    "#]]
    .assert_eq(&edit("tools/gen/main.go", "\n// Edited.\n"));
    expect![[r#"
        gen: tools/go.mod changed
    "#]]
    .assert_eq(&edit("tools/go.mod", "\n// Edited.\n"));
    assert_eq!(edit("go.work", "\n// Edited.\n"), "");
    assert_eq!(edit("examples/other/other.go", "package other\n"), "", "what no target builds");
    assert_eq!(edit("cmd/shop/main_test.go", "package main\n"), "");
    // The same packages in another module are another program.
    for path in ["examples/demo/main.go", "examples/go.mod", "examples/go.sum"] {
        space.write(&path.replacen("examples", "more", 1), &space.read(path));
    }
    space.replace("more/go.mod", "example.com/shop/examples", "example.com/shop/more");
    space.replace("build.ron", "\"demo\": GoBuild(module: \"examples\"", "\"demo\": GoBuild(module: \"more\"");
    assert!(again(&space).starts_with("demo: "));
    assert!(space.bytes("dist/demo/linux_amd64/demo") == bare(&space, "more", "", "./demo", "off"));
    same_as_bare_after_edits(&space);
}

/// The bytes of the other modules after all edits.
fn same_as_bare_after_edits(space: &TestSpace) {
    assert!(space.bytes("dist/gen/linux_amd64/gen") == bare(space, "tools", "", "./gen", "off"));
    let flags = "-X example.com/shop/price.currency=EUR";
    assert!(space.bytes("dist/shop/linux_amd64/shop") == bare(space, "", flags, "./cmd/shop", "off"));
}

#[test]
fn a_go_work_is_of_the_modules_that_it_uses() {
    let space = three_modules();
    space.write("go.work", "go 1.22\n\nuse (\n\t.\n\t./examples\n)\n");
    space.replace("build.ron", "go: FromGoMod", "go: FromGoMod, go_work: \"go.work\"");
    // The go.work alone says where the other module is.
    space.replace("examples/go.mod", "\nreplace example.com/shop => ../\n", "");
    space.replace("examples/go.mod", "\texample.com/shop v0.0.0\n", "");
    space.ok(&["all"]);
    same_as_bare(&space, space.root().join("go.work").to_str().unwrap());
    assert_eq!(again(&space), "");
    let edit = |path: &str, text: &str| edited(&space, path, text);
    expect![[r#"
        demo: go.work changed
        shop: go.work changed
    "#]]
    .assert_eq(&edit("go.work", "\n// Edited.\n"));
    expect![[r#"
        demo: go.work.sum is new
        demo: bill: go.work.sum is new
        shop: go.work.sum is new
    "#]]
    .assert_eq(&edit("go.work.sum", "example.com/none v1.0.0 h1:KOIHODQj58PmL80G2Eak4WdvUzjSJSm0vG72crDCqb8=\n"));
    expect![[r#"
        demo: price/price.go changed
        shop: price/price.go changed
    "#]]
    .assert_eq(&edit("price/price.go", "\n// Edited.\n"));
    expect![[r#"
        demo: examples/go.mod changed
        shop: examples/go.mod changed
    "#]]
    .assert_eq(&edit("examples/go.mod", "\n// Edited.\n"));
    expect![[r#"
        gen: tools/gen/main.go changed
    "#]]
    .assert_eq(&edit("tools/gen/main.go", "\n// Edited.\n"));
    // A module that leaves it is built without it, and the other stays in it.
    space.write("go.work", "go 1.22\n\nuse (\n\t./examples\n)\n");
    space.run(&["shop"]).fails(2, &["`./cmd/shop` is in the module of `root`, which `go.work` does not use"]);
    space.replace("build.ron", "\"shop\": GoBuild(", "\"shop\": GoBuild(module: \".\", ");
    space.ok(&["shop"]);
    space.run(&["demo"]).fails(1, &["example.com/shop"]);
}

#[test]
fn checks_and_tools_of_a_module() {
    let space = three_modules();
    // An output beside the inputs of a test, in the same run, would be taken for a change of them.
    space.ok(&["made"]);
    space.ok(&["test", "vet", "fmt", "tidy"]);
    assert_eq!(space.read("made.txt"), "generated\n");
    assert_eq!(space.ran(&["test", "vet", "fmt", "tidy", "made"]), BTreeMap::new());
    let ran = |path: &str, text: &str| {
        space.append(path, text);
        let ran = space.ran(&["test", "vet", "fmt", "tidy", "made"]);
        ran.iter().map(|(step, why)| format!("{step}: {why}\n")).collect::<String>()
    };
    expect![[r#"
        made: deploy/readme.txt changed
        test: deploy/readme.txt changed
    "#]]
    .assert_eq(&ran("deploy/readme.txt", "more\n"));
    expect![[r#"
        test: price/price.go changed
        vet (linux/amd64): price/price.go changed
    "#]]
    .assert_eq(&ran("price/price.go", "\n// Edited.\n"));
    expect![[r#"
        fmt: tools/gen/main.go changed
        tidy: tools/gen/main.go changed
        tool example.com/shop/tools/gen of tools: tools/gen/main.go changed
    "#]]
    .assert_eq(&ran("tools/gen/main.go", "\n// Edited.\n"));
    expect![[""]].assert_eq(&ran("cmd/shop/main.go", "\n// Edited.\n"));
    space.append("tools/gen/main.go", "var   x = 1\n");
    space.run(&["fmt"]).fails(1, &["1 file is not formatted", "  tools/gen/main.go"]);
    space.replace("price/price.go", "'0'+n", "'1'+n");
    space.run(&["test"]).fails(1, &["FAIL"]);
}

/// No go.mod at the top, and two modules below it that ask for two lines of Go.
#[test]
fn verbs_where_modules_are_below_the_root_only() {
    let mut space = TestSpace::empty().with_shared_go();
    for (path, text) in FILES.iter().filter(|(path, _)| path.starts_with("tools/")) {
        space.write(path, text);
        space.write(&path.replacen("tools", "late", 1), text);
    }
    space.write("late/go.mod", "module example.com/shop/late\n\ngo 1.23.4\n");
    space.write(
        "build.ron",
        r#"(format: 1, project: "shop", go: FromGoMod, vars: {"v": "1"}, targets: {
        "gen": GoBuild(module: "tools", packages: ["./gen"], stamp: {"main.v": "{v}"}),
        "late": GoVet(module: "late", packages: ["./..."]),
    })"#,
    );
    space.set("GOPROXY", "off");
    let doctor = space.run(&["doctor"]);
    let lines: Vec<&str> = doctor.stdout.lines().filter(|line| line.contains("Go 1.")).collect();
    let all = lines.join("\n");
    assert!(lines.len() == 2 && all.contains("Go 1.22") && all.contains("Go 1.23.4"), "{all}");
    let run = space.run(&["lock"]);
    assert!(run.stderr.contains("Go 1.22 is taken") || run.stderr.contains("Go 1.23.4 is taken"), "{}", run.stderr);
    space.write("build.lock", &fs::read_to_string(crate::space::repository().join("build.lock")).unwrap());
    space.replace("tools/gen/main.go", "import \"os\"\n", "import \"os\"\n\nvar v string\n");
    space.ok(&["gen"]);
    assert!(space.ok(&["show"]).stdout.contains("v "));
    assert!(space.ok(&["plan", "gen"]).stdout.contains("gen"));
    space.ok(&["list"]);
    // What build.lock does not pin stops the targets of that module alone.
    space.run(&["late"]).fails(2, &["late/go.mod asks for Go 1.23.4, and build.lock pins Go 1.22.12"]);
}

/// Each module has a `vendor` of its own, and it is in the key.
#[test]
fn a_vendor_directory_is_of_its_module() {
    let space = three_modules();
    let list = "# example.com/lib v1.0.0\n## explicit; go 1.22\nexample.com/lib\n";
    space.write("tools/vendor/modules.txt", list);
    space.write("tools/vendor/example.com/lib/lib.go", "package lib\n\n// N is a number.\nconst N = 41\n");
    space.write("tools/go.mod", "module example.com/shop/tools\n\ngo 1.22\n\nrequire example.com/lib v1.0.0\n");
    space.write("tools/gen/main.go", "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.N) }\n");
    space.ok(&["all"]);
    same_as_bare(&space, "off");
    assert_eq!(edited(&space, "tools/vendor/example.com/lib/unused/unused.go", "package unused\n"), "");
    let lib = "tools/vendor/example.com/lib/lib.go";
    assert_eq!(edited(&space, lib, "\n// Edited.\n"), format!("gen: {lib} changed\n"));
    let list = "tools/vendor/modules.txt";
    assert_eq!(edited(&space, list, "\n"), format!("gen: {list} changed\n"));
}
