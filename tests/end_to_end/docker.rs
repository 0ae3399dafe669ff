//! What needs a real Docker daemon. Public images are stand-ins where none can be pulled (tests/images).

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::space::{Run, TestSpace, copy, repository};

/// One test at a time: they share the daemon and the names in it.
static DAEMON: Mutex<()> = Mutex::new(());

pub fn daemon() -> MutexGuard<'static, ()> {
    DAEMON.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The sample service with the daemon of this machine, under names of its own.
pub fn council(port: u16) -> TestSpace {
    let mut space = TestSpace::empty().with_shared_go();
    copy(&repository().join("examples"), &space.root().join("examples"), &|_| true);
    for file in ["build.ron", "build.lock"] {
        std::fs::copy(repository().join(file), space.root().join(file)).unwrap();
    }
    space.replace("build.ron", "project: \"council\"", "project: \"rondel-test\"");
    space.unset("DOCKER_HOST").set("IMAGE_REPO", "rondel-test").set("COUNCIL_PORT", &port.to_string());
    space
}

/// Returns a port that nothing listens on, each time another one, below those that the system gives to whoever connects.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::SeqCst).wrapping_add((std::process::id() % 10_000) as u16) % 10_000;
        if TcpListener::bind(("127.0.0.1", 20_000 + number)).is_ok() {
            return 20_000 + number;
        }
    }
}

pub fn get(port: u16, path: &str) -> Option<String> {
    try_get(port, path).ok()
}

/// Sends a GET request of HTTP/1.0 and returns the whole answer, or what went wrong and after which time.
pub fn try_get(port: u16, path: &str) -> Result<String, String> {
    let begun = Instant::now();
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("connect: {error}"))?;
        // A machine whose disk is busy brings code in late.
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").map_err(|error| format!("write: {error}"))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| format!("read: {error}, after {answer:?}"))?;
        Ok(answer)
    };
    ask().map_err(|error: String| format!("{error} ({} ms)", begun.elapsed().as_millis()))
}

pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn containers() -> String {
    docker(&["ps", "--all", "--quiet", "--filter", "label=rondel.project=rondel-test"])
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn a_reachable_daemon_gets_the_image_once() {
    let _guard = daemon();
    let mut space = council(free_port());
    docker(&["rmi", "--force", "rondel-test:latest", "rondel-test:dev"]);
    space.ok(&["image"]);
    assert!(!docker(&["images", "--quiet", "rondel-test:latest"]).is_empty());
    let log = space.record_programs(&["docker", "go"]);
    let outcomes = space.outcomes(&["image"]);
    assert_eq!(outcomes["image: docker"], "cached");
    assert!(!log.exists());
    docker(&["rmi", "--force", "rondel-test:latest"]);
    let ran = space.ran(&["image"]);
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["image: docker"]);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Config.User}}", "rondel-test:latest"]), "65532:65532");
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn run_is_healthy_not_root_and_leaves_nothing() {
    let _guard = daemon();
    let port = free_port();
    let space = council(port);
    let child = space.start(&["run"]);
    wait_for("health", || {
        get(port, "/api/v1/health").is_some_and(|answer| answer.contains("200 OK") && answer.contains("\"uid\":10001"))
    });
    let id = containers();
    let facts = docker(&[
        "inspect",
        "--format",
        "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}",
        &id,
    ]);
    assert_eq!(facts, "10001:10001 true [ALL] [no-new-privileges]");
    // The program that follows the container's output starts once it is healthy.
    std::thread::sleep(std::time::Duration::from_secs(3));
    // A second one finds the first of the same target and takes its place; here the port is taken by somebody else.
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    run.fails(130, &["run: healthy after", &format!("http://127.0.0.1:{port}/api/v1/health"), "listening"]);
    assert_eq!(containers(), "", "the container is gone");
}

/// A command of the image says when it is healthy: no probe, and no Go. Docker asks it too.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn health_by_a_command() {
    let _guard = daemon();
    let mut space = TestSpace::with_targets(
        r#""image": Image(base: Static, files: {"/bin/busybox": File("box", mode: 0o755)}, tags: ["rondel-test-health:1"], platforms: ["linux/amd64"],
            entrypoint: ["/bin/busybox", "sh", "-c", "sleep 1; touch '/tmp/a$b'; sleep 60"],
            health: Command(["/bin/busybox", "test", "-e", Env("READY")], interval_s: 1, timeout_s: 5, retries: 9, start_period_s: 7)),
        "run": DockerRun(image: "image", detach: true, health_timeout_s: 20)"#,
    );
    std::fs::copy("/bin/busybox", space.root().join("box")).unwrap();
    space.unset("DOCKER_HOST").set("READY", "/tmp/a$b");
    let run = space.ok(&["run"]);
    assert!(run.stderr.contains("run: healthy after ") && !run.stderr.contains("probe"), "{}", run.stderr);
    let id = docker(&["ps", "--quiet", "--filter", "label=rondel.project=t", "--filter", "label=rondel.target=run"]);
    wait_for("Docker's own answer", || docker(&["inspect", "--format", "{{.State.Health.Status}}", &id]) == "healthy");
    let check = docker(&["inspect", "--format", "{{json .Config.Healthcheck}}", &id]);
    let expected = r#"{"Test":["CMD","/bin/busybox","test","-e","/tmp/a$b"],"Interval":1000000000,"Timeout":5000000000,"StartPeriod":7000000000,"Retries":9}"#;
    assert_eq!(check, expected);
    space.replace("build.ron", "interval_s: 1", "interval_s: 2");
    assert!(space.ran(&["image"]).contains_key("image"));
    space.set("READY", "/nowhere").replace("build.ron", "health_timeout_s: 20", "health_timeout_s: 2");
    space.run(&["run"]).fails(1, &["the container did not become healthy within 2 s"]);
    docker(&["rm", "--force", &id]);
    docker(&["rmi", "--force", "rondel-test-health:1"]);
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn a_port_that_is_taken_and_a_container_that_dies() {
    let _guard = daemon();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let space = council(listener.local_addr().unwrap().port());
    let own = format!("(process {})", std::process::id());
    space.run(&["run"]).fails(1, &["is taken: ", &own, "listens there; stop it, or publish another port"]);
    assert_eq!(containers(), "");
    drop(listener);
    space.replace(
        "build.ron",
        "\"REDIS_URL\": Env(\"REDIS_URL\", \"redis://host.docker.internal:6379/0\")",
        "\"REDIS_URL\": \"nonsense://\"",
    );
    space.run(&["run"]).fails(1, &["REDIS_URL", "the container of `run`", "exit status 1"]);
    assert_eq!(containers(), "");
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn a_secret_reaches_the_container_and_nobody_else() {
    let _guard = daemon();
    let port = free_port();
    let mut space = council(port);
    space.replace(
        "build.ron",
        "\"REDIS_URL\": Env",
        "\"API_KEY\": Secret(\"API_KEY\"),\n                \"REDIS_URL\": Env",
    );
    space.replace("build.ron", "host_gateway: true,", "host_gateway: true, detach: true,");
    let canary = "c4n4ry-4p1-k3y";
    space.set("API_KEY", canary);
    let run = space.ok(&["run", "--verbose"]);
    assert!(!run.stderr.contains(canary), "{}", run.stderr);
    let answer = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", "{}"])
        .arg(format!("http://127.0.0.1:{port}/api/v1/agents"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "401", "the service knows the key");
    let found = Command::new("grep")
        .args(["-r", "-a", "-l", canary])
        .arg(space.root())
        .arg(space.cache().join("v2"))
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    docker(&["rm", "--force", &containers()]);
}

#[test]
#[cfg_attr(not(has_dockerfile_build), ignore = "no Docker with buildx and golang:1.22-alpine (see tests/images)")]
fn the_dockerfile_is_built_and_not_built_again() {
    let _guard = daemon();
    let mut space = council(free_port());
    let proxy = crate::space::goproxy().to_owned();
    space.set("GOPROXY", &proxy);
    space.ok(&["docker-image"]);
    let version = docker(&["run", "--rm", "rondel-test:docker", "/app/council", "version"]);
    assert_eq!(version, "council dev (unknown)");
    assert!(space.ran(&["docker-image"]).is_empty());
    space.append("examples/council/internal/api/api_test.go", "\n// ignored by .dockerignore\n");
    assert!(space.ran(&["docker-image"]).is_empty());
    docker(&["rmi", "--force", "rondel-test:docker"]);
    assert!(space.ran(&["docker-image"]).contains_key("docker-image"));
    let status = Command::new("chmod").args(["600"]).arg(space.root().join("examples/council/go.sum")).status();
    assert!(status.unwrap().success());
    let why = space.ran(&["docker-image"])["docker-image"].clone();
    assert!(why.contains("permissions of the context") || why.contains("go.sum"), "{why}");
    space.append("examples/council/Dockerfile.backend", "LABEL changed=yes\n");
    assert_eq!(space.ran(&["docker-image"])["docker-image"], "Dockerfile changed");
    space.append("examples/council/internal/api/health.go", "\n// changed\n");
    assert_eq!(space.ran(&["docker-image"])["docker-image"], "context/internal/api/health.go changed");
    docker(&["rmi", "--force", "rondel-test:docker"]);
}

#[test]
#[cfg_attr(not(has_compose), ignore = "no `docker compose` with its images (see tests/images)")]
fn compose_brings_all_services_up_and_down() {
    let _guard = daemon();
    let port = free_port();
    let space = council(port);
    let events = space.ok(&["--events", "json", "up"]).events();
    // How each is, as it changes.
    let states: BTreeSet<String> = events
        .iter()
        .filter(|event| event["event"] == "parts" && event["target"] == "up")
        .flat_map(|event| event["parts"].as_array().unwrap())
        .map(|part| format!("{} {}", part["name"].as_str().unwrap(), part["state"].as_str().unwrap()))
        .collect();
    assert!(states.contains("postgres healthy") && states.len() > 3, "{states:?}");
    let run = space.ok(&["up"]);
    for service in [&format!("backend healthy at http://127.0.0.1:{port}"), "postgres healthy", "redis healthy"] {
        assert!(run.stderr.contains(service), "{service}\n{}", run.stderr);
    }
    let health = get(port, "/api/v1/health").unwrap();
    assert!(health.contains("\"postgres\":\"up\"") && health.contains("\"redis\":\"up\""), "{health}");
    // The image that runs is the one that was just made.
    let made = docker(&["image", "inspect", "--format", "{{.Id}}", "rondel-test:latest"]);
    let id = docker(&[
        "ps",
        "--quiet",
        "--filter",
        "label=com.docker.compose.project=rondel-test",
        "--filter",
        "label=com.docker.compose.service=backend",
    ]);
    assert_eq!(docker(&["inspect", "--format", "{{.Image}}", &id]), made);
    space.ok(&["down", "--yes"]);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=rondel-test"]), "");
    // A service that dies is named, with its last lines.
    space.replace("examples/council/docker-compose.yml", "redis://redis:6379/0", "nonsense://");
    let run = space.run(&["up"]);
    run.fails(1, &["up: backend ", "--- backend (", "REDIS_URL", "error: up: `docker compose"]);
    space.ok(&["down", "--yes"]);
}
