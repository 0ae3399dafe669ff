//! The two programs: Rondel with all that it remembers, and a bare `go build` with a build cache that holds the standard
//! library only. Each says of a target what it makes, or that it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rondel_cas::Digest;
use serde_json::Value;

use crate::module::{Config, Target};

/// What a program did with one target.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Digests of executables, by name.
    Built(BTreeMap<String, Digest>),
    /// What it printed.
    Refused(String),
}

impl Outcome {
    /// Returns what is wrong if Rondel gave `self` and Go gave `other`.
    pub fn difference_from(&self, other: &Outcome) -> Option<String> {
        match (self, other) {
            (Outcome::Refused(_), Outcome::Refused(_)) => None,
            // Go keeps the last of two executables with one name and says nothing. That is refused on purpose.
            (Outcome::Refused(why), _) if why.contains("builds two commands named") => None,
            (Outcome::Built(_), Outcome::Refused(why)) => Some(format!("Rondel built what Go refuses:\n{why}")),
            (Outcome::Refused(why), Outcome::Built(_)) => Some(format!("Rondel refused what Go builds:\n{why}")),
            (Outcome::Built(own), Outcome::Built(bare)) if own == bare => None,
            (Outcome::Built(own), Outcome::Built(bare)) => {
                let names = |files: &BTreeMap<String, Digest>| files.keys().cloned().collect::<Vec<_>>().join(", ");
                let other: Vec<&str> = bare
                    .iter()
                    .filter(|(name, bytes)| own.get(*name) != Some(bytes))
                    .map(|(name, _)| &**name)
                    .collect();
                Some(format!("Rondel gave {}; Go gave {}; other bytes: {}", names(own), names(bare), other.join(", ")))
            }
        }
    }
}

/// What one run of Rondel gave.
pub struct RondelRun {
    pub outcomes: BTreeMap<String, Outcome>,
    /// Number of targets that were up to date or restored.
    pub hits: u64,
    /// All that it printed.
    pub printed: String,
}

/// Where the programs are, and what they keep.
pub struct Programs {
    pub directory: PathBuf,
    root: PathBuf,
    compiler: Option<PathBuf>,
}

impl Programs {
    /// Finds the Go on PATH, and compiles the standard library's packages that the worlds use.
    pub fn find(directory: PathBuf) -> Programs {
        let go = Command::new("go").args(["env", "GOROOT"]).current_dir("/").output().expect("go is on PATH");
        let root = PathBuf::from(String::from_utf8_lossy(&go.stdout).trim());
        let compiler = cfg!(target_arch = "x86_64") && cfg!(has_gcc);
        let compiler = compiler.then(|| find_on_path("gcc")).flatten();
        let programs = Programs { directory, root, compiler };
        programs.compile_standard_library();
        programs
    }

    pub fn has_compiler(&self) -> bool {
        self.compiler.is_some()
    }

    fn compile_standard_library(&self) {
        let module = self.directory.join("std");
        fs::create_dir_all(&module).expect("it can be written");
        fs::write(module.join("go.mod"), "module example.com/std\n\ngo 1.22\n").expect("it can be written");
        let source = "package main\n\nimport _ \"embed\"\n\nfunc main() {}\n";
        fs::write(module.join("main.go"), source).expect("it can be written");
        fs::write(module.join("c.go"), "package main\n\nimport \"C\"\n").expect("it can be written");
        for cgo in [false, true] {
            if cgo && self.compiler.is_none() {
                continue;
            }
            let config = Config { cgo, ..Config::default() };
            let target = Target { name: "std".to_owned(), packages: vec![".".to_owned()], tags: Vec::new() };
            let cache = self.directory.join("std-cache");
            if let Outcome::Refused(why) = self.bare(&config, &target, &module, &cache, &self.directory.join("std-out"))
            {
                panic!("the standard library was not compiled: {why}");
            }
        }
        // What Rondel's own `go` would compile first.
        copy(&self.directory.join("std-cache"), &self.directory.join("cache/go/build"));
    }

    /// Runs `go build`, with nothing of the caller's environment.
    fn bare(&self, config: &Config, target: &Target, module: &Path, cache: &Path, out: &Path) -> Outcome {
        let _ = fs::remove_dir_all(out);
        fs::create_dir_all(out).expect("it can be written");
        let mut command = Command::new(self.root.join("bin/go"));
        command.args(["build", "-trimpath", "-buildvcs=false", "-pgo=auto"]);
        if !target.tags.is_empty() {
            command.arg(format!("-tags={}", target.tags.join(",")));
        }
        let mut place = OsString::from(out);
        place.push("/");
        command.arg("-ldflags=-buildid= -s -w").arg("-o").arg(place).arg("--").args(&target.packages);
        command.current_dir(module).env_clear().stdin(Stdio::null());
        for (name, value) in [
            ("GOOS", "linux"),
            ("GOARCH", "amd64"),
            ("GOAMD64", "v1"),
            ("GOENV", "off"),
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", "off"),
            ("GOTELEMETRY", "off"),
            ("LC_ALL", "C"),
            ("CGO_ENABLED", if config.cgo { "1" } else { "0" }),
        ] {
            command.env(name, value);
        }
        let go_work = config.go_work.then(|| module.join("go.work"));
        command.env("GOWORK", go_work.unwrap_or_else(|| PathBuf::from("off")));
        command.env("PATH", format!("{}/bin:/usr/bin:/bin", self.root.display()));
        command.env("GOCACHE", cache).env("GOPATH", self.directory.join("bare-home"));
        command.env("HOME", self.directory.join("bare-home"));
        if let Some(compiler) = self.compiler.as_ref().filter(|_| config.cgo) {
            command.env("CC", compiler);
        }
        let output = command.output().expect("go can be started");
        if !output.status.success() {
            return Outcome::Refused(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Outcome::Built(files_in(out))
    }

    /// Runs Rondel on all targets of the world in `work`.
    pub fn rondel(&self, config: &Config, work: &Path, cache: &Path) -> RondelRun {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rondel-under-test"));
        command.args(["--events", "json", "--keep-going"]);
        command.args(config.targets.iter().map(|target| &target.name));
        command.current_dir(work).env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{}/bin:/usr/bin:/bin", self.root.display()));
        command.env("HOME", self.directory.join("home")).env("RONDEL_CACHE_DIR", cache);
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock").env("GOPROXY", "off").env("GOSUMDB", "off");
        let output = command.output().expect("rondel can be started");
        let code = output.status.code();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let printed = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(code.is_some_and(|code| code <= 3), "rondel ended with {:?}:\n{printed}", output.status);
        let mut run = RondelRun { outcomes: BTreeMap::new(), hits: 0, printed };
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        for target in &config.targets {
            let own = |event: &&Value| event["event"] == "step_finished" && event["target"] == *target.name;
            let last = events.iter().rfind(own);
            let outcome = last.and_then(|event| event["outcome"].as_str()).unwrap_or("");
            let built = match outcome {
                "cached" | "ran" => {
                    run.hits += u64::from(outcome == "cached");
                    let outputs = last.and_then(|event| event["outputs"].as_array()).expect("outputs are listed");
                    let paths = outputs.iter().filter_map(|output| output["path"].as_str()).map(|path| work.join(path));
                    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let bytes = |path: &Path| Digest::of(&fs::read(path).unwrap_or_default());
                    Outcome::Built(paths.map(|path| (name(&path), bytes(&path))).collect())
                }
                "failed" | "skipped" | "" => {
                    assert_ne!(code, Some(0), "`{}` was not built: {}", target.name, run.printed);
                    let is_error = |event: &&Value| event["event"] == "error";
                    let errors = events.iter().filter(is_error).map(|event| format!("{}\n", event["message"]));
                    Outcome::Refused(errors.collect())
                }
                other => panic!("a step ended as `{other}`: {}", run.printed),
            };
            run.outcomes.insert(target.name.clone(), built);
        }
        run
    }
}

/// A bare Go with a build cache of its own.
pub struct Bare<'a> {
    programs: &'a Programs,
    directory: PathBuf,
    standard: BTreeSet<PathBuf>,
}

impl Bare<'_> {
    pub fn new(programs: &Programs, number: usize) -> Bare<'_> {
        let directory = programs.directory.join(format!("bare-{number}"));
        copy(&programs.directory.join("std-cache"), &directory.join("cache"));
        let mut standard = BTreeSet::new();
        each_file(&directory.join("cache"), &mut |path| {
            standard.insert(path.to_owned());
        });
        Bare { programs, directory, standard }
    }

    /// Builds `target`. Afterwards nothing of it is in the build cache, Go's index of the module least of all.
    pub fn build(&self, config: &Config, target: &Target, module: &Path) -> Outcome {
        let cache = self.directory.join("cache");
        let outcome = self.programs.bare(config, target, module, &cache, &self.directory.join("out"));
        each_file(&cache, &mut |path| {
            if !self.standard.contains(path) {
                fs::remove_file(path).expect("it was there");
            }
        });
        outcome
    }
}

fn files_in(directory: &Path) -> BTreeMap<String, Digest> {
    let entries = fs::read_dir(directory).expect("it was made").flatten();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    entries.map(|entry| (name(&entry.path()), Digest::of(&fs::read(entry.path()).expect("it can be read")))).collect()
}

fn find_on_path(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin"]
        .map(|directory| Path::new(directory).join(name))
        .into_iter()
        .find(|path| path.is_file())
}

fn each_file(directory: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).expect("it can be read").flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => each_file(&entry.path(), visit),
            _ => visit(&entry.path()),
        }
    }
}

pub fn copy(from: &Path, to: &Path) {
    each_file(from, &mut |path| {
        let place = to.join(path.strip_prefix(from).expect("it is below"));
        fs::create_dir_all(place.parent().expect("it has one")).expect("it can be written");
        fs::copy(path, place).expect("it can be copied");
    });
}
