//! Images in the daemons of this machine: only what is missing is sent, and what Rondel replaced there goes if it is asked for.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::docker::{daemon, docker};
use crate::space::TestSpace;

/// A workspace with an image of three layers, of which an edit of `small` changes the uppermost.
fn loading(tag: &str, more: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        r#""image": Image(base: Static, files: {{"/busybox": File("busybox"), "/small": File("small", layer: "small")}},
            entrypoint: ["/busybox", "cat", "/small"], tags: ["{tag}"], platforms: ["linux/amd64"]{more})"#
    ));
    // A static program of the machine.
    std::fs::copy("/bin/busybox", space.root().join("busybox")).unwrap();
    space.write("small", "first\n");
    space
}

fn id_of(tag: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", tag])
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn only_the_layers_that_docker_lacks_are_sent() {
    let _daemon = daemon();
    let tag = "rondel-test-loading:1";
    let mut space = loading(tag, "");
    space.unset("DOCKER_HOST");
    let run = space.ok(&["image"]);
    assert!(!run.stderr.contains("bytes sent"), "{}", run.stderr);
    assert_eq!(docker(&["run", "--rm", tag]), "first");
    let first = id_of(tag);

    space.write("small", "second\n");
    let run = space.ok(&["image"]);
    let note = run.stderr.lines().find(|line| line.contains("bytes sent")).unwrap();
    assert!(note.contains("2 layers were there"), "{note}");
    let bytes: u64 = note.rsplit("; ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(bytes < 20_000, "{note}");
    assert_eq!(docker(&["run", "--rm", tag]), "second");
    // What was replaced stays, unless somebody asks for less.
    assert_eq!(id_of(&first), first);
    assert!(space.ok(&["image"]).stderr.contains(": 0 ran,"));

    // The layers are gone with the image: all are sent again.
    docker(&["image", "rm", "--force", tag, &first]);
    let run = space.ok(&["image"]);
    assert!(!run.stderr.contains("bytes sent"), "{}", run.stderr);
    assert_eq!(docker(&["run", "--rm", tag]), "second");
    docker(&["image", "rm", "--force", tag]);
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn former_images_of_rondel_are_pruned_and_no_others() {
    let _daemon = daemon();
    let tag = "rondel-test-pruned:1";
    let mut space = loading(tag, ", prune: true");
    space.unset("DOCKER_HOST");
    // An image of the user's under the same name.
    docker(&["image", "rm", "--force", tag]);
    let context = space.beside("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nLABEL of=user\n").unwrap();
    docker(&["build", "--quiet", "--tag", tag, &context.display().to_string()]);
    let of_user = id_of(tag);
    space.ok(&["image"]);
    assert_eq!(id_of(&of_user), of_user, "it was not Rondel's");

    let (first, name) = (id_of(tag), "rondel-test-pruned");
    docker(&["run", "--detach", "--name", name, "--entrypoint", "/busybox", tag, "sleep", "600"]);
    space.write("small", "second\n");
    space.ok(&["image"]);
    let second = id_of(tag);
    assert_eq!(id_of(&first), first, "a container uses it");
    docker(&["tag", &second, "rondel-test-kept:1"]);
    space.write("small", "third\n");
    space.ok(&["image"]);
    assert_eq!(id_of(&second), second, "the user gave it a name");
    docker(&["rm", "--force", name]);
    docker(&["image", "rm", "rondel-test-kept:1"]);
    space.write("small", "fourth\n");
    let run = space.ok(&["image"]);
    assert!(
        run.stderr.contains(&format!("the former image {} is removed from Docker", &first[.."sha256:".len() + 12])),
        "{}",
        run.stderr
    );
    for gone in [&first, &second] {
        assert_eq!(id_of(gone), "", "{gone}");
    }
    assert_eq!(docker(&["run", "--rm", tag]), "fourth");
    docker(&["image", "rm", "--force", tag, &of_user]);
}

/// Podman's service, which speaks Docker's language.
struct Podman(Child, String);

impl Podman {
    fn start(space: &TestSpace) -> Podman {
        let (root, run, socket) = (space.beside("root"), space.beside("run"), space.beside("podman.sock"));
        let mut command = Command::new("podman");
        command.arg("--root").arg(root).arg("--runroot").arg(run).args(["--storage-driver", "vfs"]);
        command.args(["--cgroup-manager", "cgroupfs", "system", "service", "--time", "0"]);
        let address = format!("unix://{}", socket.display());
        let child = command.arg(&address).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !socket.exists() {
            assert!(begun.elapsed() < Duration::from_secs(30), "podman did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Podman(child, address)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[cfg_attr(not(has_podman), ignore = "no podman")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn podman_gets_the_image_once() {
    let mut space = loading("rondel-test-podman:1", ", prune: true");
    let podman = Podman::start(&space);
    space.set("DOCKER_HOST", &podman.1);
    space.ok(&["image"]);
    // It calls the image `localhost/rondel-test-podman:1`.
    assert!(space.ok(&["image"]).stderr.contains(": 0 ran,"));
    space.write("small", "second\n");
    let run = space.ok(&["image"]);
    assert!(run.stderr.contains("the former image sha256:"), "{}", run.stderr);
    assert!(space.ok(&["image"]).stderr.contains(": 0 ran,"));
}
