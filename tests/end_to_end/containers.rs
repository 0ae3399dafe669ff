//! Containers that go on: their limits, their secrets, what is asked about them, and what is exchanged below a held address.

use std::process::Command;

use serde_json::Value;

use crate::docker::{daemon, docker, free_port, get, wait_for};
use crate::space::TestSpace;

/// An image of busybox that serves its environment, started in the background.
pub fn served(name: &str, port: u16, more: &str) -> TestSpace {
    let mut space = TestSpace::with_targets(&format!(
        r#""image": Image(base: Static, files: {{"/bin/busybox": File("box", mode: 0o755), "/start": File("start", mode: 0o755)}},
            tags: ["{name}:1"], platforms: ["linux/amd64"], entrypoint: ["/bin/busybox", "sh", "/start"], user: "65532:65532"),
        "run": DockerRun(image: "image", publish: ["{port}:8080"], detach: true, health: Http(port: 8080, path: "/"){more})"#
    ));
    std::fs::copy("/bin/busybox", space.root().join("box")).unwrap();
    space.write(
        "start",
        "b=/bin/busybox\n$b mkdir -p /tmp/w\n$b cat /run/secrets/key > /tmp/w/index.html 2>/dev/null || echo none > /tmp/w/index.html\n\
         echo serving\n$b touch /scratch/x && echo scratch is writable\n\
         trap '$b touch /kept/ended; exit 0' TERM\n$b httpd -f -p 8080 -h /tmp/w &\nwait\n",
    );
    space.unset("DOCKER_HOST");
    space
}

/// What `status` says of the first target.
fn part(space: &TestSpace) -> Value {
    let known: Value = serde_json::from_str(&space.ok(&["status", "--format", "json"]).stdout).unwrap();
    known["targets"][0]["parts"][0].clone()
}

fn container(target: &str) -> String {
    docker(&[
        "ps",
        "--quiet",
        "--filter",
        "label=rondel.project=t",
        "--filter",
        &format!("label=rondel.target={target}"),
    ])
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn a_container_in_the_background_stays_until_it_changes() {
    let _guard = daemon();
    let port = free_port();
    let space = served("rondel-test-stays", port, "");
    space.ok(&["run"]);
    let first = container("run");
    assert!(!first.is_empty());
    assert!(space.ok(&["plan", "run"]).stdout.contains("up to date  run\n"));
    let listed = space.ok(&["list", "--status", "--format", "json"]).stdout;
    assert!(listed.contains("run: only a build asks Docker"), "{listed}");
    assert!(space.ran(&["run"]).is_empty());
    let part = part(&space);
    assert_eq!(part["state"], "running");
    assert_eq!(part["addresses"][0], format!("127.0.0.1:{port}"));
    assert!(space.ok(&["logs", "run"]).stdout.contains("serving\n"));
    // Its settings, and its image.
    space.replace("build.ron", "detach: true", "memory: \"64m\", cpus: \"0.5\", pids_limit: 40, init: true, new_privileges: true, tmpfs: [\"/scratch:mode=1777\"], detach: true");
    assert_eq!(space.ran(&["run"])["run"], "no container runs that was started from the same");
    let second = container("run");
    assert_ne!(second, first);
    let facts = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.Init}} {{.HostConfig.SecurityOpt}} {{.HostConfig.ReadonlyRootfs}}";
    assert_eq!(docker(&["inspect", "--format", facts, &second]), "67108864 500000000 40 true <no value> true");
    wait_for("its line", || space.ok(&["logs", "run"]).stdout.contains("scratch is writable"));
    space.append("start", "# changed\n");
    assert!(space.ran(&["run"]).contains_key("run"));
    assert!(!container("run").is_empty() && container("run") != second);
    // One that died is in no way up to date, and neither is one that somebody removed.
    docker(&["kill", &container("run")]);
    assert!(space.ok(&["status"]).stdout.contains("ended: exit status 137"));
    assert!(space.ran(&["run"]).contains_key("run"));
    let run = space.ok(&["stop", "run"]);
    assert!(run.stderr.contains("Stopped run: container "), "{}", run.stderr);
    assert_eq!(container("run"), "");
    assert!(space.ok(&["status"]).stdout.contains("not running"));
    docker(&["rmi", "--force", "rondel-test-stays:1"]);
}

/// A secret is a file in the container, and nowhere else that outlives it.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn secrets_as_files() {
    let _guard = daemon();
    let port = free_port();
    let mut space = served("rondel-test-secret", port, ", secrets: {\"key\": Secret(\"KEY\")}");
    let canary = "c4n4ry-1n-4-f1l3";
    space.set("KEY", canary);
    let run = space.ok(&["-v", "run"]);
    assert!(!run.stderr.contains(canary), "{}", run.stderr);
    assert!(get(port, "/").unwrap().contains(canary));
    let id = container("run");
    assert!(!docker(&["inspect", &id]).contains(canary));
    let found =
        Command::new("grep").args(["-r", "-a", "-l", canary]).arg(space.root()).arg(space.cache()).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    let memory = || Command::new("grep").args(["-r", "-l", canary, "/dev/shm"]).output().unwrap().stdout;
    assert!(!memory().is_empty());
    // Nobody else can enter its directory.
    let path = String::from_utf8(memory()).unwrap();
    let directory = std::path::Path::new(path.trim()).parent().unwrap().to_owned();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(directory).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    assert!(space.ran(&["run"]).contains_key("run"), "with a secret it is always started anew");
    space.ok(&["stop"]);
    assert!(memory().is_empty());
    docker(&["rmi", "--force", "rondel-test-secret:1"]);
}

/// The one before ends by itself, and only once Docker has taken the settings of the next one.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn the_next_container_is_made_before_the_last_one_ends() {
    let _guard = daemon();
    let port = free_port();
    let space = served("rondel-test-next", port, ", volumes: [\"KEPT:/kept\"], memory: \"64m\"");
    let kept = space.beside("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    space.replace("build.ron", "KEPT", &kept.display().to_string());
    space.ok(&["run"]);
    let first = container("run");
    space.replace("build.ron", "64m", "1k");
    space.run(&["run"]).fails(1, &["emory limit"]);
    assert_eq!(container("run"), first);
    assert!(get(port, "/").is_some() && !kept.join("ended").exists());
    space.replace("build.ron", "1k", "65m");
    assert!(!space.ok(&["run"]).stderr.contains("was killed"));
    let second = container("run");
    assert!(second != first && second.lines().count() == 1, "{second}");
    assert!(get(port, "/").is_some() && kept.join("ended").exists());
    space.ok(&["stop"]);
    docker(&["rmi", "--force", "rondel-test-next:1"]);
}

/// Whoever stops while the next one is not ready yet leaves neither of them.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn an_exchange_in_vain_leaves_the_earlier_one() {
    let _guard = daemon();
    let port = free_port();
    let space = served("rondel-test-interrupted", port, ", memory: \"64m\"");
    space.ok(&["run"]);
    let first = container("run");
    space.replace("build.ron", "path: \"/\"", "path: \"/nothing\"");
    space.replace("build.ron", "64m", "65m");
    let mut rondel = space.start(&["run"]);
    wait_for("the next container", || !container("run").is_empty() && container("run") != first);
    Command::new("kill").args(["-INT", &rondel.id().to_string()]).status().unwrap();
    assert_eq!(rondel.wait().unwrap().code(), Some(130));
    let label = ["ps", "--all", "--quiet", "--filter", "label=rondel.target=run", "--filter", "label=rondel.project=t"];
    assert_eq!([docker(&label), container("run")], [first.clone(), first.clone()]);
    // One that never becomes healthy, and one whose port is taken.
    space.replace("build.ron", "detach: true", "health_timeout_s: 2, detach: true");
    space.run(&["run"]).fails(1, &["did not become healthy", "goes on"]);
    assert_eq!([docker(&label), container("run")], [first.clone(), first.clone()]);
    let other = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = other.local_addr().unwrap().port();
    space.replace("build.ron", &format!("{port}:"), &format!("{taken}:"));
    space.run(&["run"]).fails(1, &["is taken", "goes on"]);
    assert_eq!([docker(&label), container("run")], [first.clone(), first]);
    space.ok(&["stop"]);
    docker(&["rmi", "--force", "rondel-test-interrupted:1"]);
}

/// Two at once start one container, and what runs in the foreground of one is not ended by the other.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn two_that_start_the_same_container() {
    let _guard = daemon();
    let port = free_port();
    let space = served("rondel-test-two", port, "");
    space.ok(&["image"]);
    let mut both = [space.start(&["run"]), space.start(&["run"])];
    assert!(both.iter_mut().all(|rondel| rondel.wait().unwrap().success()));
    assert_eq!(container("run").lines().count(), 1);
    space.ok(&["stop"]);
    space.replace("build.ron", "detach: true, ", "");
    let mut first = space.start(&["run"]);
    wait_for("the container", || get(port, "/").is_some());
    space.run(&["run"]).fails(3, &["runs in the foreground of another Rondel", "stop run"]);
    assert!(get(port, "/").is_some());
    Command::new("kill").args(["-INT", &first.id().to_string()]).status().unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(container("run").is_empty());
    docker(&["rmi", "--force", "rondel-test-two:1"]);
}

/// Services of another target and of the user are in the same project, and are left alone.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn services_of_others_stay() {
    let _guard = daemon();
    let space = served("rondel-test-services", free_port(), "");
    let more = "\"run\": ComposeUp(file: \"one.yml\", wait: false), \"two\": ComposeUp(file: \"two.yml\", wait: false), \
                \"down\": ComposeDown(file: \"two.yml\"), \"unused\": DockerRun(image";
    space.replace("build.ron", "\"run\": DockerRun(image", more);
    for (file, service, more) in
        [("one", "first", ""), ("two", "second", ", container_name: by-own-name"), ("own", "third", "")]
    {
        let service = format!("  {service}: {{image: \"rondel-test-services:1\"{more}}}\n");
        space.write(&format!("{file}.yml"), &format!("services:\n{service}"));
    }
    space.ok(&["image"]);
    let compose = |words: &[&str]| {
        let line = [&["compose", "-p", "t", "-f"], words].concat();
        assert!(Command::new("docker").args(line).current_dir(space.root()).output().unwrap().status.success());
    };
    let running = || {
        let text = docker(&["ps", "--filter", "label=com.docker.compose.project=t", "--format", "{{.Names}}"]);
        text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    compose(&["own.yml", "up", "-d"]);
    space.ok(&["run", "two"]);
    assert_eq!(running(), ["by-own-name", "t-first-1", "t-third-1"]);
    let status = space.ok(&["status"]).stdout;
    assert!(status.contains("run/first") && status.contains("two/second") && !status.contains("third"), "{status}");
    wait_for("a line", || space.ok(&["logs", "two"]).stdout.contains("second | serving"));
    assert!(!space.ok(&["logs", "run"]).stdout.contains("second"));
    assert!(space.ok(&["stop", "run"]).stderr.contains("Stopped run: first"));
    assert_eq!(running(), ["by-own-name", "t-third-1"]);
    space.ok(&["down"]);
    assert_eq!(running(), ["t-third-1"]);
    compose(&["own.yml", "down"]);
    docker(&["rmi", "--force", "rondel-test-services:1"]);
}

/// A container of a Rondel that was killed is found again.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn what_a_killed_run_has_left() {
    let _guard = daemon();
    let port = free_port();
    let space = served("rondel-test-left", port, "");
    space.replace("build.ron", "detach: true, ", "");
    let mut rondel = space.start(&["run"]);
    wait_for("the container", || get(port, "/").is_some());
    rondel.kill().unwrap();
    rondel.wait().unwrap();
    assert!(space.ok(&["status"]).stdout.contains("running"));
    assert!(space.ok(&["stop"]).stderr.contains("Stopped run: container "));
    assert!(container("run").is_empty());
    docker(&["rmi", "--force", "rondel-test-left:1"]);
}

/// Podman does the same where there is no `docker`, with a store and settings of its own.
#[test]
#[cfg_attr(not(has_podman), ignore = "no podman")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn podman_where_there_is_no_docker() {
    let port = free_port();
    let mut space = served("rondel-test-podman-run", port, "");
    let programs = space.beside("programs");
    std::fs::create_dir(&programs).unwrap();
    for program in std::fs::read_dir("/usr/bin").unwrap().flatten().filter(|program| program.file_name() != "docker") {
        std::os::unix::fs::symlink(program.path(), programs.join(program.file_name())).unwrap();
    }
    let (store, settings) = (space.beside("storage.conf"), space.beside("containers.conf"));
    let (kept, running) = (space.beside("kept").display().to_string(), space.beside("running").display().to_string());
    let text = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{kept}\"\nrunroot = \"{running}\"\n");
    std::fs::write(&store, text).unwrap();
    // Limits that also somebody without all rights may set.
    let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\n";
    std::fs::write(&settings, text).unwrap();
    space.set("PATH", &format!("{}:/usr/sbin:/sbin", programs.display()));
    space.set("CONTAINERS_STORAGE_CONF", &store.display().to_string());
    space.set("CONTAINERS_CONF", &settings.display().to_string());
    let verbose = space.ok(&["-v", "run"]).stderr;
    assert!(verbose.contains("podman create") && verbose.contains("podman start"), "{verbose}");
    assert!(get(port, "/").unwrap().contains("none"));
    assert!(space.ran(&["run"]).is_empty());
    let first = part(&space);
    assert_eq!((first["state"].as_str(), first["running"].as_bool()), (Some("running"), Some(true)), "{first}");
    assert_eq!(first["addresses"][0], format!("127.0.0.1:{port}"));
    assert!(space.ok(&["logs", "run"]).stdout.contains("serving\n"));
    space.append("start", "# changed\n");
    assert!(space.ran(&["run"]).contains_key("run"));
    assert_ne!(part(&space)["what"], first["what"]);
    assert!(space.ok(&["stop", "run"]).stderr.contains("Stopped run: container "));
    assert!(get(port, "/").is_none() && space.ok(&["status"]).stdout.contains("not running"));
    let words = ["--root", &kept, "--runroot", &running, "rmi", "--all", "--force"];
    Command::new("podman").args(words).status().unwrap();
}
