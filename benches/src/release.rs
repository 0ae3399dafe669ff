//! A `Release` of the sample for six platforms, and [GoReleaser](https://goreleaser.com) with the same flags, the same Go and
//! archives of the same contents: from nothing, nothing changed, one function body changed; then which files of each are the
//! same after a second run elsewhere. The gate, which GoReleaser does not have, is measured apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::contenders::{Contender, Lab, turns};
use crate::edit;
use crate::statistics::{Samples, table};

/// The program that writes bills of materials for GoReleaser, of executables as Rondel does. Its default, syft, looks into archives.
const SBOM_PROGRAM: &str = "cyclonedx-gomod";
const BILLS: &str = r#"sboms:
  - cmd: cyclonedx-gomod
    artifacts: binary
    args: [bin, -licenses, -json, -output, $document, $artifact]
    documents: ["{{ .Binary }}_{{ .Version }}_{{ .Os }}_{{ .Arch }}{{ .Arm }}.cdx.json"]
"#;

const BUILD_RON: &str = r#"(
    format: 1,
    project: "council",
    go: Version("1.22.12"),
    platforms: ["linux/amd64", "linux/arm64", "linux/arm/v7", "darwin/amd64", "darwin/arm64", "windows/amd64"],
    vars: {"version": Git(Version), "commit": Git(ShortCommit)},
    targets: {
        "server": GoBuild(
            packages: ["./cmd/council"],
            ldflags: ["-s", "-w"],
            stamp: {"main.version": "{version}", "main.commit": "{commit}"},
        ),
        "release": Release(builds: ["server"], archives: (files: ["deploy/policy.yaml"]), gate: Off),
        "gated": Release(builds: ["server"], archives: (files: ["deploy/policy.yaml"])),
        "with-bills": Release(builds: ["server"], archives: (files: ["deploy/policy.yaml"]), sbom: [CycloneDx], gate: Off),
    },
)
"#;

/// What both forms of GoReleaser's configuration begin with.
const GORELEASER: &str = r#"version: 2
project_name: council
builds:
  - id: council
    main: ./cmd/council
    binary: council
    env: [CGO_ENABLED=0]
    targets: [linux_amd64, linux_arm64, linux_arm_7, darwin_amd64, darwin_arm64, windows_amd64]
"#;

/// As its documentation says that builds are the same each time: the times are the commit's, and no flag has a clock.
const REPEATABLE: &str = r#"    flags: [-trimpath, -buildvcs=false]
    ldflags: ["-s -w -buildid= -X main.version={{.Version}} -X main.commit={{.ShortCommit}}"]
    mod_timestamp: "{{ .CommitTimestamp }}"
archives:
  - formats: [tar.gz]
    wrap_in_directory: true
    builds_info: {owner: root, group: root, mode: 0755, mtime: "{{ .CommitDate }}"}
    files:
      - src: deploy/policy.yaml
        info: {owner: root, group: root, mode: 0644, mtime: "{{ .CommitDate }}"}
    format_overrides:
      - goos: windows
        formats: [zip]
checksum: {name_template: "{{ .ProjectName }}_{{ .Version }}_checksums.txt"}
changelog: {disable: true}
"#;

/// As `goreleaser init` leaves it, but for its hooks.
const DEFAULTS: &str = r#"archives:
  - formats: [tar.gz]
    files: [deploy/policy.yaml]
    format_overrides:
      - goos: windows
        formats: [zip]
"#;

/// A copy of the sample for each side.
struct Place<'l> {
    lab: &'l Lab,
    root: PathBuf,
    /// The caches of each side.
    caches: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, for an hour.
    All,
    /// What begins from nothing is left out.
    Warm,
    /// Only what begins from nothing: a release, and its gate.
    Cold,
}

/// Measures a part of it.
pub(crate) fn release(lab: &Lab, rounds: usize, part: Part) -> Result<()> {
    let version = Command::new("goreleaser").arg("--version").output().context("no goreleaser on this machine")?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.lines().find_map(|line| line.strip_prefix("GitVersion:")).unwrap_or("of unknown version");
    println!("six platforms, archives, checksums; GoReleaser {}, Go 1.22.12 for both\n", version.trim());
    let place = Place::new(lab, "release", "here", None)?;
    let with_bills = Command::new(SBOM_PROGRAM).arg("version").output().is_ok();
    let sides = [place.goreleaser("repeatable"), place.rondel("release")];
    if part == Part::Warm {
        sides.iter().try_for_each(|side| side.run().map(drop))?;
    } else {
        println!("from nothing: empty Go build cache and nothing stored, modules and toolchain there; without bills");
        table(&cold(&place, sides, rounds.min(3))?);
    }
    if part != Part::Cold {
        from_something(lab, &place, rounds, part == Part::Warm, with_bills)?;
    }
    if part != Part::Warm {
        println!("\nRondel from nothing, without its gate and with it");
        table(&cold(&place, [place.rondel("release"), place.rondel("gated")], 1)?);
    }
    Ok(())
}

/// Measures a second run, one after an edit, and which files are the same elsewhere.
fn from_something(lab: &Lab, place: &Place, rounds: usize, is_warm: bool, with_bills: bool) -> Result<()> {
    let mut pairs = vec![("without bills", "repeatable", "release")];
    match with_bills {
        true => pairs.push(("with bills of materials (CycloneDX)", "with-bills", "with-bills")),
        false => println!("\nleft out: bills of materials (no {SBOM_PROGRAM} on this machine)"),
    }
    for (title, goreleaser, target) in pairs {
        let (goreleaser, rondel) = (place.goreleaser(goreleaser), place.rondel(target));
        println!("\nnothing changed, {title}");
        table(&turns(&[&goreleaser, &rondel], rounds, &|_| Ok(()))?);
        println!("\none function body of one file changed (internal/api/health.go), {title}");
        let edited = |number| [&goreleaser, &rondel].iter().try_for_each(|side| edit(&side.tree, number));
        table(&turns(&[&goreleaser, &rondel], rounds, &edited)?);
    }
    println!("\nthe same files after a second run, in another directory and with other caches");
    elsewhere(lab, place, with_bills, is_warm)
}

/// Two sides in turns, each from nothing.
fn cold(place: &Place, sides: [Contender; 2], rounds: usize) -> Result<[Samples; 2]> {
    let mut samples = [Samples::new(&sides[0].name), Samples::new(&sides[1].name)];
    for round in 0..rounds {
        for turn in 0..sides.len() {
            let side = (turn + round) % sides.len();
            place.forget(true)?;
            samples[side].push(sides[side].run()?);
        }
    }
    Ok(samples)
}

/// Makes the same releases in a second place, and counts which files are the same.
fn elsewhere(lab: &Lab, place: &Place, with_bills: bool, is_warm: bool) -> Result<()> {
    // Clones, without the edits of the measurements. What is compiled for one form of a release counts for the next.
    let here = Place::new(lab, "release-again", "here", Some(place))?;
    let there = Place::new(lab, "elsewhere/another directory", "there", Some(place))?;
    there.forget(!is_warm)?;
    let mut sides = vec![
        ("GoReleaser, as its documentation says", "goreleaser", "repeatable", "dist"),
        ("Rondel", "rondel", "release", "dist/release"),
    ];
    // Without -trimpath everything is compiled once more.
    if !is_warm {
        sides.push(("GoReleaser, by its defaults", "goreleaser", "defaults", "dist"));
    }
    if with_bills {
        sides.push(("GoReleaser with bills of materials", "goreleaser", "with-bills", "dist"));
        sides.push(("Rondel with bills of materials", "rondel", "with-bills", "dist/with-bills"));
    }
    for (title, side, name, directory) in sides {
        let mut made = Vec::new();
        for place in [&here, &there] {
            place.forget(false)?;
            let contender = if side == "rondel" { place.rondel(name) } else { place.goreleaser(name) };
            contender.run()?;
            made.push(digests(&contender.tree.join(directory))?);
        }
        // Archives, checksums and bills; then what each tool writes of itself.
        let (own, published): (Vec<&String>, Vec<&String>) = made[0].keys().partition(|name| is_own(name));
        println!("  {title}: {}", counted(&made, &published));
        println!("    its own lists: {}", counted(&made, &own));
    }
    Ok(())
}

/// Returns true for what a tool writes of itself and does not publish.
fn is_own(name: &str) -> bool {
    ["artifacts.json", "metadata.json", "config.yaml"].contains(&name)
}

fn counted(made: &[BTreeMap<String, String>], names: &[&String]) -> String {
    let (same, other): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|&&name| made[1].get(name) == made[0].get(name));
    match other.is_empty() {
        true => format!("{} of {} the same", same.len(), names.len()),
        false => format!("{} of {} the same; not {other:?}", same.len(), names.len()),
    }
}

/// Returns the SHA-256 of each file in a directory, without those below it.
fn digests(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let digest: String =
                Sha256::digest(fs::read(entry.path())?).iter().map(|byte| format!("{byte:02x}")).collect();
            found.insert(entry.file_name().to_string_lossy().into_owned(), digest);
        }
    }
    ensure!(!found.is_empty(), "{}: nothing was made", directory.display());
    Ok(found)
}

impl Place<'_> {
    /// Copies the sample into a repository with one commit and a tag, or clones that of another place.
    fn new<'l>(lab: &'l Lab, name: &str, caches: &str, original: Option<&Place>) -> Result<Place<'l>> {
        let root = lab.root.join("trees").join(name);
        let place = Place { lab, root, caches: lab.root.join("release-caches").join(caches) };
        fs::create_dir_all(&place.root)?;
        for side in ["goreleaser", "rondel"] {
            let tree = place.root.join(side);
            if let Some(original) = original {
                let original = original.root.join(side).display().to_string();
                command(&place.root, "git", &["clone", "--quiet", &original, side])?;
                continue;
            }
            let sample = lab.repository().join("examples/council").display().to_string();
            command(&place.root, "cp", &["-r", &sample, side])?;
            fs::copy(lab.repository().join("build.lock"), tree.join("build.lock"))?;
            fs::write(tree.join("build.ron"), BUILD_RON)?;
            fs::write(tree.join("repeatable.yaml"), format!("{GORELEASER}{REPEATABLE}"))?;
            fs::write(tree.join("defaults.yaml"), format!("{GORELEASER}{DEFAULTS}"))?;
            fs::write(tree.join("with-bills.yaml"), format!("{GORELEASER}{REPEATABLE}{BILLS}"))?;
            fs::write(tree.join(".gitignore"), "/dist/\n/.rondel/\n")?;
            command(&tree, "git", &["init", "--quiet"])?;
            command(&tree, "git", &["add", "."])?;
            command(&tree, "git", &["commit", "--quiet", "--message", "the sample"])?;
            command(&tree, "git", &["tag", "v1.2.3"])?;
            // Without a remote, GoReleaser knows neither tag nor commit.
            command(&tree, "git", &["remote", "add", "origin", "https://github.com/example/council.git"])?;
        }
        Ok(place)
    }

    fn goreleaser(&self, configuration: &str) -> Contender {
        let mut environment = self.lab.go_environment("unused");
        environment.insert("GOCACHE".into(), self.caches.join("goreleaser").display().to_string());
        let file = format!("{configuration}.yaml");
        let words = ["goreleaser", "release", "--snapshot", "--clean", "--config", &file];
        Contender::new("GoReleaser", &self.root.join("goreleaser"), &words, environment)
    }

    fn rondel(&self, target: &str) -> Contender {
        let mut environment = self.lab.environment();
        let cache = self.caches.join("rondel");
        let _ = fs::create_dir_all(cache.join("go"));
        // Neither the toolchain nor the modules are measured.
        for name in ["go/toolchains", "go/mod"] {
            if !cache.join(name).exists() {
                let _ = std::os::unix::fs::symlink(self.lab.cache.join(name), cache.join(name));
            }
        }
        environment.insert("RONDEL_CACHE_DIR".into(), cache.display().to_string());
        environment.insert("DOCKER_HOST".into(), "unix:///nonexistent".into());
        let program = self.lab.rondel.display().to_string();
        let words = [&program, "--quiet", target, "--snapshot"];
        Contender::new(&format!("Rondel, {target}"), &self.root.join("rondel"), &words, environment)
    }

    /// Removes what either side has made and stored; `compiled` also what Go has compiled. Toolchain and modules stay.
    fn forget(&self, compiled: bool) -> Result<()> {
        let (goreleaser, rondel) = (self.caches.join("goreleaser"), self.caches.join("rondel"));
        for entry in fs::read_dir(&rondel).into_iter().flatten() {
            let entry = entry?;
            if entry.file_type()?.is_dir() && entry.file_name() != "go" {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let mut paths = ["goreleaser/dist", "rondel/dist", "rondel/.rondel"].map(|path| self.root.join(path)).to_vec();
        if compiled {
            paths.extend([goreleaser, rondel.join("go/build")]);
        }
        for path in paths.iter().filter(|path| path.exists()) {
            fs::remove_dir_all(path)?;
        }
        Ok(())
    }
}

/// Runs a program that sets something up. Commits have one author and one time.
fn command(directory: &Path, program: &str, words: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "bench").env(format!("GIT_{who}_EMAIL"), "bench@example.com");
        command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    let output = command.args(words).current_dir(directory).output()?;
    ensure!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
