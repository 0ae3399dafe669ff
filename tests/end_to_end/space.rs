//! `TestSpace`: a workspace of its own, with a cache of its own, and what was seen of a run in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use expect_test::Expect;
use serde_json::Value;

use crate::suite_audit;

/// The workspace of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository")
}

/// A directory with a build.ron and what goes with it; removed at the end.
pub struct TestSpace {
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    /// True if it has steps that are not reproducible, as a test wants them.
    may_differ: bool,
    /// The options of its runs that decide which results they have: an audit in the end takes the same.
    options: Mutex<BTreeSet<Vec<String>>>,
    begun: Instant,
}

/// What a run printed and how it ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A small module without dependencies: an embedded file, a library package, a second command.
const MODULE: &[(&str, &str)] = &[
    ("go.mod", "module example.com/small\n\ngo 1.22\n"),
    (
        "cmd/small/main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/small/greet\"\n)\n\nvar version = \"none\"\n\nfunc main() { fmt.Println(version, greet.Text()) }\n",
    ),
    ("cmd/other/main.go", "package main\n\nfunc main() {}\n"),
    (
        "greet/greet.go",
        "package greet\n\nimport _ \"embed\"\n\n//go:embed text/*.txt\nvar files embedFS\n\nfunc Text() string { return files.read() }\n",
    ),
    (
        "greet/embed.go",
        "package greet\n\nimport \"embed\"\n\ntype embedFS = wrapped\n\ntype wrapped struct{ fs embed.FS }\n\nfunc (w wrapped) read() string { return \"hello\" }\n",
    ),
    (
        "greet/greet_test.go",
        "package greet\n\nimport \"testing\"\n\nfunc TestText(t *testing.T) {\n\tif Text() == \"\" {\n\t\tt.Fatal(\"empty\")\n\t}\n}\n",
    ),
    ("greet/text/hello.txt", "hello\n"),
    ("README.md", "# small\n"),
];

const BUILD_FILE: &str = r#"(
    format: 1,
    project: "small",
    go: Version("1.22.12"),
    platforms: ["linux/amd64", "linux/arm64"],
    vars: {"version": "v1"},
    targets: {
        "server": GoBuild(packages: ["./cmd/small"], ldflags: ["-s", "-w"], stamp: {"main.version": "{version}"}),
        "image": Image(
            base: Static,
            files: {"/app/small": Output("server"), "/etc/small/readme": File("deploy/readme.txt")},
            tags: ["rondel-test-small:latest"],
        ),
        "test": GoTest(packages: ["./..."]),
    },
)
"#;

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl TestSpace {
    /// An empty workspace.
    pub fn empty() -> TestSpace {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("rondel-test-{}-{count}", std::process::id()));
        fs::create_dir_all(directory.join("work")).unwrap();
        fs::create_dir_all(directory.join("home")).unwrap();
        let mut environment = BTreeMap::new();
        environment.insert("HOME".to_owned(), directory.join("home").display().to_string());
        environment.insert("RONDEL_CACHE_DIR".to_owned(), directory.join("cache").display().to_string());
        environment
            .insert("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        // No daemon, unless a test asks for one: what is loaded into it outlives the test.
        environment.insert("DOCKER_HOST".to_owned(), "unix:///nonexistent/docker.sock".to_owned());
        for name in ["SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        environment.insert("GOPROXY".to_owned(), goproxy().to_owned());
        TestSpace { directory, environment, may_differ: false, options: Mutex::default(), begun: Instant::now() }
    }

    /// The small module and its build.ron, with the toolchain and Go's build cache shared among all tests.
    pub fn small() -> TestSpace {
        let space = TestSpace::empty().with_shared_go();
        for (path, text) in MODULE {
            space.write(path, text);
        }
        // An embed pattern needs its variable in the same file.
        space.write(
            "greet/greet.go",
            "package greet\n\nimport \"embed\"\n\n//go:embed text/*.txt\nvar files embed.FS\n\n// Text is what is embedded.\nfunc Text() string {\n\tbytes, err := files.ReadFile(\"text/hello.txt\")\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\treturn string(bytes)\n}\n",
        );
        space.remove("greet/embed.go");
        space.write("deploy/readme.txt", "read me\n");
        space.write("build.ron", BUILD_FILE);
        space.write("build.lock", &fs::read_to_string(repository().join("build.lock")).unwrap());
        space
    }

    /// A workspace whose build.ron has these targets and nothing that needs Go.
    pub fn with_targets(targets: &str) -> TestSpace {
        let space = TestSpace::empty();
        space.write("build.ron", &format!("(format: 1, project: \"t\", go: System, targets: {{{targets}}})\n"));
        space
    }

    /// Another copy of the same tree, elsewhere, with an empty cache.
    pub fn clone_elsewhere(&self) -> TestSpace {
        let other = TestSpace::empty().with_shared_toolchain();
        copy(&self.root(), &other.root(), &|name| !matches!(name, ".rondel" | "dist"));
        other
    }

    /// Shares toolchain, modules and Go's build cache, so that a test costs a link and not a compile.
    pub fn with_shared_go(self) -> TestSpace {
        let go = shared_cache().join("go");
        fs::create_dir_all(self.cache()).unwrap();
        std::os::unix::fs::symlink(go, self.cache().join("go")).unwrap();
        self
    }

    /// Shares the toolchain only: everything is compiled anew.
    pub fn with_shared_toolchain(self) -> TestSpace {
        fs::create_dir_all(self.cache().join("go")).unwrap();
        std::os::unix::fs::symlink(shared_cache().join("go/toolchains"), self.cache().join("go/toolchains")).unwrap();
        self
    }

    pub fn root(&self) -> PathBuf {
        self.directory.join("work")
    }

    pub fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    /// A directory beside the workspace.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut TestSpace {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn unset(&mut self, name: &str) -> &mut TestSpace {
        self.environment.remove(name);
        self
    }

    /// The value of a variable of the environment, if it is set.
    pub fn known_variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The value of a variable of the environment.
    pub fn variable(&self, name: &str) -> &str {
        &self.environment[name]
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn append(&self, path: &str, text: &str) {
        self.write(path, &format!("{}{text}", self.read(path)));
    }

    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "`{from}` is not in {path}");
        self.write(path, &text.replace(from, to));
    }

    pub fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.bytes(path)).into_owned()
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.root().join(path).exists()
    }

    pub fn remove(&self, path: &str) {
        let path = self.root().join(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// Programs of these names, first on PATH, that write their name to a log and then do as the real one does.
    pub fn record_programs(&mut self, names: &[&str]) -> PathBuf {
        let log = self.beside("recorded");
        let directory = self.beside("recorders");
        fs::create_dir_all(&directory).unwrap();
        for name in names {
            let script =
                format!("#!/bin/sh\necho {name} \"$@\" >> {}\nPATH=${{PATH#*:}} exec {name} \"$@\"\n", log.display());
            let path = directory.join(name);
            fs::write(&path, script).unwrap();
            make_executable(&path);
        }
        let path = format!("{}:{}", directory.display(), self.environment["PATH"]);
        self.set("PATH", &path);
        log
    }

    /// A program on PATH with this script.
    pub fn program(&mut self, name: &str, script: &str) {
        let directory = self.beside("programs");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        make_executable(&directory.join(name));
        let path = &self.environment["PATH"];
        if !path.starts_with(&directory.display().to_string()) {
            let path = format!("{}:{path}", directory.display());
            self.set("PATH", &path);
        }
    }

    /// A toolchain whose `go` is a script that may call the real one as `$REAL_GO`.
    pub fn wrap_go(&mut self, script: &str) {
        let go = shared_cache().join("go/toolchains/go1.22.12.linux-amd64/sdk/bin/go");
        assert!(go.exists(), "the shared toolchain is for another platform");
        let sdk = self.beside("sdk");
        fs::create_dir_all(sdk.join("bin")).unwrap();
        for name in ["src", "pkg", "lib", "VERSION", "go.env"] {
            std::os::unix::fs::symlink(go.ancestors().nth(2).unwrap().join(name), sdk.join(name)).unwrap();
        }
        fs::write(sdk.join("bin/go"), format!("#!/bin/sh\nREAL_GO={}\n{script}\n", go.display())).unwrap();
        make_executable(&sdk.join("bin/go"));
        self.replace("build.ron", "Version(\"1.22.12\")", "System");
        let path = format!("{}:/usr/bin:/bin", sdk.join("bin").display());
        self.set("PATH", &path);
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.started(Command::new(env!("CARGO_BIN_EXE_rondel-under-test")), arguments)
    }

    /// Rondel as another program starts it: `program`, its own arguments `before`, then Rondel with `arguments`.
    pub fn under<S: AsRef<OsStr>>(&self, program: &str, before: &[S], arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(before).arg(env!("CARGO_BIN_EXE_rondel-under-test"));
        self.started(command, arguments)
    }

    /// Runs under a limit of the system, as the shell's `ulimit` takes it.
    pub fn limited(&self, limit: &str, arguments: &[&str]) -> Run {
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        Run::of(self.under("sh", &["-c", &script], arguments).output().unwrap())
    }

    fn started(&self, mut command: Command, arguments: &[&str]) -> Command {
        self.options.lock().unwrap().insert(suite_audit::options_of(arguments));
        command.args(arguments).current_dir(self.root()).env_clear().envs(&self.environment);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs and expects success.
    pub fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}{}", run.stdout, run.stderr);
        run
    }

    /// Audits all stored results that the tree would use, of all targets: none may differ, and each is checked. Returns the labels of their steps.
    pub fn audit_all(&self, arguments: &[&str]) -> BTreeSet<String> {
        let run = self.run(&[&["cache", "audit", "--seed", "1", "--events", "json"], arguments].concat());
        let audited: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "audited").collect();
        let unlike: Vec<&Value> = audited.iter().filter(|event| event["outcome"] != "same").collect();
        assert!(run.code == 0 && unlike.is_empty() && !audited.is_empty(), "{unlike:#?}\n{}{}", run.stdout, run.stderr);
        audited.iter().map(|event| event["step"].as_str().unwrap().to_owned()).collect()
    }

    /// Says that the space has steps on purpose that are not reproducible.
    pub fn may_differ(mut self) -> TestSpace {
        self.may_differ = true;
        self
    }

    /// Runs with events and expects success; how each step ended, by its label.
    pub fn outcomes(&self, arguments: &[&str]) -> BTreeMap<String, String> {
        let run = self.ok(&[&["--events", "json"], arguments].concat());
        run.events()
            .iter()
            .filter(|event| event["event"] == "step_finished")
            .map(|event| (event["step"].as_str().unwrap().to_owned(), event["outcome"].as_str().unwrap().to_owned()))
            .collect()
    }

    /// The labels of the steps that ran, and their first reasons.
    pub fn ran(&self, arguments: &[&str]) -> BTreeMap<String, String> {
        let run = self.ok(&[&["--events", "json"], arguments].concat());
        run.events()
            .iter()
            .filter(|event| event["event"] == "step_finished" && event["outcome"] == "ran")
            .map(|event| {
                (event["step"].as_str().unwrap().to_owned(), event["reason"].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    }
}

impl Drop for TestSpace {
    fn drop(&mut self) {
        if let Some(log) = std::env::var_os("RONDEL_TEST_TIMES") {
            let line = format!("{:.1}\t{}\n", self.begun.elapsed().as_secs_f64(), suite_audit::current_test());
            let file = fs::OpenOptions::new().create(true).append(true).open(log);
            file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
        }
        if let Some(log) = std::env::var_os("RONDEL_TEST_AUDIT").filter(|_| !std::thread::panicking()) {
            let options = std::mem::take(&mut *self.options.lock().unwrap());
            suite_audit::audit(self, &options, self.may_differ, Path::new(&log));
        }
        // Read-only directories of Go's module cache, if a test had one of its own.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&self.directory).output();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Run {
    pub fn of(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    }

    /// Compares the whole output with what is expected, `normalised`: stdout, then stderr, then the exit code unless
    /// it is 0. For output of one step after the other: several at once come in any order.
    pub fn check(&self, expected: Expect) -> &Run {
        let mut text = normalised(&self.stdout);
        if !self.stderr.is_empty() {
            // Also a line without indentation: `expect!` takes away what all lines have.
            text.push_str(&format!("--- stderr\n{}", normalised(&self.stderr)));
        }
        if self.code != 0 {
            text.push_str(&format!("--- exit code {}\n", self.code));
        }
        expected.assert_eq(&text);
        self
    }

    /// Expects this exit code, and these words in what people are told.
    pub fn fails(&self, code: i32, words: &[&str]) -> &Run {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not said:\n{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("internal error"), "{}", self.stderr);
        self
    }
}

/// The text without what differs from run to run or from machine to machine: durations are `[T]`, sizes in KiB and more
/// `[SIZE]`, digests `[DIGEST]`, the workspace `[ROOT]`, what is beside it `[BESIDE]`, temporary names `[TMP]`, names of overlays
/// `[HASH]`.
pub fn normalised(text: &str) -> String {
    let space = std::env::temp_dir().join("rondel-test-").display().to_string();
    let text = without_numbered(text, &space, "[BESIDE]").replace("[BESIDE]/work", "[ROOT]");
    let text = without_digests(&without_numbered(&text, ".rondel-tmp-", "[TMP]"));
    let text = without_overlays(&text);
    let text: String = text.split_inclusive('\n').map(without_amounts).collect();
    // What was saved is as long as a run was once, and is not said of less than a second.
    text.replace(" up to date, [T] saved\n", " up to date\n")
}

/// An overlay of the go command is named by its contents, which hold the workspace's place.
fn without_overlays(text: &str) -> String {
    const DIRECTORY: &str = "/go-overlays/";
    let mut parts = text.split(DIRECTORY);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|character: char| character.is_ascii_hexdigit());
        result.push_str(&format!("{DIRECTORY}[HASH]{rest}"));
    }
    result
}

/// `name` for each `prefix` and the numbers after it, as in `.rondel-tmp-1-2`.
fn without_numbered(text: &str, prefix: &str, name: &str) -> String {
    let mut parts = text.split(prefix);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str(name);
        result.push_str(part.trim_start_matches(|character: char| character.is_ascii_digit() || character == '-'));
    }
    result
}

/// Digests: many hexadecimal digits, or `sha256:` and some; with `…` if they are cut, with the size if it follows.
fn without_digests(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_hexdigit()) {
        result.push_str(&rest[..start]);
        let after = rest[start..].trim_start_matches(|character: char| character.is_ascii_hexdigit());
        let digits = &rest[start..rest.len() - after.len()];
        rest = after;
        let is_named = result.ends_with("sha256:");
        if digits.len() < 32 && !is_named {
            result.push_str(digits);
            continue;
        }
        result.truncate(result.len() - if is_named { "sha256:".len() } else { 0 });
        result.push_str("[DIGEST]");
        rest = rest.strip_prefix('…').unwrap_or(rest);
        if let Some(size) = rest.strip_prefix('/').filter(|size| size.starts_with(|first: char| first.is_ascii_digit()))
        {
            rest = size.trim_start_matches(|character: char| character.is_ascii_digit());
        }
    }
    result + rest
}

/// `12 ms` and `1.23 s`, which an age in seconds looks like too; `703.6 KiB`.
fn without_amounts(line: &str) -> String {
    const UNITS: &[(&str, &str)] =
        &[("ms", "[T]"), ("s", "[T]"), ("KiB", "[SIZE]"), ("MiB", "[SIZE]"), ("GiB", "[SIZE]")];
    let mut result = String::new();
    let mut words = line.split_inclusive(' ').peekable();
    while let Some(word) = words.next() {
        let number = word.strip_suffix(' ').filter(|number| number.starts_with(|first: char| first.is_ascii_digit()));
        let amount = number.filter(|number| number.parse::<f64>().is_ok()).and_then(|_| {
            let next = words.peek()?;
            UNITS.iter().find_map(|(unit, name)| Some((name, next.strip_prefix(unit)?)))
        });
        match amount.filter(|(_, rest)| !rest.starts_with(char::is_alphanumeric)) {
            Some((name, rest)) => {
                result.push_str(name);
                result.push_str(rest);
                words.next();
            }
            None => result.push_str(word),
        }
    }
    result
}

pub fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Copies a tree, but what `wanted` refuses by name.
pub fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !wanted(&name) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, wanted);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Where the toolchain and Go's caches are that all tests share: in the target directory, kept between runs.
pub fn shared_cache() -> PathBuf {
    static READY: Mutex<bool> = Mutex::new(false);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-cache");
    let mut ready = READY.lock().unwrap();
    if !*ready {
        // Fetched by Rondel itself, once.
        let mut space = TestSpace::empty();
        space.set("RONDEL_CACHE_DIR", &cache.display().to_string());
        space.write("build.ron", "(format: 1, project: \"t\", go: Version(\"1.22.12\"), targets: {\"v\": Exec(command: [\"go\", \"version\"])})");
        space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
        space.write("build.lock", &fs::read_to_string(repository().join("build.lock")).unwrap());
        let run = space.ok(&["v"]);
        assert!(run.stderr.contains("go1.22.12"), "{}", run.stderr);
        *ready = true;
    }
    cache
}

/// The module proxies of the environment, or of an installed Go.
pub fn goproxy() -> &'static str {
    static PROXY: OnceLock<String> = OnceLock::new();
    PROXY.get_or_init(|| {
        std::env::var("GOPROXY").ok().filter(|value| !value.is_empty()).unwrap_or_else(|| {
            let output = Command::new("go").args(["env", "GOPROXY"]).output();
            output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
        })
    })
}
