//! The contenders and their needs: copies of the sample, caches of their own, a registry.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::push::COUNTED;
use crate::statistics::Samples;

pub const REGISTRY: &str = "127.0.0.1:5077";
const DOCKERFILE: &str = "# syntax-free: every mount below is understood by the daemon's own BuildKit
FROM golang:1.22-alpine AS build
ARG GOPROXY
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/root/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -buildid=' -o /out/council ./cmd/council
FROM scratch
COPY --from=build /out/council /app/council
";

/// One way to build, with a copy of the sample of its own.
#[derive(Clone)]
pub(crate) struct Contender {
    pub name: String,
    /// Root of the Go module.
    pub tree: PathBuf,
    command: Vec<String>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// Directories, tools and servers of one run.
pub(crate) struct Lab {
    pub root: PathBuf,
    pub rondel: PathBuf,
    goroot: PathBuf,
    pub cache: PathBuf,
    goproxy: String,
    registry: Option<Child>,
}

impl Contender {
    /// Returns a command in the directory `tree`.
    pub fn new(name: &str, tree: &Path, words: &[&str], environment: BTreeMap<String, String>) -> Contender {
        Contender {
            name: name.to_owned(),
            tree: tree.to_owned(),
            command: words.iter().map(|&word| word.to_owned()).collect(),
            directory: tree.to_owned(),
            environment,
        }
    }

    /// Returns the seconds of one run.
    pub fn run(&self) -> Result<f64> {
        let begun = Instant::now();
        let output = self.command().output()?;
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        Ok(seconds)
    }

    /// Returns its program with other words, in the same place.
    pub fn with_words(&self, words: &[&str]) -> Command {
        let command = std::iter::once(self.command[0].clone()).chain(words.iter().map(|&word| word.to_owned()));
        Contender { command: command.collect(), ..self.clone() }.command()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.directory).env_clear().envs(&self.environment);
        command.stdin(Stdio::null());
        command
    }
}

impl Lab {
    /// Builds Rondel as `cargo xtask` does, copies the sample, warms the caches, starts a registry if there is one.
    pub fn set_up(repository: &Path) -> Result<Lab> {
        let cargo = Command::new("cargo")
            .args(["build", "--quiet", "--profile", "xtask", "--package", "rondel", "--package", "xtask"])
            .current_dir(repository)
            .status()?;
        ensure!(cargo.success(), "cargo build failed");
        let root = repository.join("target/bench");
        let _ = fs::remove_dir_all(root.join("trees"));
        let cache = root.join("cache");
        fs::create_dir_all(&cache)?;
        let rondel = repository.join("target/xtask/rondel");
        let goproxy = match std::env::var("GOPROXY") {
            Ok(value) if !value.is_empty() => value,
            _ => {
                let output = Command::new("go")
                    .args(["env", "GOPROXY"])
                    .output()
                    .context("GOPROXY is not set, and there is no go")?;
                String::from_utf8_lossy(&output.stdout).trim().to_owned()
            }
        };
        let goroot = cache
            .join("go/toolchains")
            .join(format!("go1.22.12.linux-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }))
            .join("sdk");
        let mut lab = Lab { root, rondel, goroot, cache, goproxy, registry: None };
        let warm = lab.rondel_in("rondel", &["image"], repository)?;
        warm.run().context("the sample does not build")?;
        lab.start_registry(repository)?;
        Ok(lab)
    }

    /// Builds the program as `cargo install` does, and returns its path.
    pub fn optimised(&self) -> Result<PathBuf> {
        let cargo = Command::new("cargo")
            .args(["build", "--quiet", "--release", "--package", "rondel"])
            .current_dir(self.repository())
            .status()?;
        ensure!(cargo.success(), "cargo build --release failed");
        Ok(self.repository().join("target/release/rondel"))
    }

    fn tree(&self, name: &str, repository: &Path) -> Result<PathBuf> {
        let directory = self.root.join("trees").join(name);
        if !directory.exists() {
            fs::create_dir_all(&directory)?;
            let status = Command::new("cp")
                .args(["-r"])
                .args(["examples", "build.ron", "build.lock"].map(|path| repository.join(path)))
                .arg(&directory)
                .status()?;
            ensure!(status.success(), "the sample was not copied");
        }
        Ok(directory)
    }

    fn rondel_in(&self, name: &str, arguments: &[&str], repository: &Path) -> Result<Contender> {
        let directory = self.tree(name, repository)?;
        let mut environment = self.environment();
        environment.insert("RONDEL_CACHE_DIR".into(), self.cache.display().to_string());
        environment.insert("DOCKER_HOST".into(), "unix:///nonexistent".into());
        let command =
            std::iter::once(self.rondel.display().to_string()).chain(arguments.iter().map(|&word| word.to_owned()));
        Ok(Contender {
            name: "rondel".into(),
            tree: directory.join("examples/council"),
            command: command.collect(),
            directory,
            environment,
        })
    }

    pub fn environment(&self) -> BTreeMap<String, String> {
        let path = format!("{}:{}", self.goroot.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let home = std::env::var("HOME").unwrap_or_default();
        BTreeMap::from([
            ("PATH".into(), path),
            ("HOME".into(), home),
            ("GOPROXY".into(), self.goproxy.clone()),
            ("GOTOOLCHAIN".into(), "local".into()),
        ])
    }

    pub fn go_environment(&self, build_cache: &str) -> BTreeMap<String, String> {
        let mut environment = self.environment();
        for (name, value) in [("GOENV", "off"), ("GOFLAGS", "-mod=readonly"), ("GOWORK", "off"), ("CGO_ENABLED", "0")] {
            environment.insert(name.into(), value.into());
        }
        environment.insert("GOCACHE".into(), self.root.join(build_cache).display().to_string());
        environment.insert("GOMODCACHE".into(), self.cache.join("go/mod").display().to_string());
        environment
    }

    fn bare(&self, repository: &Path, name: &str, build_cache: &str) -> Result<Contender> {
        let directory = self.tree(name, repository)?.join("examples/council");
        let out = self.root.join("bare-council").display().to_string();
        let words = [
            "go",
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-buildid= -s -w -X main.version=dev -X main.commit=unknown",
            "-o",
            &out,
            "./cmd/council",
        ];
        Ok(Contender {
            name: "bare go build".into(),
            tree: directory.clone(),
            command: words.map(str::to_owned).to_vec(),
            directory,
            environment: self.go_environment(build_cache),
        })
    }

    /// Returns all contenders on this machine; the first is the measure of the others.
    pub fn contenders(&self) -> Result<Vec<Contender>> {
        let repository = self.repository();
        let mut all =
            vec![self.bare(repository, "bare", "bare-cache")?, self.rondel_in("rondel", &["image"], repository)?];
        match self.ko(repository) {
            Ok(ko) => all.push(ko),
            Err(error) => println!("left out: ko ({error})"),
        }
        match self.buildkit(repository) {
            Ok(buildkit) => all.push(buildkit),
            Err(error) => println!("left out: BuildKit ({error})"),
        }
        Ok(all)
    }

    pub fn repository(&self) -> &Path {
        self.root.ancestors().nth(2).unwrap_or(&self.root)
    }

    /// Returns those that push the sample as `prefix/NAME:latest`, on one base without a probe.
    pub fn pushers(&self, prefix: &str) -> Result<Vec<Contender>> {
        let repository = self.repository();
        let mut rondel = self.rondel_in("push", &["--quiet", "push"], repository)?;
        fs::write(
            rondel.directory.join("build.ron"),
            format!(
                "(format: 1, project: \"push\", root: \"examples/council\", go: Version(\"1.22.12\"), platforms: [\"linux/amd64\"], targets: {{
                    \"server\": GoBuild(packages: [\"./cmd/council\"], ldflags: [\"-s\", \"-w\"]),
                    \"image\": Image(base: From(\"{REGISTRY}/base:latest\"), files: {{\"/app/council\": Output(\"server\")}}, entrypoint: [\"/app/council\"]),
                    \"push\": Push(image: \"image\", to: [\"{COUNTED}/{prefix}/rondel:latest\"]),
                }})\n"
            ),
        )?;
        rondel.name = "rondel push".into();
        let mut all = vec![rondel];
        match self.ko(repository) {
            Ok(mut ko) => {
                ko.environment.insert("KO_DOCKER_REPO".into(), format!("{COUNTED}/{prefix}/ko"));
                all.push(ko);
            }
            Err(error) => println!("left out: ko ({error})"),
        }
        match self.buildkit(repository) {
            Ok(mut buildkit) => {
                buildkit.command.retain(|word| word != "--load" && !word.starts_with("--tag="));
                buildkit.command.insert(3, format!("--tag={COUNTED}/{prefix}/buildkit:latest"));
                buildkit.command.insert(3, "--push".into());
                all.push(buildkit);
            }
            Err(error) => println!("left out: BuildKit ({error})"),
        }
        Ok(all)
    }

    fn start_registry(&mut self, repository: &Path) -> Result<()> {
        let config = self.root.join("registry.yml");
        fs::write(
            &config,
            format!("version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: {REGISTRY}}}\n"),
        )?;
        let Ok(child) =
            Command::new("registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        else {
            return Ok(());
        };
        self.registry = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(REGISTRY).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(20), "the registry did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        // ko's base: the static base of the same image, without the binary.
        let base = self.tree("base", repository)?;
        fs::write(
            base.join("build.ron"),
            "(format: 1, project: \"base\", platforms: [\"linux/amd64\"], targets: {\"base\": Image(base: Static, entrypoint: [\"/none\"])})",
        )?;
        let mut rondel = self.rondel_in("base", &["base"], repository)?;
        rondel.directory = base.clone();
        rondel.run()?;
        let status = Command::new("crane")
            .args(["push", "--insecure"])
            .arg(base.join("dist/base"))
            .arg(format!("{REGISTRY}/base:latest"))
            .stdout(Stdio::null())
            .status();
        ensure!(status.is_ok_and(|status| status.success()), "crane did not push the base");
        Ok(())
    }

    fn ko(&self, repository: &Path) -> Result<Contender> {
        ensure!(self.registry.is_some(), "no registry on this machine");
        ensure!(Command::new("ko").arg("version").output().is_ok(), "no ko on this machine");
        let directory = self.tree("ko", repository)?.join("examples/council");
        fs::write(
            directory.join(".ko.yaml"),
            format!(
                "defaultBaseImage: {REGISTRY}/base:latest\nbuilds:\n- id: council\n  main: ./cmd/council\n  ldflags: [-s, -w]\n"
            ),
        )?;
        let mut environment = self.go_environment("ko-go-cache");
        environment.insert("KO_DOCKER_REPO".into(), format!("{REGISTRY}/ko"));
        environment.insert("KOCACHE".into(), self.root.join("ko-cache").display().to_string());
        let words =
            ["ko", "build", "--bare", "--insecure-registry", "--sbom=none", "--platform=linux/amd64", "./cmd/council"];
        let contender = Contender {
            name: "ko".into(),
            tree: directory.clone(),
            command: words.map(str::to_owned).to_vec(),
            directory,
            environment,
        };
        contender.run()?;
        Ok(contender)
    }

    fn buildkit(&self, repository: &Path) -> Result<Contender> {
        let directory = self.tree("buildkit", repository)?.join("examples/council");
        fs::write(directory.join("Dockerfile.bench"), DOCKERFILE)?;
        fs::write(directory.join(".dockerignore"), "*\n!go.mod\n!go.sum\n!cmd\n!internal\n!pkg\n**/*_test.go\n")?;
        let proxy = format!("GOPROXY={}", self.goproxy);
        let words = [
            "docker",
            "buildx",
            "build",
            "--load",
            "--provenance=false",
            "--quiet",
            "--file=Dockerfile.bench",
            "--build-arg",
            &proxy,
            "--tag=rondel-bench:buildkit",
            ".",
        ];
        let mut environment = self.environment();
        environment.insert("DOCKER_BUILDKIT".into(), "1".into());
        let contender = Contender {
            name: "BuildKit (cache mounts)".into(),
            tree: directory.clone(),
            command: words.map(str::to_owned).to_vec(),
            directory,
            environment,
        };
        contender.run()?;
        Ok(contender)
    }

    /// `cargo xtask image` in the repository itself, cargo's start-up included.
    pub fn cargo_xtask(&self, repository: &Path, rounds: usize) -> Result<Samples> {
        let mut environment = self.environment();
        environment
            .extend(std::env::vars().filter(|(name, _)| name.starts_with("CARGO_HOME") || name.starts_with("RUSTUP")));
        environment.insert("RONDEL_CACHE_DIR".into(), self.cache.display().to_string());
        environment.insert("DOCKER_HOST".into(), "unix:///nonexistent".into());
        let contender = Contender {
            name: "cargo xtask image (in all)".into(),
            tree: repository.to_owned(),
            command: ["cargo", "xtask", "image"].map(str::to_owned).to_vec(),
            directory: repository.to_owned(),
            environment,
        };
        let mut samples = Samples::new(&contender.name);
        for round in 0..=rounds {
            let seconds = contender.run()?;
            if round > 0 {
                samples.push(seconds);
            }
        }
        Ok(samples)
    }

    /// Outputs deleted, results stored.
    pub fn restore(&self, rounds: usize) -> Result<Samples> {
        let contender = self.rondel_in("rondel", &["image", "--platform", "linux/arm64"], self.repository())?;
        contender.run()?;
        let mut samples = Samples::new("rondel, restored");
        for _ in 0..rounds {
            let _ = fs::remove_dir_all(contender.directory.join("dist"));
            let _ = fs::remove_dir_all(contender.directory.join(".rondel/out"));
            samples.push(contender.run()?);
        }
        Ok(samples)
    }

    /// Bare and Rondel in turns, each with an empty build cache and nothing stored. Rondel compiles its health
    /// probe as well, so what is compared is the binary alone.
    pub fn cold(&self, rounds: usize) -> Result<Vec<Samples>> {
        let repository = self.repository();
        let (mut bare, mut rondel) = (Samples::new("bare go build"), Samples::new("rondel server"));
        for _ in 0..rounds {
            let _ = fs::remove_dir_all(self.root.join("cold-cache"));
            bare.push(self.bare(repository, "cold-bare", "cold-cache")?.run()?);
            let contender = self.rondel_in("cold-rondel", &["server"], repository)?;
            for path in [
                self.cache.join("go/build"),
                self.cache.join("v2"),
                contender.directory.join(".rondel"),
                contender.directory.join("dist"),
            ] {
                let _ = fs::remove_dir_all(path);
            }
            rondel.push(contender.run()?);
        }
        Ok(vec![bare, rondel])
    }

    /// The largest resident set of a no-op, as the kernel counts it.
    pub fn memory(&self) -> Result<()> {
        let contender =
            self.rondel_in("rondel image, nothing changed (git included)", &["image"], self.repository())?;
        contender.run()?;
        self.memory_of(&contender)
    }

    /// Returns the peak memory of one run.
    pub fn memory_of(&self, contender: &Contender) -> Result<()> {
        let script = "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL, check=True)\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        let output = Command::new("python3")
            .args(["-c", script])
            .args(&contender.command)
            .current_dir(&contender.directory)
            .env_clear()
            .envs(&contender.environment)
            .output();
        match output {
            Ok(output) if output.status.success() => {
                let kib: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
                println!("  {}: {:.1} MiB resident at most", contender.name, kib / 1024.0);
            }
            Ok(output) => bail!("{}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => println!("  left out: no python3 to ask the kernel with"),
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(registry) = &mut self.registry {
            let _ = registry.kill();
            let _ = registry.wait();
        }
    }
}

/// Each contender once a round, after `before`, which gets the number of the turn. The order changes from round to round, and
/// the first one is not counted.
pub fn turns(contenders: &[&Contender], rounds: usize, before: &dyn Fn(usize) -> Result<()>) -> Result<Vec<Samples>> {
    let mut samples: Vec<Samples> = contenders.iter().map(|contender| Samples::new(&contender.name)).collect();
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            before(round * contenders.len() + turn)?;
            let seconds = contenders[place].run()?;
            if round > 0 {
                samples[place].push(seconds);
            }
        }
    }
    Ok(samples)
}
