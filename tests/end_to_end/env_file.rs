//! `env_file`: the syntax of Docker, keys, and values that nobody is shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use expect_test::expect;

use crate::docker::{daemon, docker};
use crate::space::TestSpace;

const TARGETS: &str = r#"
    "kept": Shell("printf '%s|%s|%s\\n' \"$TOKEN\" \"$PORT\" \"${EXTRA-none}\" > out.txt; echo \"token $TOKEN, port $PORT\"",
        inputs: ["in"], outputs: ["out.txt"], env_file: [".env", Optional(".env.local")]),
    "always": Shell("echo $TOKEN $OWN", env_file: [".env"], env: {"OWN": "own"}),
"#;

fn space() -> TestSpace {
    let space = TestSpace::with_targets(TARGETS);
    space.write("in", "1\n");
    space.write(".env", "TOKEN=canary-one\nPORT=8080\nOWN=replaced\nUNUSED=1\n");
    space
}

#[test]
fn a_step_runs_again_for_another_value() {
    let space = space();
    space.ok(&["kept"]).check(expect![[r#"
        --- stderr
             Running kept: first build
              kept | token ***, port 8080
                Done kept in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert_eq!(space.read("out.txt"), "canary-one|8080|none\n");
    // A comment, an order and a value that `env` replaces change nothing.
    space.write(".env", "# about\nPORT=8080\nTOKEN=canary-one\nOWN=replaced\nUNUSED=1\n");
    assert!(space.ran(&["kept"]).is_empty());
    space.replace(".env", "canary-one", "canary-two");
    space.ok(&["plan", "kept"]).check(expect![[r#"
        run         kept (last [T]): TOKEN changed
    "#]]);
    assert_eq!(space.ran(&["kept"])["kept"], "TOKEN changed");
    space.write(".env.local", "EXTRA=canary-extra\nPORT=9090\n");
    let reasons = space.ok(&["kept", "-v"]).stderr;
    assert!(reasons.contains("EXTRA is new, PORT changed"), "{reasons}");
    assert_eq!(space.read("out.txt"), "canary-two|9090|canary-extra\n");
    space.remove(".env.local");
    assert!(space.ok(&["kept"]).stderr.contains("Restored kept"));
    assert_eq!(space.read("out.txt"), "canary-two|8080|none\n");
    space.ok(&["always"]).check(expect![[r#"
        --- stderr
             Running always: it declares no inputs
            always | *** own
                Done always in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
}

/// Neither what is shown nor what is stored has a value, nor a digest of one.
#[test]
fn no_value_is_shown_or_stored() {
    fn files(directory: &Path, found: &mut Vec<Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => files(&entry.path(), found),
                kind if kind.is_file() => found.push(fs::read(entry.path()).unwrap()),
                _ => {}
            }
        }
    }
    let space = TestSpace::with_targets(
        r#"
        "kept": Shell("echo \"token $TOKEN\"; echo \"$TOKEN\" >&2; test -e ok", inputs: ["in", "ok"], env_file: [".env"]),
    "#,
    );
    space.write("in", "1\n");
    space.write("ok", "");
    space.write(".env", "TOKEN=canary-one\n");
    let mut said = String::new();
    for arguments in [&["kept", "-v"][..], &["kept", "-v"], &["kept", "--force", "--events", "json"], &["why", "kept"]]
    {
        let run = space.ok(arguments);
        said.push_str(&format!("{}{}", run.stdout, run.stderr));
    }
    assert!(!said.contains("canary") && said.contains("token ***") && said.contains("TOKEN='***'"), "{said}");
    let mut stored = Vec::new();
    files(&space.root().join(".rondel"), &mut stored);
    files(&space.cache(), &mut stored);
    assert!(stored.len() > 5);
    let digest = rondel_cas::Digest::of(b"canary-one").to_string();
    let plain = digest.split('/').next().unwrap();
    for secret in ["canary", plain] {
        let is_in = |bytes: &&Vec<u8>| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert_eq!(stored.iter().filter(is_in).count(), 0, "{secret}");
    }
}

const LINES: &str = "\u{feff}A=1\r\n \t B=two words  \n# c\n  # d\n\nE=\nF=a=b\nCALLER\nRONDEL_UNSET\nA=again\n1X=y\n\
                     x.y-z=w\nexport=z\n \u{b}\u{c}K=v\nL= lead\nM=a # no comment\nN=\"\nO=\t\n";

/// The same file, read by Docker and here.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn it_is_read_as_docker_reads_it() {
    let _guard = daemon();
    let mut space = TestSpace::with_targets(
        r#"
        "image": Image(base: Static, files: {"/bin/busybox": File("box", mode: 0o755)}, tags: ["rondel-test-env-file:1"],
            platforms: ["linux/amd64"], entrypoint: ["/bin/busybox", "env"]),
        "here": Exec(command: ["cp", "/proc/self/environ", "seen"], env_file: ["test.env"]),
        "run": DockerRun(image: "image", env_file: ["test.env"], env: {"A": "own"}),
    "#,
    );
    fs::copy("/bin/busybox", space.root().join("box")).unwrap();
    space.unset("DOCKER_HOST").set("CALLER", "of the caller");
    space.write("test.env", LINES);
    space.ok(&["image"]);
    // Of a name that comes again Docker's list has both, and the process the last one.
    let ours = |text: &str| -> BTreeMap<String, String> {
        let pairs = text.split(['\0', '\n']).filter_map(|line| line.split_once('='));
        let own = pairs.filter(|(name, _)| !["PATH", "HOME", "LANG", "SSL_CERT_FILE"].contains(name));
        own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    // What Docker puts into a container, without values hidden.
    let mut create = space.under("docker", &["create", "--env-file", "test.env", "rondel-test-env-file:1"], &[]);
    let created = create.output().unwrap();
    let id = String::from_utf8_lossy(&created.stdout).trim().to_owned();
    let dockers = docker(&["inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", &id]);
    docker(&["rm", &id]);
    space.ok(&["here"]);
    let seen = ours(&space.read("seen"));
    assert_eq!((seen.len(), &seen), (13, &ours(&dockers)));
    // A container has them too; `env` goes before.
    let run = space.ok(&["run"]);
    assert!(run.stderr.contains("run | A=own") && run.stderr.contains("run | M=***"), "{}", run.stderr);
    for broken in ["=canary\n", "export A=canary\n", "A =canary\n"] {
        space.write("test.env", broken);
        let run = space.run(&["here"]);
        run.fails(2, &["`test.env`, line 1: "]);
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
        let mut create = space.under("docker", &["create", "--env-file", "test.env", "rondel-test-env-file:1"], &[]);
        assert!(!create.output().unwrap().status.success(), "{broken}");
    }
    docker(&["rmi", "--force", "rondel-test-env-file:1"]);
}

/// The environment of the whole file reaches commands and tests, in their keys.
#[test]
fn the_environment_of_the_file() {
    let space = TestSpace::small();
    space.write(
        "greet/greet_test.go",
        "package greet\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestText(t *testing.T) {\n\tif os.Getenv(\"WORD\") != \"v1\" {\n\t\tt.Fatal(os.Getenv(\"WORD\"))\n\t}\n}\n",
    );
    let targets = r#"    env: {"WORD": "{version}"},
    targets: {
        "a": Shell("echo $WORD", inputs: ["go.mod"]), "b": Shell("echo $WORD", inputs: ["go.mod"], env: {"WORD": "own"}),"#;
    space.replace("build.ron", "    targets: {", targets);
    assert!(space.ok(&["a", "test"]).stderr.contains("a | v1"));
    assert!(space.ok(&["b"]).stderr.contains("b | own"));
    assert!(space.ran(&["a", "b", "test"]).is_empty());
    space.replace("build.ron", "\"WORD\": \"{version}\"", "\"WORD\": \"other\"");
    assert_eq!(space.ran(&["a", "b"]), [("a".to_owned(), "WORD changed from `v1` to `other`".to_owned())].into());
    space.run(&["test"]).fails(1, &["FAIL"]);
}

#[test]
fn a_test_has_the_variables_of_a_file() {
    let space = TestSpace::small();
    space.write(
        "greet/greet_test.go",
        "package greet\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestText(t *testing.T) {\n\tif os.Getenv(\"WORD\") != \"hello\" {\n\t\tt.Fatal(os.Getenv(\"WORD\"))\n\t}\n}\n",
    );
    space.replace("build.ron", "GoTest(packages: [\"./...\"]", "GoTest(packages: [\"./...\"], env_file: [\".env\"]");
    space.write(".env", "WORD=hello\n");
    space.ok(&["test"]);
    assert!(space.ran(&["test"]).is_empty());
    space.write(".env", "WORD=canary\n");
    let run = space.run(&["test"]);
    run.fails(1, &["FAIL"]);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    space.write(".env", "WORD=hello\n# again\n");
    assert!(space.ran(&["test"]).is_empty());
}
