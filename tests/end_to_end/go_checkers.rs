//! `GoVulncheck` with the real program and an invented vulnerability; `GoLint` with a program that takes the arguments of
//! golangci-lint, reads its configuration, and finds a forbidden word.

use crate::space::{TestSpace, goproxy};

const MAIN: &str = "package main\n\nimport (\n\t\"fmt\"\n\n\t\"golang.org/x/mod/semver\"\n)\n\nfunc main() { fmt.Println(semver.IsValid(\"v1.0.0\")) }\n";

const ENTRY: &str = r#"{"schema_version": "1.3.1", "id": "GO-2026-9001", "modified": "2026-01-02T03:04:05Z", "published": "2026-01-02T03:04:05Z",
    "summary": "Versions are believed", "details": "It is invented.", "affected": [{"package": {"name": "golang.org/x/mod", "ecosystem": "Go"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.18.0"}]}],
    "ecosystem_specific": {"imports": [{"path": "golang.org/x/mod/semver", "symbols": ["IsValid"]}]}}],
    "database_specific": {"url": "https://example.com/GO-2026-9001"}}"#;

/// A module that calls a function of another one, and a database that knows something about it.
pub fn vulnerable() -> TestSpace {
    let mut space = TestSpace::empty().with_shared_go();
    space.set("GOPROXY", goproxy());
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n\nrequire golang.org/x/mod v0.17.0\n");
    space.write(
        "go.sum",
        "golang.org/x/mod v0.17.0 h1:zY54UmvipHiNd+pm+m0x9KhZ9hl1/7QNMyxXbc6ICqA=\ngolang.org/x/mod v0.17.0/go.mod h1:hTbmBsO62+eylJbnUtE2MGJUyE7QWk4xUqPFrRgJ+7c=\n",
    );
    space.write("main.go", MAIN);
    let modified = "2026-01-02T03:04:05Z";
    space.write("vulndb/index/db.json", &format!("{{\"modified\": \"{modified}\"}}"));
    let vulns = format!("[{{\"id\": \"GO-2026-9001\", \"modified\": \"{modified}\", \"fixed\": \"0.18.0\"}}]");
    space.write("vulndb/index/modules.json", &format!("[{{\"path\": \"golang.org/x/mod\", \"vulns\": {vulns}}}]"));
    space.write("vulndb/index/vulns.json", &format!("[{{\"id\": \"GO-2026-9001\", \"modified\": \"{modified}\"}}]"));
    space.write("vulndb/ID/GO-2026-9001.json", ENTRY);
    space.write(
        "build.ron",
        r#"(format: 1, project: "x", go: Version("1.22.12"), targets: {
            "vuln": GoVulncheck(packages: ["./..."], db: "vulndb"),
            "of-binary": GoVulncheck(binary: Output("x"), db: "vulndb/"),
            "of-go": GoVulncheck(packages: ["./..."], db: "https://127.0.0.1:1"),
            "x": GoBuild(packages: ["."]),
        })"#,
    );
    space
}

#[test]
fn known_vulnerabilities_fail_and_their_absence_is_kept() {
    let space = vulnerable();
    // The default program is pinned as one that is written.
    space.run(&["vuln", "--locked"]).fails(3, &["build.lock does not pin"]);
    space.ok(&["lock"]);
    assert!(space.read("build.lock").contains("golang.org/x/vuln/cmd/govulncheck@v1.1.4"));
    for target in ["vuln", "of-binary"] {
        let run = space.run(&[target]);
        run.fails(
            1,
            &["Vulnerability #1: GO-2026-9001", "Fixed in: golang.org/x/mod@v0.18.0", "exit status 3", "hint: "],
        );
    }
    // A function that is not known is called: both pass, and are kept.
    space.replace("main.go", "IsValid(\"v1.0.0\")", "Major(\"v1.0.0\")");
    for target in ["vuln", "of-binary"] {
        let run = space.ok(&[target]);
        assert!(run.stderr.contains("No vulnerabilities found"), "{}", run.stderr);
    }
    assert!(space.ran(&["vuln", "of-binary"]).is_empty());
    space.write("README.md", "# x\n");
    assert!(space.ran(&["vuln", "of-binary"]).is_empty());
    // Each member of the key.
    let edits: [(&str, &dyn Fn()); 5] = [
        ("a source", &|| space.append("main.go", "// more\n")),
        ("go.mod", &|| space.append("go.mod", "\n// more\n")),
        ("the database", &|| space.replace("vulndb/ID/GO-2026-9001.json", "invented", "made up")),
        ("test", &|| {
            space.replace("build.ron", "[\"./...\"], db: \"vulndb\"", "[\"./...\"], test: true, db: \"vulndb\"")
        }),
        ("tags", &|| space.replace("build.ron", "test: true", "test: true, tags: [\"a\"]")),
    ];
    for (what, edit) in edits {
        edit();
        assert!(space.ran(&["vuln"]).contains_key("vuln"), "{what}");
        assert!(space.ran(&["vuln"]).is_empty(), "{what}, the second time");
    }
    assert!(space.ran(&["of-binary"]).contains_key("of-binary"), "the database of an executable");
    // A package that is imported is near enough.
    space.replace("build.ron", "test: true", "scan: Package");
    space.run(&["vuln"]).fails(1, &["GO-2026-9001"]);
    // What an address has is not known.
    space.run(&["of-go"]).fails(1, &["127.0.0.1:1"]);
    space.remove("vulndb");
    space.run(&["vuln"]).fails(2, &["there is no `vulndb`"]);
}

/// Takes the arguments of golangci-lint and fails if a Go file has the word that its configuration forbids.
const LINTER: &str = r#"package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	word := "NOTHING"
	for _, argument := range os.Args[1:] {
		if name, ok := strings.CutPrefix(argument, "--config="); ok {
			text, err := os.ReadFile(name)
			if err != nil {
				panic(err)
			}
			word = strings.TrimSpace(strings.TrimPrefix(strings.Split(string(text), "\n")[0], "forbid:"))
		}
	}
	version, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		panic(err)
	}
	info, err := os.Stat(os.Getenv("GOLANGCI_LINT_CACHE"))
	if err != nil || !info.IsDir() {
		panic("no cache")
	}
	fmt.Println("args:", strings.Join(os.Args[1:], " "), strings.TrimSpace(string(version)))
	files, _ := filepath.Glob("x/*.go")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if strings.Contains(string(text), word) {
			if strings.Contains(strings.Join(os.Args, " "), "--fix") {
				os.WriteFile(file, []byte(strings.ReplaceAll(string(text), word, "fine")), 0o644)
				continue
			}
			fmt.Printf("%s: the word %s is forbidden\n", file, word)
			os.Exit(1)
		}
	}
}
"#;

fn linted() -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("x/x.go", "package x\n\n// X is bad.\nvar X = 1\n");
    space.write("linter/main.go", LINTER);
    space.write(
        "build.ron",
        r#"(format: 1, project: "x", go: Version("1.22.12"), targets: {
            "lint": GoLint(packages: ["./x/..."], tool: Output("linter")),
            "fix": GoLint(packages: ["./x/..."], tool: Output("linter"), fix: true),
            "linter": GoBuild(packages: ["./linter"]),
        })"#,
    );
    space
}

/// Paths of build.ron begin at `root`, also where the linter starts in a module below it.
#[test]
fn a_linter_of_a_module_below_the_root() {
    let space = linted();
    space.write("examples/go.mod", "module example.com/examples\n\ngo 1.22\n");
    space.write("examples/e/e.go", "package e\n");
    space.replace(
        "build.ron",
        "\"fix\":",
        "\"below\": GoLint(module: \"examples\", packages: [\"./...\"], tool: Output(\"linter\")), \"fix\":",
    );
    let config = |directory: &str| format!("--config={}", space.root().join(directory).join(".golangci.yml").display());
    space.write(".golangci.yml", "forbid: worse\n");
    let run = space.ok(&["below"]);
    assert!(run.stderr.contains(&format!("args: run {} ./...", config(""))), "{}", run.stderr);
    assert!(space.ran(&["below"]).is_empty());
    space.append("x/x.go", "// of another module\n");
    assert!(space.ran(&["below"]).is_empty());
    // The module's own goes first.
    space.write("examples/.golangci.yml", "forbid: worst\n");
    let run = space.ok(&["below"]);
    assert!(run.stderr.contains(&config("examples")), "{}", run.stderr);
    space.append("examples/e/e.go", "// more\n");
    assert!(space.ran(&["below"])["below"].contains("examples/e/e.go changed"));
}

#[test]
fn a_linter_runs_by_its_configuration_and_is_kept() {
    let mut space = linted();
    let run = space.ok(&["lint"]);
    assert!(run.stderr.contains("args: run --no-config ./x/... go1.22.12"), "{}", run.stderr);
    assert!(space.ran(&["lint"]).is_empty());
    // The configuration that golangci-lint would find: the first of its names.
    space.write(".golangci.toml", "forbid: worse\n");
    let run = space.ok(&["lint"]);
    assert!(run.stderr.contains("args: run --config=.golangci.toml ./x/..."), "{}", run.stderr);
    space.write(".golangci.yml", "forbid: bad\n");
    space.run(&["lint"]).fails(1, &["x/x.go: the word bad is forbidden", "hint: mend what it names"]);
    let ran = space.ran(&["fix"]);
    assert!(ran["fix"].contains("it changes files of the tree"), "{ran:?}");
    assert_eq!(space.read("x/x.go"), "package x\n\n// X is fine.\nvar X = 1\n");
    space.ok(&["lint"]);
    space.write("README.md", "# x\n");
    space.write("y/y.go", "package y\n");
    assert!(space.ran(&["lint"]).is_empty());
    space.write("header.txt", "1\n");
    space.write("own.yml", "forbid: other\n");
    let edits: [(&str, &dyn Fn()); 8] = [
        ("a source", &|| space.append("x/x.go", "// more\n")),
        ("a test", &|| space.write("x/x_test.go", "package x\n")),
        ("the configuration", &|| space.append(".golangci.yml", "# more\n")),
        ("args", &|| space.replace("build.ron", "Output(\"linter\")),", "Output(\"linter\"), args: [\"--a\"]),")),
        ("inputs", &|| space.replace("build.ron", "args: [\"--a\"]", "args: [\"--a\"], inputs: [\"*.txt\"]")),
        ("an input", &|| space.append("header.txt", "2\n")),
        ("config", &|| space.replace("build.ron", "args: [\"--a\"]", "args: [\"--a\"], config: \"own.yml\"")),
        ("the program", &|| space.replace("linter/main.go", "args:", "arguments:")),
    ];
    for (what, edit) in edits {
        edit();
        assert!(space.ran(&["lint"]).contains_key("lint"), "{what}");
        assert!(space.ran(&["lint"]).is_empty(), "{what}, the second time");
    }
    space.replace("build.ron", "args: [\"--a\"]", "tags: [\"a\", \"b\"]");
    assert!(space.ok(&["lint"]).stderr.contains("run --build-tags=a,b --config=own.yml ./x/..."));
    // What compares with former commits depends on more than the key has.
    space.append("own.yml", "issues:\n  new-from-rev: HEAD\n");
    assert!(space.ran(&["lint"])["lint"].contains("`new-from-` in `own.yml` depends on the history of git"));
    assert!(!space.ran(&["lint"]).is_empty());
    space.remove("own.yml");
    space.run(&["lint"]).fails(2, &["there is no configuration `own.yml`", "hint: correct `config`"]);
    // The program of PATH, by its contents.
    space.replace("build.ron", "config: \"own.yml\"", "config: \".golangci.yml\"");
    space.replace("build.ron", "tool: Output(\"linter\"), tags", "tags");
    space.run(&["lint"]).fails(3, &["`golangci-lint` was not found on PATH"]);
    space.program("golangci-lint", "echo from PATH");
    assert!(space.ok(&["lint"]).stderr.contains("from PATH"));
    assert!(space.ran(&["lint"]).is_empty());
    space.program("golangci-lint", "echo from PATH again");
    assert!(space.ran(&["lint"]).contains_key("lint"));
}
