//! Images on their way to registries: what is sent and what is not, names that are set last, platforms that stay. The
//! registries are real ones on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base_image::{Form, Registry, company, distribution, write_layout};
use crate::bases::json;
use crate::space::TestSpace;

/// A workspace with an image for two platforms and a push of it; `ADDRESS` in `to` is that of `registry`.
pub fn pushing(registry: &Registry, base: &str, to: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        r#""image": Image(
            base: {base}, files: {{"/own": File("own"), "/other": File("other"), "/busybox": File("busybox")}},
            entrypoint: ["/busybox", "cat", "/own"], platforms: ["linux/amd64", "linux/arm64"],
        ),
        "push": Push(image: "image", to: {to}, refs: "dist/refs.txt")"#
    ));
    let vars = "vars: {\"version\": \"1.0\"}, targets:";
    space.replace("build.ron", "targets:", vars);
    space.replace("build.ron", "ADDRESS", &registry.address);
    space.write("own", "first\n");
    space.write("other", "other\n");
    space.write("busybox", "no program\n");
    space
}

pub fn crane(arguments: &[&str]) -> String {
    let output = Command::new("crane").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The requests since `before`, and how often each method was used for blobs, uploads and manifests.
pub fn counts(registry: &Registry, before: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in &registry.requests()[before..] {
        let method = line.split(' ').next().unwrap();
        let what =
            ["uploads", "blobs", "manifests", "referrers"].into_iter().find(|what| line.contains(&format!("/{what}/")));
        *counts.entry(format!("{method} {}", what.unwrap())).or_default() += 1;
    }
    counts
}

pub fn of(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn only_what_is_missing(registry: &Registry) {
    let space = pushing(registry, "Static", "[\"ADDRESS/team/app:{version}\", \"ADDRESS/team/app:latest\"]");
    let run = space.ok(&["push"]);
    let first = counts(registry, 0);
    let name = format!("{}/team/app", registry.address);
    let digest = crane(&["digest", &format!("{name}:1.0")]);
    let refs = format!("{name}:1.0@{digest}\n{name}:latest@{digest}\n");
    assert_eq!(space.read("dist/refs.txt"), refs);
    assert!(run.stderr.contains(&format!("Pushed {name}:1.0@{digest}")), "{}", run.stderr);
    assert!(space.ok(&["inspect", "image"]).stdout.contains(&digest), "the digest is that of the layout");
    crane(&["validate", "--remote", &format!("{name}:latest")]);
    // Two configurations, the static base, the files: the layers are the same for both platforms.
    let all =
        of(&[("HEAD manifests", 4), ("HEAD blobs", 4), ("POST uploads", 4), ("PUT uploads", 4), ("PUT manifests", 4)]);
    assert_eq!(first, all);

    // Nothing changed: one question a name.
    let before = registry.requests().len();
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains(": 0 ran,") && run.stderr.contains("Pushed"), "{}", run.stderr);
    assert_eq!(counts(registry, before), of(&[("HEAD manifests", 2)]));
    space.remove("dist/refs.txt");
    space.ok(&["push"]);
    assert_eq!(space.read("dist/refs.txt"), refs);

    // From another directory, on one core: the same digest.
    let other = space.clone_elsewhere();
    let before = registry.requests().len();
    assert_eq!(other.outcomes(&["push", "--jobs", "1"])["push"], "cached");
    assert_eq!(counts(registry, before), of(&[("HEAD manifests", 2)]));

    // An edit: the changed layer and the configurations.
    space.write("own", "second\n");
    let before = registry.requests().len();
    let events = space.ok(&["push", "--events", "json"]).events();
    let puts = counts(registry, before);
    assert_eq!((puts["PUT uploads"], puts["HEAD blobs"], puts["PUT manifests"]), (3, 4, 4), "{puts:?}");
    let digest = crane(&["digest", &format!("{name}:latest")]);
    let done = events.iter().find(|event| event["event"] == "step_finished" && event["step"] == "push").unwrap();
    assert_eq!(done["facts"]["references"], format!("{name}:1.0@{digest} {name}:latest@{digest}"));
    let why = space.ok(&["why", "push"]).stdout;
    assert!(why.contains("1.0` leads to sha256:"), "{why}");

    // A new name: nothing is sent but the name.
    let before = registry.requests().len();
    space.ok(&["push", "--set", "version=2.0"]);
    let expected = of(&[("HEAD manifests", 4), ("HEAD blobs", 4), ("PUT manifests", 1)]);
    assert_eq!(counts(registry, before), expected);
    // A name that somebody moved is set again.
    crane(&["tag", &format!("{name}@{}", refs.split(['@', '\n']).nth(1).unwrap()), "latest"]);
    space.ok(&["push"]);
    assert_eq!(crane(&["digest", &format!("{name}:latest")]), digest);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn only_what_is_missing_is_sent() {
    let space = TestSpace::empty();
    only_what_is_missing(&Registry::start(&space.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
fn only_what_is_missing_is_sent_to_a_registry_with_referrers() {
    let space = TestSpace::empty();
    only_what_is_missing(&Registry::with_referrers(&space.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn a_push_that_fails_sets_no_name() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut second = Registry::start(&place.beside("second"));
    second.stop();
    let to = format!("[\"ADDRESS/app:1\", \"{}/app:1\", \"ADDRESS/app:2\"]", second.address);
    let space = pushing(&registry, "Static", &to);
    let failed = format!("{} failed for", second.address);
    space.run(&["push"]).fails(3, &[&failed, "hint: check the registry and the network"]);
    // The blobs may be there, and no name leads to them.
    assert!(!registry.requests().iter().any(|line| line.starts_with("PUT") && line.contains("/manifests/")));
    assert!(!space.exists("dist/refs.txt"));
    // It breaks when the image is on its way: still no name.
    second.resume();
    let broken = Cut::start(&second.address, |number| if number < 40 { Some(0) } else { None });
    space.replace("build.ron", &format!("{}/app:1", second.address), &format!("{}/app:1", broken.address));
    let run = space.run(&["push"]);
    run.fails(3, &[&format!("{} failed for", broken.address)]);
    let names = |line: &&String| line.contains("/manifests/1") || line.contains("/manifests/2");
    assert!(!registry.requests().iter().filter(names).any(|line| line.starts_with("PUT")));
    space.replace("build.ron", &broken.address, &second.address);
    space.ok(&["push"]);
    for name in [format!("{}/app:2", registry.address), format!("{}/app:1", second.address)] {
        crane(&["validate", "--remote", &name]);
    }
    space.run(&["push", "--offline"]).fails(3, &["--offline forbids to ask it"]);
    let plan = space.ok(&["plan", "push"]).stdout;
    assert!(
        plan.contains("run         push (last ") && plan.contains(": registries are asked what they have"),
        "{plan}"
    );
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn other_platforms_of_a_name_stay() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = pushing(&registry, "Static", "[\"ADDRESS/app:1\"]");
    let name = format!("{}/app:1", registry.address);
    let platforms = || {
        let index = json(&crane(&["manifest", &name]));
        let entries = index["manifests"].as_array().unwrap().iter();
        entries.map(|entry| entry["platform"]["architecture"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    space.ok(&["push", "--platform", "linux/arm64"]);
    assert_eq!(platforms(), ["arm64"]);
    let run = space.ok(&["push", "--platform", "linux/amd64"]);
    assert_eq!(platforms(), ["amd64", "arm64"]);
    assert!(run.stderr.contains(&format!("{name} keeps linux/arm64")), "{}", run.stderr);
    let digest = crane(&["digest", &name]);
    assert_eq!(space.read("dist/refs.txt"), format!("{name}@{digest}\n"));
    // Two runners leave what one leaves, and a third run has nothing to do.
    assert_eq!(space.outcomes(&["push", "--platform", "linux/amd64"])["push"], "cached");
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
    // The machine's own platform alone is what `image` makes, and never what is pushed.
    space.ok(&["image"]);
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
    // A name on an image without an index can't be kept.
    let entry = json(&crane(&["manifest", &name]))["manifests"][0]["digest"].as_str().unwrap().to_owned();
    crane(&["tag", &format!("{}/app@{entry}", registry.address), "1"]);
    let words = ["can't keep its other platforms", "without an index", "hint: push without --platform"];
    space.run(&["push", "--platform", "linux/amd64"]).fails(3, &words);
    space.ok(&["push"]);
    assert_eq!(crane(&["digest", &name]), digest);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn what_the_registry_has_elsewhere_is_mounted() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let layout = place.beside("base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Gzip), distribution("linux/arm64", Form::Gzip)]);
    registry.push(&layout, "team/base:1");
    let base = format!("From(\"{}/team/base:1\")", registry.address);
    let space = pushing(&registry, &base, "[\"ADDRESS/team/app:1\", \"ADDRESS/mirror/app:1\"]");
    let before = registry.requests().len();
    let run = space.ok(&["push"]);
    let sent = counts(&registry, before)["PUT uploads"];
    // The base's three layers (one is the same for both platforms) were not sent, nor was anything a second time.
    assert!(run.stderr.contains("team/app: blobs: 3 sent, 3 mounted"), "{}", run.stderr);
    assert!(run.stderr.contains("mirror/app: blobs: 6 mounted; 0 bytes sent"), "{}", run.stderr);
    assert_eq!(sent, 3);
    crane(&["validate", "--remote", &format!("{}/mirror/app:1", registry.address)]);
}

/// A proxy that lets through only the first bytes of some connections.
struct Cut {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Cut {
    /// `limit` tells how many bytes of the connection with this number get through; `None` for all.
    fn start(to: &str, limit: impl Fn(usize) -> Option<usize> + Send + Sync + 'static) -> Cut {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, to, limit) = (Arc::clone(&connections), to.to_owned(), Arc::new(limit));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let limit = limit(counter.fetch_add(1, Ordering::SeqCst));
                let (client, Ok(server)) = (stream.unwrap(), TcpStream::connect(&to)) else { continue };
                let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(server, back, None));
                std::thread::spawn(move || pass(client, forth, limit));
            }
        });
        Cut { address, connections }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, limit: Option<usize>) {
    let (mut buffer, mut passed) = ([0; 16 * 1024], 0);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        passed += count;
        if limit.is_some_and(|limit| passed > limit) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn an_upload_that_breaks_off_goes_on() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    // Each connection breaks after three megabytes.
    let proxy = Cut::start(&registry.address, |_| Some(3 << 20));
    let space = pushing(&registry, "Static", "[\"ADDRESS/app:1\"]");
    space.replace("build.ron", &registry.address, &proxy.address);
    let noise: Vec<u8> = (0..1_250_000_u64)
        .flat_map(|number| (number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ number).to_le_bytes())
        .collect();
    fs::write(space.root().join("own"), &noise).unwrap();
    space.ok(&["push"]);
    assert!(proxy.connections.load(Ordering::SeqCst) > 4, "nothing broke off");
    let requests = registry.requests();
    assert!(requests.iter().any(|line| line.starts_with("GET") && line.contains("/uploads/")), "{requests:?}");
    crane(&["validate", "--remote", &format!("{}/app:1", registry.address)]);
}

/// With a password, and a certificate of the user's own authority: who may not write is told so, and nothing of the password is kept.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_openssl), ignore = "no openssl with python3")]
fn accounts() {
    let place = TestSpace::empty();
    let site = place.beside("site");
    let (accounts, tls) = company(&site);
    let registry = Registry::with_settings(&place.beside("registry"), &accounts, &tls);
    let mut space = pushing(&registry, "Static", "[\"ADDRESS/team/app:1\"]");
    let host = &registry.address;
    space.replace(
        "build.ron",
        "targets:",
        &format!("registries: {{\"{host}\": Registry(plain_http: false)}}, targets:"),
    );
    space.unset("SSL_CERT_FILE");
    space.run(&["push"]).fails(3, &[&format!("{host} failed for"), "certificate", "hint: "]);
    space.set("SSL_CERT_FILE", &site.join("ca.pem").display().to_string());
    let hint = format!("hint: log in with `docker login {host}`");
    space.run(&["push"]).fails(3, &[&format!("{host} does not let anyone write to `team/app`"), &hint]);
    let docker = space.beside("home").join(".docker");
    fs::create_dir_all(&docker).unwrap();
    let encoded = "bWU6c2VjcmV0LXdvcmQ=";
    fs::write(docker.join("config.json"), format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"{encoded}\"}}}}}}"))
        .unwrap();
    let run = space.ok(&["push", "-v"]);
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains("secret-word") && !text.contains(encoded), "{text}");
    }
    for directory in [space.root(), space.cache()] {
        let output =
            Command::new("grep").args(["-r", "-l", "-e", "secret-word", "-e", encoded]).arg(directory).output();
        assert_eq!(String::from_utf8_lossy(&output.unwrap().stdout), "");
    }
}

#[test]
fn destinations_that_are_none() {
    let space = TestSpace::with_targets(
        r#""image": Image(base: Static, files: {"/own": File("own")}, entrypoint: ["/own"]),
        "push": Push(image: "image", to: ["TO"])"#,
    );
    space.write("own", "own");
    let mut former = "TO".to_owned();
    for (to, expected) in [
        ("app:1", "`app:1` names no registry"),
        ("Registry.example/App:1", "is no image"),
        (&format!("registry.example/app@sha256:{}", "0".repeat(64)), "has a digest: what is pushed decides it"),
    ] {
        space.replace("build.ron", &format!("\"{former}\""), &format!("\"{to}\""));
        space.run(&["push"]).fails(2, &[expected, "--> build.ron:", "hint: write \"registry.example/team/app:1.2\""]);
        former = to.to_owned();
    }
    space.replace("build.ron", &format!("[\"{former}\"]"), "[]");
    space.run(&["push"]).fails(2, &["`to` is empty"]);
    space.replace("build.ron", "image: \"image\", to: []", "image: \"other\", to: [\"x.example/a:1\"]");
    space.replace("build.ron", "\"push\"", "\"other\": DockerBuild(), \"push\"");
    space.run(&["push"]).fails(
        2,
        &[
            "expected an `Image` target, found `other` (`DockerBuild`)",
            "hint: make an `Image` of it, with `base: From(Output(\"other\"))`",
        ],
    );
}
