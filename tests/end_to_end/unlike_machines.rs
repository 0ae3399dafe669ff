//! Two unlike machines in containers: Debian, and a root with nothing but busybox. User, umask, cores, directories, host name, time
//! zone and clock are others, and each begins with an empty cache. What they make, sign and send is the same, byte by byte.
//!
//! The clock: libfaketime moves Rondel's own on Debian, and files of the sources have old times on the other. The `go` command is
//! static and asks the kernel, whose clock is that of both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rondel_cas::Digest;
use serde_json::Value;

use crate::base_image::{Form, Registry, distribution, write_layout};
use crate::docker::{daemon, docker};
use crate::parts::libfaketime;
use crate::rebuild::{git, tagged_with};
use crate::space::{Run, TestSpace, copy, goproxy, make_executable, repository};

const BUILD_FILE: &str = r#"(
    format: 1,
    project: "small",
    go: Version("1.22.12"),
    platforms: ["linux/amd64", "linux/arm64"],
    vars: {"version": Git(Version), "channel": Env("CHANNEL")},
    targets: {
        "deps": GoModDownload(),
        "server": GoBuild(packages: ["."], stamp: {"main.version": "{version} {channel}"}),
        "image": Image(
            base: From("ADDRESS/team/base:1"),
            files: {"/app/small": Output("server"), "/etc/small": File("deploy")},
        ),
        "push": Push(
            image: "image", to: ["ADDRESS/team/app:{version}"], sbom: [Spdx, CycloneDx], provenance: true,
            sign: Sign(key: Secret("SIGNING_KEY"), public_key: "cosign.pub"),
        ),
        "release": Release(
            builds: ["server"], archives: (files: ["LICENSE", "deploy/run"]), sbom: [Spdx, CycloneDx], provenance: true,
            packages: [
                Deb(maintainer: "A <a@example.org>", description: "x"),
                Rpm(maintainer: "A <a@example.org>", license: "MIT", description: "x"),
            ],
            changelog: (), gate: Off, sign: Sign(key: Secret("SIGNING_KEY"), public_key: "cosign.pub"),
        ),
    },
)
"#;
/// A real module, which imports nothing of the standard library: little is compiled.
const RENDEZVOUS: &str = "github.com/dgryski/go-rendezvous v0.0.0-20200823014737-9f7001d12a5f";
const MAIN: &str = r#"package main

import rendezvous "github.com/dgryski/go-rendezvous"

var version string

func main() {
	length := func(text string) uint64 { return uint64(len(text)) }
	println(version, rendezvous.New([]string{"a", "b"}, length).Lookup("x"))
}
"#;
/// Where the roots have the authorities that the module proxy may need.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const RONDEL: &str = env!("CARGO_BIN_EXE_rondel-under-test");

/// A tagged commit, on a base in the registry. All that the machines get of it is a file that git clones from.
fn project(registry: &Registry) -> (TestSpace, PathBuf) {
    let space = tagged_with(&|_| BUILD_FILE.replace("ADDRESS", &registry.address));
    let layout = space.beside("base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Gzip), distribution("linux/arm64", Form::Gzip)]);
    registry.push(&layout, "team/base:1");
    space.write("go.mod", &format!("module example.com/small\n\ngo 1.22\n\nrequire {RENDEZVOUS}\n"));
    let sums = fs::read_to_string(repository().join("examples/council/go.sum")).unwrap();
    let sums = sums.lines().filter(|line| line.starts_with("github.com/dgryski/go-rendezvous "));
    space.write("go.sum", &sums.map(|line| format!("{line}\n")).collect::<String>());
    space.write("main.go", MAIN);
    space.write("deploy/readme.txt", "read me\n");
    space.write("deploy/run", "#!/bin/sh\nexec small\n");
    make_executable(&space.root().join("deploy/run"));
    space.ok(&["lock"]);
    git(&space.root(), &["add", "."]);
    git(&space.root(), &["commit", "-q", "-m", "feat: second"]);
    git(&space.root(), &["tag", "-f", "v1.2.3"]);
    let bundle = space.beside("source.bundle");
    git(&space.root(), &["bundle", "create", "-q", bundle.to_str().unwrap(), "--all", "HEAD"]);
    // Other users read it.
    fs::set_permissions(&bundle, PermissionsExt::from_mode(0o644)).unwrap();
    (space, bundle)
}

/// The file system of a machine, as a tar for the daemon. Paths are those of this machine, with all links on the way followed.
struct Root {
    path: PathBuf,
    tar: tar::Builder<fs::File>,
    there: BTreeSet<PathBuf>,
}

impl Root {
    fn new(path: PathBuf) -> Root {
        let tar = tar::Builder::new(fs::File::create(&path).unwrap());
        let mut root = Root { path, tar, there: BTreeSet::new() };
        for name in ["bin", "sbin", "lib", "lib64"] {
            if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
                root.link(Path::new("/").join(name), &target);
            }
        }
        for (name, mode) in [("tmp", 0o1777), ("srv", 0o1777), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)] {
            root.entry(Path::new("/").join(name), mode, tar::EntryType::Directory, &[]);
        }
        let authorities = std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| AUTHORITIES.to_owned());
        root.file(Path::new(AUTHORITIES), Path::new(&authorities));
        root
    }

    /// Adds an entry, and the directories above it.
    fn entry(&mut self, place: PathBuf, mode: u32, kind: tar::EntryType, bytes: &[u8]) {
        let Some(parent) = place.parent() else { return };
        self.entry(parent.to_owned(), 0o755, tar::EntryType::Directory, &[]);
        if self.there.insert(place.clone()) {
            let mut header = header(mode, kind, bytes.len() as u64);
            self.tar.append_data(&mut header, place.strip_prefix("/").unwrap(), bytes).unwrap();
        }
    }

    fn link(&mut self, place: PathBuf, target: &Path) {
        if self.there.insert(place.clone()) {
            let mut header = header(0o777, tar::EntryType::Symlink, 0);
            self.tar.append_link(&mut header, place.strip_prefix("/").unwrap(), target).unwrap();
        }
    }

    /// Adds a file of this machine at a place of its own.
    fn file(&mut self, place: &Path, source: &Path) {
        let mode = fs::metadata(source).unwrap().permissions().mode() & 0o777;
        self.entry(resolved(place), mode, tar::EntryType::Regular, &fs::read(source).unwrap());
    }

    /// Adds a file or link where this machine has it.
    fn same(&mut self, path: &Path) {
        let place = resolved(path);
        match fs::read_link(path) {
            Ok(target) => {
                self.entry(place.parent().unwrap().to_owned(), 0o755, tar::EntryType::Directory, &[]);
                self.link(place, &target);
            }
            Err(_) => self.file(path, path),
        }
    }

    /// Adds the loader and libraries of a program.
    fn libraries_of(&mut self, program: &Path) {
        let output = Command::new("ldd").arg(program).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let paths: Vec<&Path> = text
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .map(Path::new)
            .filter(|path| path.is_file())
            .collect();
        assert!(!paths.is_empty(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
        paths.into_iter().for_each(|path| self.file(path, path));
    }

    /// Gives it to the daemon; returns its ID.
    fn imported(self) -> String {
        drop(self.tar.into_inner().unwrap());
        let id = docker(&["import", self.path.to_str().unwrap()]);
        assert!(id.starts_with("sha256:"), "{id}");
        fs::remove_file(&self.path).unwrap();
        id
    }
}

fn header(mode: u32, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// Returns the path with links on the way to it followed, but for its last part.
fn resolved(path: &Path) -> PathBuf {
    let parent = path.parent().unwrap();
    fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned()).join(path.file_name().unwrap())
}

/// The files of Debian's own packages for a shell, its tools and git, from this machine; and libfaketime.
fn debian(place: &Path) -> String {
    let mut root = Root::new(place.join("debian.tar"));
    let packages = ["base-files", "dash", "coreutils", "git"];
    let output = Command::new("dpkg-query").arg("--listfiles").args(packages).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let is_text = |path: &&Path| {
        ["doc", "man", "locale", "info"].iter().any(|name| path.starts_with(Path::new("/usr/share").join(name)))
    };
    let paths = text.lines().map(Path::new).filter(|path| path.is_absolute() && !is_text(path));
    // Some machines leave out files of packages.
    let is_there = |path: &&Path| fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir());
    paths.filter(is_there).for_each(|path| root.same(path));
    root.same(Path::new("/bin/sh"));
    root.same(libfaketime().unwrap());
    for program in ["/bin/sh", "/bin/ls", "/bin/cp", "/usr/bin/git", "/usr/bin/sort", RONDEL] {
        root.libraries_of(Path::new(program));
    }
    root.libraries_of(libfaketime().unwrap());
    root.imported()
}

/// Busybox, the loader and libraries of the program, and git in a directory of its own, since commits and tags are its answers.
fn busybox(place: &Path) -> String {
    let mut root = Root::new(place.join("busybox.tar"));
    root.file(Path::new("/bin/busybox"), Path::new("/bin/busybox"));
    let output = Command::new("/bin/busybox").arg("--list").output().unwrap();
    for name in String::from_utf8(output.stdout).unwrap().lines().filter(|name| *name != "busybox") {
        root.link(resolved(&Path::new("/bin").join(name)), Path::new("busybox"));
    }
    root.entry("/opt/git/git".into(), 0o755, tar::EntryType::Regular, &fs::read("/usr/bin/git").unwrap());
    root.entry("/etc/passwd".into(), 0o644, tar::EntryType::Regular, b"other:x:4321:4321::/tmp/home:/bin/sh\n");
    for program in [RONDEL, "/usr/bin/git"] {
        root.libraries_of(Path::new(program));
    }
    root.imported()
}

/// What is not the same on two machines.
struct Surroundings {
    /// `name: value` of the options of `docker run`.
    options: &'static [(&'static str, &'static str)],
    umask: &'static str,
    directory: &'static str,
}

const ON_DEBIAN: Surroundings = Surroundings {
    options: &[
        ("--user", "1234:100"),
        ("--hostname", "debian"),
        ("--env", "HOME=/srv/home"),
        ("--env", "TZ=PST8PDT"),
        ("--env", "LANG=de_DE.UTF-8"),
    ],
    umask: "0002",
    directory: "/srv/small",
};

const ON_BUSYBOX: Surroundings = Surroundings {
    options: &[
        ("--user", "4321:4321"),
        ("--hostname", "other"),
        ("--cpuset-cpus", "0"),
        ("--env", "HOME=/tmp/home"),
        ("--env", "TZ=IST-5:30"),
        ("--env", "RONDEL_CACHE_DIR=/tmp/some cache"),
        ("--env", "PATH=/bin:/usr/local/bin:/opt/git"),
    ],
    umask: "0077",
    directory: "/tmp/another directory/of small",
};

/// A container that waits for commands, with an image of its own. Both go when dropped.
struct Machine {
    image: String,
    container: String,
    surroundings: &'static Surroundings,
}

impl Machine {
    fn start(image: String, bundle: &Path, surroundings: &'static Surroundings) -> Machine {
        let mut command = Command::new("docker");
        // The loopback of this machine has the registry, and may have the module proxy.
        command.args(["run", "--detach", "--rm", "--init", "--network", "host"]);
        for (source, place) in [(Path::new(RONDEL), "/usr/local/bin/rondel"), (bundle, "/source.bundle")] {
            command.arg("--volume").arg(format!("{}:{place}:ro", source.display()));
        }
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
            command.args(std::env::var(name).ok().map(|value| format!("--env={name}={value}")));
        }
        command.arg(format!("--env=GOPROXY={}", goproxy())).arg(format!("--env=SSL_CERT_FILE={AUTHORITIES}"));
        command.args(surroundings.options.iter().flat_map(|(name, value)| [name, value]));
        // A container that nobody removes ends by itself.
        let output = command.args([&image, "sleep", "1200"]).output().unwrap();
        let container = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let machine = Machine { image, container, surroundings };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        machine.ok(&[], "/", "git clone -q -b v1.2.3 /source.bundle \"$0\"", &[surroundings.directory]);
        machine
    }

    /// Runs a script in a directory, as the user and with the umask of the machine.
    fn run(&self, environment: &[(&str, &str)], directory: &str, script: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new("docker");
        command.args(["exec", "--workdir", directory]);
        for (name, value) in environment {
            // The value is in no command line.
            command.args(["--env", name]).env(name, value);
        }
        let script = format!("umask {} && {script}", self.surroundings.umask);
        Run::of(command.args([&self.container, "sh", "-c", &script]).args(arguments).output().unwrap())
    }

    fn ok(&self, environment: &[(&str, &str)], directory: &str, script: &str, arguments: &[&str]) -> String {
        let run = self.run(environment, directory, script, arguments);
        assert_eq!(run.code, 0, "{script}: {}{}", run.stdout, run.stderr);
        run.stdout
    }

    fn in_tree(&self, script: &str) -> String {
        self.ok(&[], self.surroundings.directory, script, &[])
    }

    fn rondel(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Run {
        let arguments = [&["rondel"], arguments].concat();
        self.run(environment, self.surroundings.directory, "exec \"$0\" \"$@\"", &arguments)
    }

    /// Does the same and expects success; returns what people are told.
    fn rondel_ok(&self, environment: &[(&str, &str)], arguments: &[&str]) -> String {
        let run = self.rondel(environment, arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run.stderr
    }

    /// Copies what was made out of the container.
    fn made(&self, to: &Path) -> BTreeMap<String, String> {
        docker(&["cp", &format!("{}:{}/dist", self.container, self.surroundings.directory), to.to_str().unwrap()]);
        files(to)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.container]);
        docker(&["image", "rm", "--force", &self.image]);
    }
}

/// Returns the digests of all files below a directory.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, digest)| (format!("{name}/{below}"), digest)));
        } else {
            found.insert(name, Digest::of(&fs::read(&path).unwrap()).hex());
        }
    }
    found
}

/// Returns the names of files that are not the same in both, or not in both.
fn differing<'a>(one: &'a BTreeMap<String, String>, other: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).map(String::as_str).collect()
}

/// Fails if the machines are alike in something that they are not to share.
fn assert_unlike(debian: &Machine, busybox: &Machine, clock: &[(&str, &str)]) {
    const ASKED: &str =
        "id -u; id -g; umask; pwd; uname -n; echo $HOME; date +%Z; readlink -f /bin/ls; nproc; date +%Y";
    let ask = |machine: &Machine, clock: &[(&str, &str)]| machine.ok(clock, machine.surroundings.directory, ASKED, &[]);
    let (one, other) = (ask(debian, clock), ask(busybox, &[]));
    let has_one_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let alike: Vec<(&str, &str)> = one.lines().zip(other.lines()).filter(|(one, other)| one == other).collect();
    assert_eq!(alike.len(), usize::from(has_one_core), "{alike:?}\n{one}\n{other}");
    assert_eq!((one.lines().count(), other.lines().count()), (10, 10), "{one}\n{other}");
    debian.in_tree("test -s /etc/debian_version");
    busybox.in_tree("! test -e /etc/debian_version && ! test -e /usr/share");
}

/// A commit of which one byte of a file is another: what is made of that file differs, and nothing else is compiled.
fn one_byte_makes_a_difference(machine: &Machine, key: &[(&str, &str)], made: &BTreeMap<String, String>, to: &Path) {
    machine.in_tree(
        "sed -i s/me/ME/ deploy/readme.txt && git -c user.name=t -c user.email=t@example.com commit -q -a --amend -C HEAD && git tag -f v1.2.3",
    );
    let told = machine.rondel_ok(key, &["server", "image", "--all-platforms"]);
    assert!(told.contains("Running image") && !told.contains("Running server"), "{told}");
    let changed = machine.made(to);
    let differ = differing(made, &changed);
    for name in ["image/index.json", "image.provenance.json", "image.sbom/linux_amd64.spdx.json"] {
        assert!(differ.contains(&name), "{name}: {differ:?}");
    }
    assert!(differ.iter().all(|name| name.starts_with("image")), "{differ:?}");
}

/// Where there is no git, nothing is made that says less of its commit than elsewhere, but for an image whose sources count as
/// dirty.
fn without_git(machine: &Machine, key: &[(&str, &str)], published: &str) {
    let environment = [&[("PATH", "/bin:/usr/local/bin")], key].concat();
    machine.rondel(&environment, &["release"]).fails(3, &["git has no answer here", "or no git"]);
    let set = ["--set", "version=1.2.3"];
    let run = machine.rondel(&environment, &[&["release"], &set[..]].concat());
    run.fails(3, &["git does not say which tags the commit"]);
    machine.rondel(&environment, &["rebuild", published]).fails(3, &["git does not say which files the commit"]);
    machine.rondel_ok(&environment, &[&["image"], &set[..]].concat());
    let statement: Value = serde_json::from_str(&machine.in_tree("cat dist/image.provenance.json")).unwrap();
    let materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let source = materials.iter().find(|one| one["name"] == "source").unwrap();
    assert_eq!(source["annotations"]["dirty"], "true", "{source}");
    let commit = machine.in_tree("git rev-parse HEAD");
    assert_eq!(source["digest"]["gitCommit"], commit.trim());
}

/// Fails if something is not among what was made: a comparison of nothing would succeed.
fn assert_complete(made: &BTreeMap<String, String>, sent: &BTreeMap<String, String>) {
    let ending = |end: &str| made.keys().filter(|name| name.ends_with(end)).count();
    // Of two images and six files of the release, in both forms.
    assert_eq!((ending(".spdx.json"), ending(".cdx.json")), (8, 8), "{made:#?}");
    // Of the files of the release, the checksums and the provenance.
    assert_eq!((ending(".sigstore.json"), ending("provenance.json")), (8, 2), "{made:#?}");
    for name in
        ["image/index.json", "release/artifacts.json", "release/small_1.2.3_checksums.txt", "release/CHANGELOG.md"]
    {
        assert!(made.contains_key(name), "{name}: {made:#?}");
    }
    let tags = sent.keys().filter(|name| name.contains("team/app/_manifests/tags/") && name.ends_with("current/link"));
    assert!(tags.count() > 6, "the image, lists of documents, and cosign's tags: {sent:#?}");
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
#[cfg_attr(not(has_dpkg), ignore = "no dpkg with adduser")]
#[cfg_attr(not(has_libfaketime), ignore = "no libfaketime")]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn unlike_machines_make_the_same_bytes() {
    let _daemon = daemon();
    let place = TestSpace::empty();
    let mut registry = Registry::start(&place.beside("registry"));
    let (space, bundle) = project(&registry);
    let data = place.beside("registry/data");
    copy(&data, &place.beside("data-of-the-base"), &|_| true);
    let debian = Machine::start(debian(&place.beside("")), &bundle, &ON_DEBIAN);
    let busybox = Machine::start(busybox(&place.beside("")), &bundle, &ON_BUSYBOX);
    busybox.in_tree("find . -path ./.git -prune -o -type f -exec touch -d '2001-02-03 04:05:06' {} +");
    let library = libfaketime().unwrap().to_str().unwrap();
    let clock = [("LD_PRELOAD", library), ("FAKETIME", "+400d")];
    assert_unlike(&debian, &busybox, &clock);
    let private = fs::read_to_string(repository().join("crates/signatures/src/fixtures/rfc6979.pkcs8.pem")).unwrap();
    let key = [("SIGNING_KEY", private.as_str()), ("CHANNEL", "stable")];

    // By the right clock what needs certificates, by another all else. Meanwhile the other one builds too.
    std::thread::scope(|scope| {
        let other = scope.spawn(|| busybox.rondel_ok(&key, &["release"]));
        debian.rondel_ok(&[], &["deps"]);
        debian.rondel_ok(&[&clock[..], &key].concat(), &["release", "push"]);
        other.join().unwrap();
    });
    let of_debian = debian.made(&place.beside("made-on-debian"));
    let sent_by_debian = files(&data);
    assert_complete(&of_debian, &sent_by_debian);

    // The registry has the base and nothing else.
    registry.stop();
    fs::rename(&data, place.beside("data-of-debian")).unwrap();
    copy(&place.beside("data-of-the-base"), &data, &|_| true);
    registry.resume();
    busybox.rondel_ok(&key, &["push"]);
    let of_busybox = busybox.made(&place.beside("made-on-busybox"));
    assert_eq!(differing(&of_debian, &of_busybox), <[&str; 0]>::default());
    assert_eq!(differing(&sent_by_debian, &files(&data)), <[&str; 0]>::default());

    // Each builds again, without a key, what the other has published.
    let release = place.beside("made-on-debian/release");
    docker(&["cp", release.to_str().unwrap(), &format!("{}:/tmp/published", busybox.container)]);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| busybox.rondel_ok(&[], &["rebuild", "/tmp/published"]));
        let told = debian.rondel_ok(&[], &["rebuild", &format!("{}/team/app:1.2.3", registry.address)]);
        assert!(
            told.contains("clock 400 days ahead") && told.contains("are what `image` makes of the commit"),
            "{told}"
        );
        let told = other.join().unwrap();
        let count = of_debian.keys().filter(|name| name.starts_with("release/")).count();
        let all = format!("{count} of {count} are what `release` makes of the commit");
        assert!(told.contains(&all), "{all}: {told}");
    });

    without_git(&busybox, &key, "/tmp/published");
    one_byte_makes_a_difference(&busybox, &key, &of_busybox, &place.beside("changed-on-busybox"));
    drop(space);
}
