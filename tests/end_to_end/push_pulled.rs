//! What was pushed, pulled back by docker, podman, skopeo and crane from each registry, and run.

use std::path::Path;
use std::process::Command;

use crate::base_image::Registry;
use crate::docker::{daemon, docker};
use crate::push::{crane, pushing};
use crate::space::TestSpace;

fn succeeds(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    out.trim().to_owned()
}

fn pulled_and_run(registry: &Registry, storage: &Path) {
    let space = pushing(registry, "Static", "[\"ADDRESS/team/app:1\"]");
    // A static program of the machine.
    std::fs::copy("/bin/busybox", space.root().join("busybox")).unwrap();
    space.write("own", "from the image\n");
    space.ok(&["push"]);
    let refs = space.read("dist/refs.txt");
    let reference = refs.trim();
    let (name, digest) = reference.split_once('@').unwrap();
    let pinned = format!("{}@{digest}", name.strip_suffix(":1").unwrap());

    docker(&["pull", "--quiet", reference]);
    let shown = succeeds("docker", &["run", "--rm", "--pull", "never", &pinned]);
    assert_eq!(shown, "from the image");
    docker(&["image", "rm", "--force", reference, &pinned]);

    let (root, run) = (storage.join("root"), storage.join("run"));
    let mut podman = vec!["--root", root.to_str().unwrap(), "--runroot", run.to_str().unwrap()];
    podman.extend(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "run", "--rm", "--network", "none"]);
    // The defaults of its limits are more than this process may have.
    podman.extend(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--tls-verify=false", reference]);
    assert_eq!(succeeds("podman", &podman), "from the image");

    let copied = format!("oci:{}:app", storage.join("skopeo").display());
    succeeds("skopeo", &["copy", "--all", "--quiet", "--src-tls-verify=false", &format!("docker://{pinned}"), &copied]);
    let inspected = succeeds("skopeo", &["inspect", "--tls-verify=false", "--raw", &format!("docker://{name}")]);
    assert_eq!(rondel_cas::Digest::of(inspected.as_bytes()).oci(), digest);

    crane(&["validate", "--remote", reference]);
    let archive = storage.join("crane.tar");
    crane(&["pull", "--platform", "linux/arm64", name, archive.to_str().unwrap()]);
    assert!(archive.metadata().unwrap().len() > 100_000);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_podman), ignore = "no podman")]
#[cfg_attr(not(has_skopeo), ignore = "no skopeo")]
fn from_each_registry_by_each_tool() {
    let _daemon = daemon();
    let place = TestSpace::empty();
    pulled_and_run(&Registry::start(&place.beside("registry")), &place.beside("one"));
    pulled_and_run(&Registry::with_referrers(&place.beside("memory")), &place.beside("two"));
}
