//! From a saved file to the service that has it: `watch` beside a bare `go build` of the same edit, air and wgo. Then edits and failing
//! builds below a load, and restarts one after the other.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::contenders::{Contender, Lab};
use crate::statistics::{Samples, table};

/// Requests of the load, a second.
const RATE: u64 = 500;
/// Clients that share it.
const CLIENTS: u64 = 10;
/// Number of restarts one after the other.
const RESTARTS: usize = 200;

const SERVER: &str = r#"package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

const version = "0"

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "v"+version+"!") })
	server := &http.Server{Addr: "ADDRESS", Handler: mux}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-stop; server.Shutdown(context.Background()) }()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
"#;

/// A program that watches, with a tree and a port of its own.
struct Watching {
    name: &'static str,
    tree: PathBuf,
    /// Where it is asked.
    port: u16,
    child: Child,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Measures `rounds` edits.
pub(crate) fn watch(lab: &Lab, rounds: usize) -> Result<()> {
    let bare = tree(lab, "bare", "127.0.0.1:18300")?;
    let bare =
        Contender::new("bare go build", &bare, &["go", "build", "-o", "out", "."], lab.go_environment("watch-go"));
    let mut watching = vec![rondel(lab, "rondel", false)?, rondel(lab, "rondel with a proxy", true)?];
    for other in [container(lab)?, air(lab)?, wgo(lab)?] {
        match other {
            Ok(other) => watching.push(other),
            Err(name) => println!("{name} is not here"),
        }
    }
    println!("from a saved edit to its answer, {rounds} rounds in turns");
    let mut samples = vec![Samples::new(&bare.name)];
    samples.extend(watching.iter().map(|watching| Samples::new(watching.name)));
    let docker = docker_is_here().then_some(DockerAlone);
    samples.extend(docker.iter().map(|_| Samples::new("docker: stop, rm, run")));
    for watching in &watching {
        wait_for(watching.port, "v0!")?;
    }
    for round in 0..=rounds {
        set_version(&bare.tree, round + 1)?;
        let mut seconds = vec![bare.run()?];
        for watching in &watching {
            // What the former contender does after its answer is over.
            std::thread::sleep(Duration::from_millis(1500));
            let begun = Instant::now();
            set_version(&watching.tree, round + 1)?;
            wait_for_version(watching.port, round + 1)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        if let Some(docker) = &docker {
            std::thread::sleep(Duration::from_millis(1500));
            seconds.push(docker.exchange()?);
        }
        // The first round is not counted.
        if round > 0 {
            samples.iter_mut().zip(seconds).for_each(|(samples, seconds)| samples.push(seconds));
        }
    }
    table(&samples);
    let proxied = watching.remove(1);
    drop(watching);
    under_load(&proxied, rounds)
}

/// Edits, and builds that fail, below a load; then restarts without one.
fn under_load(watching: &Watching, rounds: usize) -> Result<()> {
    let (ends, asked, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (ends, asked, failed) = (Arc::clone(&ends), Arc::clone(&asked), Arc::clone(&failed));
            let port = watching.port;
            std::thread::spawn(move || {
                let mut kept = None;
                let pause = Duration::from_micros(1_000_000 * CLIENTS / RATE);
                while !ends.load(Ordering::SeqCst) {
                    let begun = Instant::now();
                    // Half of the clients keep their connection.
                    match ask(if number % 2 == 0 { kept.take() } else { None }, port) {
                        Ok((connection, _)) => kept = Some(connection),
                        Err(_) => drop(failed.fetch_add(1, Ordering::SeqCst)),
                    }
                    asked.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(pause.saturating_sub(begun.elapsed()));
                }
            })
        })
        .collect();
    let edits = 50;
    for edit in 0..edits {
        set_version(&watching.tree, rounds + 10 + edit)?;
        wait_for_version(watching.port, rounds + 10 + edit)?;
        if edit % 5 == 0 {
            let path = watching.tree.join("main.go");
            let good = fs::read_to_string(&path)?;
            fs::write(&path, format!("{good}broken\n"))?;
            std::thread::sleep(Duration::from_millis(1500));
            fs::write(&path, good)?;
        }
    }
    ends.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| drop(client.join()));
    let (asked, failed) = (asked.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    println!(
        "{edits} edits and {} failing builds below a load: {failed} of {asked} requests failed",
        edits.div_ceil(5)
    );
    let begun = Instant::now();
    for restart in 0..RESTARTS {
        set_version(&watching.tree, 10_000 + restart)?;
        wait_for_version(watching.port, 10_000 + restart)?;
    }
    let log = fs::read_to_string(watching.tree.join("log"))?;
    let in_use = log.matches("address already in use").count() + log.matches("is taken").count();
    println!("{RESTARTS} restarts in {:.0} s: {in_use} addresses in use", begun.elapsed().as_secs_f64());
    Ok(())
}

fn tree(lab: &Lab, name: &str, address: &str) -> Result<PathBuf> {
    let tree = lab.root.join("trees/watch").join(name);
    fs::create_dir_all(&tree)?;
    fs::write(tree.join("go.mod"), "module example.com/t\n\ngo 1.22\n")?;
    fs::write(tree.join("main.go"), SERVER.replace("ADDRESS", address))?;
    Ok(tree)
}

/// Starts a program in a tree, with what it says in `log`.
fn start(name: &'static str, tree: PathBuf, port: u16, command: &mut Command) -> Result<Watching> {
    let log = fs::File::create(tree.join("log"))?;
    let child = command.current_dir(&tree).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    Ok(Watching { name, tree, port, child })
}

fn rondel(lab: &Lab, name: &'static str, has_proxy: bool) -> Result<Watching> {
    let (port, own) = if has_proxy { (18_302, 18_303) } else { (18_301, 18_301) };
    let tree = tree(lab, name, &format!("127.0.0.1:{own}"))?;
    let proxy = if has_proxy { format!(", proxy: \"127.0.0.1:{port}\"") } else { String::new() };
    let targets = format!(
        "\"server\": GoBuild(packages: [\".\"]), \"serve\": Process(command: [Output(\"server\")], ready: Port({own}){proxy})"
    );
    start_rondel(lab, name, tree, &targets, port)
}

fn start_rondel(lab: &Lab, name: &'static str, tree: PathBuf, targets: &str, port: u16) -> Result<Watching> {
    fs::write(tree.join("build.ron"), format!("(format: 1, project: \"t\", go: System, targets: {{{targets}}})\n"))?;
    let mut command = Command::new(&lab.rondel);
    command.args(["watch", "serve"]).env_clear().envs(lab.go_environment("watch-go"));
    command.env("RONDEL_CACHE_DIR", lab.root.join("watch-cache"));
    start(name, tree, port, &mut command)
}

/// The same server in a container. Each edit makes a new image.
fn container(lab: &Lab) -> Result<Result<Watching, &'static str>> {
    if !docker_is_here() {
        return Ok(Err("a Docker daemon"));
    }
    let tree = tree(lab, "container", ":8080")?;
    let targets = "\"server\": GoBuild(packages: [\".\"], platforms: [\"linux/amd64\"]), \
         \"image\": Image(base: Static, files: {\"/server\": Output(\"server\")}, entrypoint: [\"/server\"], \
         tags: [\"rondel-bench-watch:1\"]), \
         \"serve\": DockerRun(image: \"image\", publish: [\"18306:8080\"], health: Http(port: 8080, path: \"/\"), \
         proxy: \"127.0.0.1:18307\")";
    start_rondel(lab, "rondel, a container", tree, targets, 18_307).map(Ok)
}

fn docker_is_here() -> bool {
    let docker = Command::new("docker").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    docker.is_ok_and(|status| status.success())
}

/// What Docker itself takes to put a container of the same image in the place of another one: no build, and nothing is loaded.
struct DockerAlone;

impl DockerAlone {
    const NAME: &str = "rondel-bench-alone";
    const PORT: u16 = 18_308;

    fn docker(words: &[&str]) -> bool {
        let docker = Command::new("docker").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        docker.is_ok_and(|status| status.success())
    }

    /// Returns how long it took until an answer, in seconds.
    fn exchange(&self) -> Result<f64> {
        let begun = Instant::now();
        Self::docker(&["stop", Self::NAME]);
        Self::docker(&["rm", Self::NAME]);
        let publish = format!("127.0.0.1:{}:8080", Self::PORT);
        let runs =
            Self::docker(&["run", "--detach", "--name", Self::NAME, "--publish", &publish, "rondel-bench-watch:1"]);
        ensure!(runs, "docker run failed");
        wait_for(Self::PORT, "!")?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

impl Drop for DockerAlone {
    fn drop(&mut self) {
        Self::docker(&["rm", "--force", Self::NAME]);
    }
}

fn is_here(program: &str) -> bool {
    Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// air, with no pause before its build.
fn air(lab: &Lab) -> Result<Result<Watching, &'static str>> {
    if !is_here("air") {
        return Ok(Err("air"));
    }
    let tree = tree(lab, "air", "127.0.0.1:18304")?;
    let settings = "[build]\ncmd = \"go build -o ./tmp/main .\"\nbin = \"./tmp/main\"\ndelay = 0\nsend_interrupt = true\nexclude_dir = [\"tmp\"]\n";
    fs::write(tree.join(".air.toml"), settings)?;
    let mut command = Command::new("air");
    command.env_clear().envs(lab.go_environment("watch-go"));
    start("air", tree, 18_304, &mut command).map(Ok)
}

fn wgo(lab: &Lab) -> Result<Result<Watching, &'static str>> {
    if !is_here("wgo") {
        return Ok(Err("wgo"));
    }
    let tree = tree(lab, "wgo", "127.0.0.1:18305")?;
    let mut command = Command::new("wgo");
    command.args(["-debounce", "10ms", "run", "."]).env_clear().envs(lab.go_environment("watch-go"));
    start("wgo", tree, 18_305, &mut command).map(Ok)
}

/// Sets a version that no earlier run has built: a result of that would be found in the cache.
fn set_version(tree: &Path, version: usize) -> Result<()> {
    let version = version_text(version);
    let path = tree.join("main.go");
    let text = fs::read_to_string(&path)?;
    let line = |line: &str| match line.starts_with("const version = ") {
        true => format!("const version = \"{version}\"\n"),
        false => format!("{line}\n"),
    };
    Ok(fs::write(path, text.lines().map(line).collect::<String>())?)
}

fn version_text(version: usize) -> String {
    format!("{}.{version}", std::process::id())
}

fn wait_for_version(port: u16, version: usize) -> Result<()> {
    wait_for(port, &format!("v{}!", version_text(version)))
}

fn wait_for(port: u16, answer: &str) -> Result<()> {
    let begun = Instant::now();
    while !ask(None, port).is_ok_and(|(_, text)| text.ends_with(answer)) {
        ensure!(begun.elapsed() < Duration::from_secs(120), "port {port} does not answer {answer}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Sends one request, and returns the connection and the answer.
fn ask(connection: Option<TcpStream>, port: u16) -> std::io::Result<(TcpStream, String)> {
    let mut stream = connection.map_or_else(|| TcpStream::connect(("127.0.0.1", port)), Ok)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")?;
    let (mut read, mut buffer) = (String::new(), [0; 1024]);
    while !(read.contains("\r\n\r\nv") && read.ends_with('!')) {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::Error::other("the connection broke off")),
            count => read.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    Ok((stream, read))
}
