//! `Release`: archives, checksums, the list of all files, and the gate, on real Go.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::space::TestSpace;

const FIELDS: &str = r#"builds: ["server"], version: "1.2.3", created: Epoch, gate: Off, platforms: ["linux/amd64", "windows/amd64"],
    archives: (files: ["LICENSE", "docs/**", Output("made")])"#;

/// The small module with a release for two platforms.
fn space(fields: &str) -> TestSpace {
    let space = TestSpace::small();
    space.write("LICENSE", "free\n");
    space.write("docs/a/guide.md", "how\n");
    space.write("run.sh", "#!/bin/sh\n");
    space.replace("build.ron", "platforms: [", "platforms: [\"windows/amd64\", ");
    space.replace("build.ron", "base: Static,", "base: Static, platforms: [\"linux/amd64\"],");
    space.replace(
        "build.ron",
        "        \"image\": Image(",
        &format!(
            "        \"made\": Shell(script: \"cp go.mod completions.bash\", inputs: [\"go.mod\"], outputs: [\"completions.bash\"]),\n        \
             \"rel\": Release({fields}),\n        \"image\": Image("
        ),
    );
    space
}

fn listed(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns all files with their contents.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    listed(directory).into_iter().map(|name| (name.clone(), fs::read(directory.join(&name)).unwrap())).collect()
}

fn output(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn archives_checksums_and_a_list() {
    let space = space(FIELDS);
    space.ok(&["rel"]);
    let directory = space.root().join("dist/rel");
    assert_eq!(
        listed(&directory),
        [
            "artifacts.json",
            "small_1.2.3_checksums.txt",
            "small_1.2.3_linux_amd64.tar.gz",
            "small_1.2.3_windows_amd64.zip"
        ]
    );
    assert!(space.audit_all(&["rel"]).len() >= 6, "programs, archives, checksums and the list");
    // Other readers: GNU tar, Python, sha256sum.
    let tar = output("tar", &["tzvf", "small_1.2.3_linux_amd64.tar.gz", "--utc"], &directory);
    let words: Vec<Vec<&str>> = tar.lines().map(|line| line.split_whitespace().collect()).collect();
    let about: Vec<(&str, &str, &str, &str)> = words.iter().map(|line| (line[0], line[1], line[3], line[5])).collect();
    assert_eq!(
        about,
        [
            ("-rw-r--r--", "0/0", "1970-01-01", "small_1.2.3_linux_amd64/LICENSE"),
            ("-rw-r--r--", "0/0", "1970-01-01", "small_1.2.3_linux_amd64/completions.bash"),
            ("-rw-r--r--", "0/0", "1970-01-01", "small_1.2.3_linux_amd64/docs/a/guide.md"),
            ("-rwxr-xr-x", "0/0", "1970-01-01", "small_1.2.3_linux_amd64/small"),
        ]
    );
    let script = "import zipfile\nz = zipfile.ZipFile('small_1.2.3_windows_amd64.zip')\nassert z.testzip() is None\n\
                  for i in z.infolist(): print(i.filename, oct(i.external_attr >> 16), i.date_time[0], len(i.extra))";
    assert_eq!(
        output("python3", &["-c", script], &directory),
        "small_1.2.3_windows_amd64/LICENSE 0o100644 1980 0\n\
         small_1.2.3_windows_amd64/completions.bash 0o100644 1980 0\n\
         small_1.2.3_windows_amd64/docs/a/guide.md 0o100644 1980 0\n\
         small_1.2.3_windows_amd64/small.exe 0o100755 1980 0\n"
    );
    let checked = output("sha256sum", &["--check", "--strict", "small_1.2.3_checksums.txt"], &directory);
    assert_eq!(checked.lines().count(), 2, "{checked}");
    // What is unpacked runs.
    let place = space.beside("unpacked");
    fs::create_dir_all(&place).unwrap();
    output("tar", &["xzf", &directory.join("small_1.2.3_linux_amd64.tar.gz").display().to_string()], &place);
    assert!(
        space.bytes("dist/server/linux_amd64/small") == fs::read(place.join("small_1.2.3_linux_amd64/small")).unwrap()
    );
    let list: Value = serde_json::from_str(&space.read("dist/rel/artifacts.json")).unwrap();
    assert_eq!((list["project"].as_str(), list["version"].as_str()), (Some("small"), Some("1.2.3")));
    let lines: Vec<(&str, &str, Option<&str>)> = list["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["name"].as_str().unwrap(), line["kind"].as_str().unwrap(), line["platform"].as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("small_1.2.3_checksums.txt", "checksums", None),
            ("small_1.2.3_linux_amd64.tar.gz", "archive", Some("linux/amd64")),
            ("small_1.2.3_windows_amd64.zip", "archive", Some("windows/amd64")),
        ]
    );
    for line in list["artifacts"].as_array().unwrap() {
        let bytes = space.bytes(&format!("dist/rel/{}", line["name"].as_str().unwrap()));
        assert_eq!(line["size"].as_u64(), Some(bytes.len() as u64));
    }
}

#[test]
fn each_file_is_kept_and_restored_by_itself() {
    let space = space(FIELDS);
    space.ok(&["rel"]);
    let first = contents(&space.root().join("dist/rel"));
    assert!(space.ran(&["rel"]).is_empty());
    space.remove("dist/rel/small_1.2.3_windows_amd64.zip");
    assert!(space.ran(&["rel"]).is_empty());
    space.remove("dist");
    assert!(space.ran(&["rel"]).is_empty());
    assert!(contents(&space.root().join("dist/rel")) == first);
    // The same bytes in another directory, with another cache.
    let other = space.clone_elsewhere();
    other.ok(&["rel"]);
    assert!(contents(&other.root().join("dist/rel")) == first);
    // Files of one platform: the other one stays.
    space.write("cmd/small/windows.go", "package main\n\nfunc init() { println(\"hello\") }\n");
    let source = space.read("cmd/small/windows.go");
    space.remove("cmd/small/windows.go");
    space.write("cmd/small/more_windows.go", &source);
    let ran = space.ran(&["rel"]);
    assert!(
        ran.contains_key("rel: archive (windows/amd64)") && !ran.contains_key("rel: archive (linux/amd64)"),
        "{ran:?}"
    );
}

/// Each member of the keys.
#[test]
fn what_makes_the_files_again() {
    let space = space(FIELDS);
    space.ok(&["rel"]);
    let both = ["rel: archive (linux/amd64)", "rel: archive (windows/amd64)"];
    let archives = |space: &TestSpace, what: &str, expected: &[&str]| {
        let ran = space.ran(&["rel"]);
        let found: Vec<&str> = both.into_iter().filter(|name| ran.contains_key(*name)).collect();
        assert_eq!(found, expected, "{what}: {ran:?}");
        ran.contains_key("rel")
    };
    space.write("LICENSE", "freer\n");
    assert!(archives(&space, "a file", &both));
    space.write("docs/b.md", "more\n");
    assert!(archives(&space, "another file", &both));
    fs::set_permissions(space.root().join("docs/b.md"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert!(archives(&space, "an executable bit", &both));
    space.append("go.mod", "\n// more\n");
    assert!(archives(&space, "the output of a target", &both));
    for (from, to, expected) in [
        ("created: Epoch", "created: Env(\"WHEN\")", &[][..]),
        ("files: [", "wrap: false, files: [", &both),
        ("files: [", "format: Zip, files: [", &both[..1]),
        ("files: [", "format_by_os: {\"windows\": TarGz}, files: [", &both[1..]),
        ("1.2.3", "1.2.4", &both),
        ("files: [", "name: \"{target}-{version}-{os}-{arch}\", files: [", &both),
    ] {
        space.replace("build.ron", from, to);
        assert!(archives(&space, to, expected) || expected.is_empty(), "{to}");
    }
    space.replace("build.ron", "created: Env(\"WHEN\")", "created: Env(\"WHEN\"), checksums: \"SHA256SUMS\"");
    assert!(archives(&space, "the name of the checksums", &[]));
    assert_eq!(
        listed(&space.root().join("dist/rel")),
        ["SHA256SUMS", "artifacts.json", "rel-1.2.4-linux-amd64.zip", "rel-1.2.4-windows-amd64.tar.gz"]
    );
    let mut space = space;
    space.set("WHEN", "1700000000");
    assert!(archives(&space, "the time", &both));
    space.replace("build.ron", "project: \"small\"", "project: \"smaller\"");
    assert!(archives(&space, "the project", &[]), "the list names it");
}

#[test]
fn what_does_not_build_the_same_twice_is_no_release() {
    // Under another name than build.ron, which the provenance holds too.
    let space =
        space(&FIELDS.replace("gate: Off, ", "provenance: true, ").replace("\"windows/amd64\"", "\"linux/arm64\""))
            .may_differ();
    fs::rename(space.root().join("build.ron"), space.root().join("small.ron")).unwrap();
    let run = space.ok(&["--file", "small.ron", "rel"]);
    assert!(run.stderr.contains("Verifying by a second build") && run.stderr.contains("identical"), "{}", run.stderr);
    let again = space.ok(&["--file", "small.ron", "rel"]);
    assert!(!again.stderr.contains("Verifying") && again.stderr.contains("Verified rel before"), "{}", again.stderr);
    // Another checkout has the same keys and results, so the same proof.
    let mut other = TestSpace::empty();
    crate::space::copy(&space.root(), &other.root(), &|name| !matches!(name, ".rondel" | "dist"));
    other.set("RONDEL_CACHE_DIR", &space.cache().display().to_string());
    let run = other.ok(&["--file", "small.ron", "rel"]);
    assert!(run.stderr.contains("Verified rel before"), "{}", run.stderr);
    // A command that gives other bytes each time.
    space.replace("small.ron", "cp go.mod completions.bash", "date +%s%N > completions.bash");
    let failed = space.run(&["--file", "small.ron", "rel"]);
    failed.fails(4, &["Different made", "completions.bash", "1 of "]);
    // It was not proven.
    space.run(&["--file", "small.ron", "rel"]).fails(4, &["Different made"]);
    let events = space.run(&["--file", "small.ron", "rel", "--events", "json"]);
    let last = events.events().pop().unwrap();
    assert_eq!((last["outcome"].as_str(), last["exit_code"].as_i64()), (Some("different"), Some(4)));
    space.replace("small.ron", "created: Epoch", "created: Epoch, gate: Off");
    space.ok(&["--file", "small.ron", "rel"]);
    assert!(space.ok(&["--file", "small.ron", "plan", "rel"]).stdout.contains("gate: Off"));
}

#[test]
fn what_can_not_be_released_is_said() {
    for (from, to, words) in [
        (
            "\"version\": \"v1\"",
            "\"tag\": \"v1\"",
            &["a `Release` has a version", "write `vars: {\"version\": Git(Version)}`"][..],
        ),
        ("1.2.3", "1.2/3", &["the version `1.2/3` of `rel`", "`/` can't be in the name of a file"]),
        ("\"LICENSE\"", "\"LICENCE\"", &["there is no `LICENCE`", "did you mean `LICENSE`?"]),
        ("\"LICENSE\"", "\"small\"", &["`small`"]),
        ("created: Epoch", "created: CommitTime", &["git has no commit here", "write `created: Epoch`"]),
        ("[\"server\"]", "[\"server\", \"twin\"]", &["`server` and `twin` both make `small", "another `name`"]),
        ("\"windows/amd64\"]", "\"plan9/386\"]", &["`rel` is for plan9/386, and `server` is not"]),
        ("files: [", "name: \"{os}\", files: [", &["`{os}` is the same for several platforms"]),
        ("files: [", "name: \"{system}\", files: [", &["names of files have no `{system}`"]),
        ("files: [", "name: \"a/{os}{arch}\", files: [", &["`/` can't be in the name of a file"]),
        ("files: [", "format_by_os: {\"window\": Zip}, files: [", &["did you mean `windows`?"]),
        ("gate: Off", "gate: Off, checksums: \"{os}\"", &["the checksums are of all platforms"]),
        ("[\"server\"]", "[\"made\"]", &["expected a `GoBuild` target, found `made` (`Shell`)"]),
        ("[\"server\"]", "[]", &["a `Release` needs a build"]),
    ] {
        let space = space(FIELDS);
        if to.contains("twin") {
            space.replace(
                "build.ron",
                "        \"rel\":",
                "        \"twin\": GoBuild(packages: [\"./cmd/small\"]),\n        \"rel\":",
            );
        }
        if to.contains("\"small\"") {
            space.write("small", "in the way\n");
        }
        if to.contains("tag") {
            space.replace("build.ron", "{version}", "{tag}");
            space.replace("build.ron", "version: \"1.2.3\", ", "");
        }
        space.replace("build.ron", from, to);
        let run = space.run(&["rel"]);
        assert!(!run.stderr.contains("panicked") && run.code != 0, "{to}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{to}: no {word} in\n{}", run.stderr);
        }
    }
}
