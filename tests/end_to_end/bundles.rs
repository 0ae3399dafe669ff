//! `bundle`, and `rebuild` of a bundle: one file that builds a target again, without a network.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use rondel_cas::Digest;

use crate::base_image::{Form, Registry, distribution, write_layout};
use crate::space::{Run, TestSpace, make_executable, repository};
use crate::versions::git;

/// A workspace that needs no Go: a template with values of git, of the environment and of a file.
fn template() -> TestSpace {
    let mut space = TestSpace::with_targets(
        r#""notes": Template(from: "notes.txt", to: "out/notes.txt"),
           "command": Exec(command: ["true"]), "wants": Template(from: "notes.txt", to: "out/wants.txt", after: ["command"])"#,
    );
    let vars = r#"vars: {"version": Git(Version), "commit": Git(ShortCommit), "kind": Env("KIND"), "file": File("VERSION")}, targets:"#;
    space.replace("build.ron", "targets:", vars);
    space.write("notes.txt", "{version} {commit} {kind} {file}\n");
    space.write("VERSION", "7\n");
    space.write("unrelated.txt", "not read\n");
    space.write(".gitignore", "dist/\nout/\n*.zst\n");
    git(&space, &["init", "--quiet", "--initial-branch=main"]);
    git(&space, &["add", "."]);
    git(&space, &["commit", "--quiet", "-m", "feat: first"]);
    git(&space, &["tag", "v1.2.3"]);
    space.set("KIND", "stable").set("SECRET", "hidden");
    space
}

/// The files of a bundle, in their order.
fn unpacked(path: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut tar = tar::Archive::new(rondel_oci::decompressed(file).unwrap());
    let of_entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let (name, mode) = (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap());
        assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0), "{name}");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, mode, bytes)
    };
    tar.entries().unwrap().map(of_entry).collect()
}

/// Writes a bundle as another program would, uncompressed.
fn packed(path: &Path, files: &[(String, u32, Vec<u8>)]) {
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, mode, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_mode(*mode);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    tar.finish().unwrap();
}

/// Returns the files with another description, whose digest is right.
fn described(files: &[(String, u32, Vec<u8>)], change: &dyn Fn(&str) -> String) -> Vec<(String, u32, Vec<u8>)> {
    let mut files = files.to_vec();
    files[0].2 = change(std::str::from_utf8(&files[0].2).unwrap()).into_bytes();
    files[1].2 = format!("{}  bundle.json\n", Digest::of(&files[0].2).hex()).into_bytes();
    files
}

/// Somebody who has nothing but the bundle.
fn elsewhere() -> TestSpace {
    let mut space = TestSpace::empty();
    for name in ["GOPROXY", "HTTPS_PROXY", "HTTP_PROXY", "SSL_CERT_FILE"] {
        space.unset(name);
    }
    space.set("PATH", "/nonexistent");
    space
}

fn rebuild(space: &TestSpace, bundle: &Path) -> Run {
    space.run(&["rebuild", &bundle.display().to_string()])
}

#[test]
fn a_bundle_has_what_was_read_and_nothing_else() {
    let space = template();
    let run = space.ok(&["bundle", "notes", "-o", "notes.zst"]);
    assert!(run.stderr.contains("Bundled") && run.stderr.contains("Identical notes"), "{}", run.stderr);
    assert!(space.read("out/notes.txt").starts_with("1.2.3 ") && space.read("out/notes.txt").ends_with(" stable 7\n"));
    let bundle = space.root().join("notes.zst");
    let files = unpacked(&bundle);
    let names: Vec<&str> = files.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["bundle.json", "bundle.json.sha256", "source/VERSION", "source/build.ron", "source/notes.txt"]);
    let text = String::from_utf8(files[0].2.clone()).unwrap();
    assert!(text.contains("\"KIND\": \"stable\"") && !text.contains("hidden"), "{text}");
    assert!(!text.contains(&space.root().display().to_string()), "no place of this machine: {text}");
    // Elsewhere: no git, no environment, no program.
    let run = rebuild(&elsewhere(), &bundle);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("Identical notes"), "{}", run.stderr);
    // The same file from another directory, and again.
    let other = template();
    fs::set_permissions(other.root().join("notes.txt"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    other.ok(&["bundle", "notes"]);
    assert!(other.bytes("dist/notes.bundle.tar.zst") == fs::read(&bundle).unwrap());
    space.ok(&["bundle", "notes", "-o", "notes.zst"]);
    assert!(other.bytes("dist/notes.bundle.tar.zst") == fs::read(&bundle).unwrap());
    // Changed sources that make a version dirty are part of it.
    let run = space.ok(&["bundle", "notes", "--snapshot", "-o", "notes.zst"]);
    assert!(run.stderr.contains("Bundled"), "{}", run.stderr);
    assert_eq!(rebuild(&elsewhere(), &bundle).code, 0);
}

#[test]
fn a_bundle_that_differs_is_told() {
    let space = template();
    space.ok(&["bundle", "notes", "-o", "notes.zst"]);
    let bundle = space.root().join("notes.zst");
    let (files, bad, auditor) = (unpacked(&bundle), space.root().join("bad.tar"), elsewhere());
    packed(&bad, &files);
    assert_eq!(rebuild(&auditor, &bad).code, 0, "another writer of the same files");
    // A byte of a source.
    let mut edited = files.clone();
    edited.last_mut().unwrap().2[0] ^= 1;
    packed(&bad, &edited);
    rebuild(&auditor, &bad).fails(2, &["`source/notes.txt` differs from its description", "nothing of it was run"]);
    // Another expectation.
    let made = Digest::of(space.read("out/notes.txt").as_bytes()).hex();
    packed(&bad, &described(&files, &|text| text.replace(&made, &"0".repeat(64))));
    rebuild(&auditor, &bad).fails(4, &["Different notes: ", "expected: 000000", &format!("built:    {made}")]);
    // A description whose digest is another one.
    let mut unknown = described(&files, &|text| text.replace("stable", "nightly"));
    unknown[1] = files[1].clone();
    packed(&bad, &unknown);
    rebuild(&auditor, &bad).fails(2, &["`bundle.json` has not the digest"]);
    // Another value: the digests are not reached.
    packed(&bad, &described(&files, &|text| text.replace("\"KIND\": \"stable\"", "\"KIND\": \"nightly\"")));
    rebuild(&auditor, &bad).fails(4, &["Different notes"]);
    // A part of it.
    let bytes = fs::read(&bundle).unwrap();
    fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let run = rebuild(&auditor, &bad);
    assert_eq!(run.code, 2, "{}", run.stderr);
    // A command of somebody else, in a bundle that is whole.
    let mut hostile = files.clone();
    let build = hostile.iter().position(|(name, ..)| name == "source/build.ron").unwrap();
    let text = String::from_utf8(hostile[build].2.clone()).unwrap();
    let text = text.replace("\"notes\": Template(", "\"notes\": Template(after: [\"command\"], ");
    let (old, new) = (Digest::of(&hostile[build].2).to_string(), Digest::of(text.as_bytes()).to_string());
    hostile[build].2 = text.into_bytes();
    packed(&bad, &described(&hostile, &|text| text.replace(&old, &new)));
    rebuild(&auditor, &bad).fails(2, &["`command` can't be bundled: `Exec` needs more of the machine than Go"]);
    assert!(!auditor.cache().join("verify").read_dir().unwrap().any(|_| true), "nothing is left");
}

#[test]
fn what_can_not_be_bundled_is_refused() {
    let space = template();
    space.run(&["bundle", "command"]).fails(2, &["`command` can't be bundled: `Exec` needs more"]);
    space.run(&["bundle", "wants"]).fails(2, &["`command` can't be bundled"]);
    space.write("mine.txt", "mine");
    space.run(&["bundle", "notes", "-o", "mine.txt"]).fails(2, &["is there, and is no bundle", "name another file"]);
    assert_eq!(space.read("mine.txt"), "mine");
    assert!(!space.exists("out"), "nothing was built");
    // A compiler, a toolchain and a base of the machine.
    let space = TestSpace::small();
    space.replace("build.ron", "packages: [\"./cmd/small\"],", "packages: [\"./cmd/small\"], cgo: true,");
    space.run(&["bundle", "server"]).fails(2, &["`server` can't be bundled: `cgo: true` links with a C compiler"]);
    space.replace("build.ron", "cgo: true,", "");
    space.replace("build.ron", "base: Static", "base: From(\"example.invalid/base:1\")");
    space.run(&["bundle", "image"]).fails(2, &["build.lock does not pin `example.invalid/base:1`", "lock` and commit"]);
    space.replace("build.ron", "Version(\"1.22.12\")", "System");
    space.run(&["bundle", "server"]).fails(2, &["`go: System` is whatever is installed"]);
}

/// The example of docs/bundles.md: an image on a base of a registry for two platforms, and a release, with a module of others.
#[test]
#[cfg_attr(
    not(all(has_registry, has_mount, has_root)),
    ignore = "no registry with crane, or no root with unshare and setpriv"
)]
fn a_bundle_is_rebuilt_without_a_network() {
    let space = TestSpace::small();
    let mut registry = Registry::start(&space.beside("registry"));
    let both = ["linux/amd64", "linux/arm64"].map(|platform| distribution(platform, Form::Gzip));
    write_layout(&space.beside("base"), &both);
    registry.push(&space.beside("base"), "team/base:1");
    let page = fs::read_to_string(repository().join("docs/bundles.md")).unwrap();
    let example = page.split("```ron\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let text = space.read("build.ron");
    let image = text.find("        \"image\": Image(").unwrap();
    let example = example.replace("BASE", &format!("{}/team/base:1", registry.address));
    space.write("build.ron", &format!("{}{example}    }},\n)\n", &text[..image]));
    space.replace("build.ron", "\"version\": \"v1\"", "\"version\": Git(Version)");
    // What is asked before a release counts as done is not asked of a bundle, which has no repository.
    space.replace("build.ron", "gate: Off", "gate: Off, policy: (clean_tree: true)");
    space.write("LICENSE", "free\n");
    space.append("go.mod", "\nrequire github.com/cespare/xxhash/v2 v2.2.0\n");
    let sums = fs::read_to_string(repository().join("examples/council/go.sum")).unwrap();
    let sums: Vec<&str> = sums.lines().filter(|line| line.contains("cespare/xxhash/v2 v2.2.0")).collect();
    space.write("go.sum", &(sums.join("\n") + "\n"));
    space.replace("cmd/small/main.go", "\t\"fmt\"\n", "\t\"fmt\"\n\n\t\"github.com/cespare/xxhash/v2\"\n");
    space.replace("cmd/small/main.go", "greet.Text())", "greet.Text(), xxhash.Sum64String(version))");
    space.write(".gitignore", "dist/\n.rondel/\n*.zst\n");
    space.ok(&["lock"]);
    git(&space, &["init", "--quiet", "--initial-branch=main"]);
    git(&space, &["add", "."]);
    git(&space, &["commit", "--quiet", "-m", "feat: first"]);
    git(&space, &["tag", "v1.2.3"]);
    // What is up to date has asked git as well.
    space.ok(&["all", "--all-platforms"]);
    let run = space.ok(&["bundle", "all", "--all-platforms", "-o", "small.bundle.tar.zst"]);
    assert!(run.stderr.contains("Up to date release: changelog"), "{}", run.stderr);
    registry.stop();
    let auditor = elsewhere();
    let bundle: PathBuf = auditor.beside("small.bundle.tar.zst");
    fs::rename(space.root().join("small.bundle.tar.zst"), &bundle).unwrap();
    // Another user in a namespace whose only interface is down, with another umask and an empty HOME.
    let directory = bundle.parent().unwrap();
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(directory).status().unwrap();
    assert!(owned.success());
    let script = "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n! ip route get 192.0.2.1 >/dev/null 2>&1 || exit 9\numask 027\n\
                  PATH=/nonexistent exec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"\n";
    let program = auditor.beside("run");
    fs::write(&program, script).unwrap();
    make_executable(&program);
    let before = ["-n".to_owned(), program.display().to_string()];
    let mut rebuild = auditor.under("/usr/bin/unshare", &before, &["rebuild", &bundle.display().to_string()]);
    let run = Run::of(rebuild.output().unwrap());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for step in ["Identical image: ", "Identical release: ", "Identical server (linux/arm64): ", "changelog: "] {
        assert!(run.stderr.contains(step), "{}", run.stderr);
    }
}
