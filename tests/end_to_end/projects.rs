//! Real projects: each gets a build.ron that does what its own Makefile, script or workflow does, and is built with it.
//!
//! Nothing of them is in this repository but these files (`tests/projects`). A module comes through the module proxy,
//! and its hash is held against the table. Then Rondel builds it, a bare `go build` with the project's own flags gives
//! the same bytes, and the program says of its version what the project's own build makes it say. docs/projects.md
//! has the table for people. Six of them are built each time, all with `RONDEL_PROJECTS=all`, some with their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::space::{TestSpace, copy, goproxy, repository, shared_cache};

mod table;

/// A project, and what is known of its own build.
struct Project {
    /// Its build.ron is `tests/projects/<name>.ron`.
    name: &'static str,
    /// Built each time, and not only if it is asked for.
    is_quick: bool,
    /// Targets that run each time: tests that write beside the sources.
    unkept: &'static [&'static str],
    /// The Go that `go` in its build.ron gives.
    go: &'static str,
    modules: &'static [Module],
    /// Tag of the one commit, since a module's zip has no history.
    tag: &'static str,
    /// Commands in the tree before the commit, and files.
    prepared: &'static [&'static str],
    written: &'static [(&'static str, &'static str)],
    /// What Rondel is asked for, one run each; then what it is asked for only if the project was asked for by name.
    runs: &'static [&'static [&'static str]],
    long_runs: &'static [&'static [&'static str]],
    /// The same executables by `go build`.
    bare: &'static [Bare],
    said: Option<Said>,
}

/// A module at a version as its zip has it, with its hash of go.sum, and the directory that it has in the project.
struct Module {
    at: &'static str,
    sum: &'static str,
    place: &'static str,
}

/// A `go build` with the flags of the project's own build.
struct Bare {
    /// What Rondel made.
    file: &'static str,
    directory: &'static str,
    /// `-trimpath -buildvcs=false` and `-buildid=` come to them, which Rondel always sets.
    flags: &'static [&'static str],
    ldflags: &'static str,
    package: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

/// What a program says of its version.
struct Said {
    program: &'static str,
    arguments: &'static [&'static str],
    /// The whole of it, with `{tag}` and the like.
    text: &'static str,
    /// A command of the project's own build, and the program that it makes, which says the same.
    own: Option<(&'static [&'static str], &'static str)>,
}

/// A project's tree with its build.ron.
struct Tree {
    space: TestSpace,
    facts: BTreeMap<&'static str, String>,
}

#[test]
#[cfg_attr(not(has_make), ignore = "no make")]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn real_projects_are_built_as_they_build_themselves() {
    let asked = std::env::var("RONDEL_PROJECTS").unwrap_or_default();
    let names: Vec<&str> = asked.split(',').filter(|name| !name.is_empty()).collect();
    for name in names.iter().filter(|name| **name != "all") {
        assert!(table::PROJECTS.iter().any(|project| project.name == *name), "no project is called {name}");
    }
    for project in table::PROJECTS {
        let is_wanted = if names.is_empty() { project.is_quick } else { names.contains(&project.name) };
        if !is_wanted && !names.contains(&"all") {
            continue;
        }
        let begun = Instant::now();
        let tree = Tree::of(project);
        tree.is_built_by_rondel(project, project.runs);
        if !names.is_empty() {
            tree.is_built_by_rondel(project, project.long_runs);
        }
        let built = begun.elapsed();
        tree.is_what_go_builds(project);
        tree.says_its_version(project);
        println!(
            "{}: {:.0} s with Rondel, {:.0} s with its own build",
            project.name,
            built.as_secs_f64(),
            (begun.elapsed() - built).as_secs_f64()
        );
    }
}

/// A build.ron without a row in the table would never be run.
#[test]
fn every_file_of_a_project_is_in_the_table() {
    let mut files: Vec<String> = fs::read_dir(repository().join("tests/projects"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".ron")?.to_owned()))
        .collect();
    files.sort_unstable();
    let mut names: Vec<&str> = table::PROJECTS.iter().map(|project| project.name).collect();
    names.sort_unstable();
    assert_eq!(files, names);
    let page = fs::read_to_string(repository().join("docs/projects.md")).unwrap();
    for project in table::PROJECTS {
        let module = &project.modules[0];
        let mark = if project.is_quick { " *" } else { "" };
        let row = format!("| [{}](../tests/projects/{0}.ron){mark} | `{}` |", project.name, module.at);
        assert!(page.contains(&row), "docs/projects.md has no row that begins with\n{row}");
    }
}

/// The Go that all tests share.
const SHARED_GO: &str = "1.22.12";

/// A command with a Go that Rondel has fetched, and with a build cache that Rondel does not use.
fn bare_command(tree: &TestSpace, go: &str, program: &str) -> Command {
    let directory = shared_cache().join(format!("go/toolchains/go{go}.linux-amd64/sdk/bin"));
    let mut command = Command::new(if program == "go" { directory.join("go") } else { program.into() });
    command
        .current_dir(tree.root())
        .env_clear()
        .env("TZ", "UTC")
        .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
        .env("HOME", tree.beside("home"))
        .env("GOCACHE", shared_cache().parent().unwrap().join("bare-go-build"))
        .env("GOMODCACHE", shared_cache().join("go/mod"))
        .env("GOPROXY", goproxy())
        .env("GOSUMDB", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-trimpath -buildvcs=false");
    for name in ["SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
        command.envs(std::env::var(name).map(|value| (name, value)));
    }
    command
}

/// Runs a command that succeeds; returns its standard output, and its standard error.
fn outputs(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}{stderr}");
    (stdout, stderr)
}

/// Both: some programs say their version on standard error.
fn output(command: Command) -> String {
    let (stdout, stderr) = outputs(command);
    stdout + &stderr
}

impl Module {
    /// Fetches the module and checks its hash; returns the directory with its files.
    fn fetch(&self, space: &TestSpace) -> PathBuf {
        let mut command = bare_command(space, SHARED_GO, "go");
        command.args(["mod", "download", "-json", self.at]).current_dir(space.beside("home"));
        let found: Value = serde_json::from_str(&outputs(command).0).unwrap();
        assert_eq!(found["Sum"], self.sum, "{} is not what it was", self.at);
        PathBuf::from(found["Dir"].as_str().unwrap())
    }
}

impl Tree {
    fn of(project: &Project) -> Tree {
        let mut space = TestSpace::empty().with_shared_go();
        // The hashes of the table, of go.sum and of build.lock count.
        space.set("GOSUMDB", "off");
        for module in project.modules {
            copy(&module.fetch(&space), &space.root().join(module.place), &|_| true);
        }
        // The module cache is read-only, and a zip keeps no permissions.
        let mut command = Command::new("chmod");
        command.args(["-R", "u+w"]).arg(space.root());
        output(command);
        for (path, text) in project.written {
            space.write(path, text);
        }
        for line in project.prepared {
            let mut command = bare_command(&space, SHARED_GO, "sh");
            command.args(["-ec", line]).env("GOFLAGS", "");
            output(command);
        }
        let file = repository().join("tests/projects").join(format!("{}.ron", project.name));
        fs::copy(file, space.root().join("build.ron")).unwrap();
        fs::copy(repository().join("build.lock"), space.root().join("build.lock")).unwrap();
        space.ok(&["lock"]);
        let git = |arguments: &[&str]| {
            let mut command = bare_command(&space, SHARED_GO, "git");
            command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]);
            command.args(arguments);
            output(command)
        };
        git(&["init", "--quiet", "--initial-branch", "main"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "the module's zip"]);
        git(&["tag", project.tag]);
        let commit = |digits: &str| git(&["rev-parse", digits, "HEAD"]).trim().to_owned();
        let time = |form: &str| {
            let form = format!("--date=format-local:{form}");
            git(&["show", "--no-patch", "--format=%cd", &form]).trim().to_owned()
        };
        let facts = BTreeMap::from([
            ("{tag}", project.tag.to_owned()),
            ("{number}", project.tag.trim_start_matches('v').to_owned()),
            ("{commit}", commit("--verify")),
            ("{commit7}", commit("--short=7")),
            ("{commit8}", commit("--short=8")),
            ("{time}", time("%Y-%m-%dT%H:%M:%S+0000")),
            ("{compact_time}", time("%Y%m%d-%H:%M:%S")),
        ]);
        Tree { space, facts }
    }

    fn with_facts(&self, text: &str) -> String {
        self.facts.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn is_built_by_rondel(&self, project: &Project, runs: &[&[&str]]) {
        for run in runs {
            self.space.ok(&[*run, &["--locked"]].concat());
            if run.iter().any(|target| project.unkept.contains(target)) {
                continue;
            }
            let ran = self.space.ran(run);
            assert!(ran.is_empty(), "{}: {run:?} again: {ran:?}", project.name);
        }
    }

    fn is_what_go_builds(&self, project: &Project) {
        for bare in project.bare {
            let out = self.space.beside("by-hand");
            let mut command = bare_command(&self.space, project.go, "go");
            command.current_dir(self.space.root().join(bare.directory));
            command.args(["build", "-trimpath", "-buildvcs=false"]).args(bare.flags);
            command.arg(format!("-ldflags=-buildid= {}", self.with_facts(bare.ldflags))).arg("-o").arg(&out);
            command.arg(bare.package).env("GOPROXY", "off").env("GOWORK", "off").env("CGO_ENABLED", "0");
            command.env("GOFLAGS", "").envs(bare.environment.iter().copied());
            output(command);
            let same = self.space.bytes(bare.file) == fs::read(&out).unwrap();
            assert!(same, "{}: {} is not what `go build` makes", project.name, bare.file);
        }
    }

    fn says_its_version(&self, project: &Project) {
        let Some(said) = &project.said else { return };
        let says = |program: &str| {
            let mut command =
                bare_command(&self.space, project.go, &self.space.root().join(program).display().to_string());
            command.args(said.arguments);
            output(command)
        };
        let text = says(said.program);
        assert_eq!(text, self.with_facts(said.text), "{}", project.name);
        let Some((own, program)) = &said.own else { return };
        let mut command = bare_command(&self.space, project.go, own[0]);
        command.args(&own[1..]).env("GOPROXY", "off");
        output(command);
        assert_eq!(text, says(program), "{}: what its own build makes", project.name);
    }
}
