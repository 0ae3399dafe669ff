//! `DockerBuild`: its key is what Docker is sent and reads. Judged by Docker itself.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::space::TestSpace;

/// A workspace with one image from a Dockerfile, with the daemon of this machine.
fn with_dockerfile(name: &str, dockerfile: &str) -> TestSpace {
    let target = format!("\"d\": DockerBuild(tags: [\"rondel-test-{name}:1\"])");
    let mut space = TestSpace::with_targets(&target);
    space.unset("DOCKER_HOST");
    space.write("Dockerfile", dockerfile);
    space
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// All paths in an image.
fn paths_in(image: &str) -> BTreeSet<String> {
    let script = format!("id=$(docker create {image} x) && docker export $id | tar -t; docker rm $id > /dev/null");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The paths of files and links that the key of the last build holds.
fn keyed(space: &TestSpace) -> BTreeSet<String> {
    let record = space.read(".rondel/actions.3/d");
    let lines = record.lines().filter_map(|line| line.split_once("\tcontext/"));
    lines.map(|(_, path)| path.to_owned()).collect()
}

/// Files and links below a directory, without what Rondel keeps there.
fn files_below(root: &Path) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if entry.file_type().unwrap().is_dir() {
                if relative != ".rondel" {
                    open.push(path);
                }
            } else {
                found.insert(relative);
            }
        }
    }
    found
}

/// A small generator of pseudo-random numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const NAMES: &[&str] = &["a", "b", "ab", "a.b", "c.go", "a[b]", "!a", "a b", ".git", "dist"];
const WORDS: &[&str] = &[
    "a", "b", "ab", "*", "**", "?", "a*", "*.go", "[a-b]", "[^a]*", "a[[]b]", "a\\[b\\]", "..", ".", "{a,b}", "a{1}*",
    "\\!a", ".git", "dist", "*b",
];

fn pattern(numbers: &mut Numbers) -> String {
    let words: Vec<&str> = (0..=numbers.below(2)).map(|_| numbers.one(WORDS)).collect();
    let mark = numbers.one(&["", "", "!", "/", "# ", " ", "./"]);
    format!("{mark}{}{}", words.join("/"), numbers.one(&["", "", "/", "/**", " "]))
}

/// Generated trees and ignore files: the key holds the files that a plain `docker build` of the same context copies.
/// `RONDEL_IGNORE_CASES` is their number, `RONDEL_IGNORE_SEED` the first seed.
#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn the_key_holds_what_docker_is_sent() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed = number("RONDEL_IGNORE_SEED", 1);
    for seed in seed..seed + number("RONDEL_IGNORE_CASES", 8) {
        let numbers = &mut Numbers(seed);
        let space = with_dockerfile("differential", "FROM scratch\nCOPY . /\n");
        for _ in 0..12 {
            let depth = numbers.below(3);
            let path: Vec<&str> = (0..=depth).map(|_| numbers.one(NAMES)).collect();
            let whole = space.root().join(path.join("/"));
            if fs::create_dir_all(whole.parent().unwrap()).is_ok() && !whole.exists() {
                fs::write(whole, "x").unwrap();
            }
        }
        let lines: Vec<String> = (0..=numbers.below(3)).map(|_| pattern(numbers)).collect();
        let text = format!("{}{}", numbers.one(&["", "", "\u{feff}", "*\n"]), lines.join(numbers.one(&["\n", "\r\n"])));
        // Without a file there is no image to compare.
        space.write(".dockerignore", &format!("{text}\n!Dockerfile\n"));
        let (out, root) = (space.beside("out"), space.root());
        let (output, context) = (format!("type=local,dest={}", out.display()), root.display().to_string());
        let plain = Command::new("docker").args(["buildx", "build", "--output", &output, &context]).output().unwrap();
        let run = space.run(&["d"]);
        assert_eq!(plain.status.success(), run.code == 0, "seed {seed}: {text:?}\n{}", run.stderr);
        if plain.status.success() {
            assert_eq!(keyed(&space), files_below(&out), "seed {seed}: {text:?}");
        }
    }
    docker(&["rmi", "--force", "rondel-test-differential:1"]);
}

/// What Docker sees makes the step run; what it does not see does not.
#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn edits_that_docker_sees() {
    let space = with_dockerfile("edits", "FROM scratch\nCOPY . /\n");
    space.write(".dockerignore", "\u{feff}secret\r\nlogs/[0-9]*\r\nx/../hidden\r\n");
    for path in ["secret", "logs/1", "logs/a", "hidden/deep", "seen", ".git/HEAD"] {
        space.write(path, "1");
    }
    symlink("seen", space.root().join("link")).unwrap();
    space.ok(&["d"]);
    for path in ["secret", "logs/1", "hidden/deep", ".rondel/x", "logs/2"] {
        space.write(path, "2");
        assert!(space.ran(&["d"]).is_empty(), "{path}");
    }
    space.write(".git/HEAD", "2");
    assert_eq!(space.ran(&["d"])["d"], "context/.git/HEAD changed");
    let root = space.root();
    let edits: &[(&str, &dyn Fn())] = &[
        ("an empty directory", &|| fs::create_dir(root.join("empty")).unwrap()),
        ("a mode", &|| fs::set_permissions(root.join("seen"), fs::Permissions::from_mode(0o640)).unwrap()),
        ("a mode of a directory", &|| {
            fs::set_permissions(root.join("logs"), fs::Permissions::from_mode(0o700)).unwrap()
        }),
        ("a link", &|| {
            fs::remove_file(root.join("link")).unwrap();
            symlink("logs/a", root.join("link")).unwrap();
        }),
        ("a dangling link", &|| symlink("/nowhere", root.join("other")).unwrap()),
        ("a FIFO", &|| assert!(Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success())),
    ];
    for (what, edit) in edits {
        edit();
        assert!(space.ran(&["d"]).contains_key("d"), "{what}");
        assert!(space.ran(&["d"]).is_empty(), "{what}, again");
    }
    let found = paths_in("rondel-test-edits:1");
    assert!(found.contains(".git/HEAD") && found.contains("empty/") && !found.contains("secret"), "{found:?}");
    docker(&["rmi", "--force", "rondel-test-edits:1"]);
}

/// BuildKit believes sizes and times, and Rondel does not let it.
#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn an_edit_that_keeps_size_and_time() {
    let space = with_dockerfile("time", "FROM scratch\nCOPY f /\n");
    let path = space.root().join("f");
    let mut images = BTreeSet::new();
    space.write("f", "1");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    for contents in ["1", "2", "3", "4"] {
        space.write("f", contents);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        space.ok(&["d"]);
        images.insert(docker(&["image", "inspect", "--format", "{{.RootFS.Layers}}", "rondel-test-time:1"]));
        // Without its memory too.
        if contents == "3" {
            space.remove(".rondel/contexts.1");
        }
    }
    assert_eq!(images.len(), 4, "{images:?}");
    docker(&["rmi", "--force", "rondel-test-time:1"]);
}

/// Each image that the Dockerfile reads is in the key by its ID; one that may change unseen makes the step run always.
#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn images_that_the_dockerfile_reads() {
    let import = |name: &str, text: &str| {
        let script = format!(
            "d=$(mktemp -d) && echo {text} > $d/f && tar -C $d -c f | docker import - rondel-test-{name}:1; rm -r $d"
        );
        assert!(Command::new("sh").args(["-c", &script]).output().unwrap().status.success());
    };
    let names = ["base", "tool", "unused"];
    names.iter().for_each(|name| import(name, "1"));
    let space = with_dockerfile(
        "reads",
        "ARG V\nFROM rondel-test-unused:1 AS other\nFROM ${B:-rondel-test-base}:${V:-1} \\\n  AS last\nCOPY --from=rondel-test-tool:1 /f /g\n",
    );
    space.ok(&["d"]);
    assert!(space.ran(&["d"]).is_empty());
    for name in names {
        import(name, "2");
        let ran = space.ran(&["d"]);
        assert!(ran["d"].contains(&format!("base image rondel-test-{name}:1 changed")), "{ran:?}");
    }
    for (line, words) in [
        ("ADD https://127.0.0.1:1/x /x\n", "reads what no key can hold"),
        ("COPY --from=rondel-test-absent:1 /x /x\n", "`rondel-test-absent:1` is not in Docker"),
        ("RUN --mount=from=rondel-test-absent:2,target=/x /f\n", "`rondel-test-absent:2` is not in Docker"),
    ] {
        space.write("Dockerfile", &format!("FROM rondel-test-base:1\n{line}"));
        let plan = space.ok(&["plan", "d"]);
        assert!(format!("{}{}", plan.stdout, plan.stderr).contains(words), "{words}\n{}{}", plan.stdout, plan.stderr);
    }
    docker(&[
        "rmi",
        "--force",
        "rondel-test-reads:1",
        "rondel-test-base:1",
        "rondel-test-tool:1",
        "rondel-test-unused:1",
    ]);
}

/// What Rondel and Cargo keep in the tree is not sent, unless it is asked for. A directory of the project's own is.
#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn what_is_left_out_of_the_context() {
    let space = with_dockerfile("left", "FROM scratch\nCOPY . /\n");
    space.replace("build.ron", "targets: {", "targets: {\"i\": Image(base: Static, entrypoint: [\"/x\"]), ");
    for path in ["dist/i/oci-layout", "target/debug/x", "target/CACHEDIR.TAG", "web/dist/page", "web/target/x"] {
        space.write(path, "1");
    }
    let run = space.ok(&["d"]);
    assert!(run.stderr.contains("not sent to Docker: target, dist"), "{}", run.stderr);
    let found = paths_in("rondel-test-left:1");
    for path in ["dist/", "target/", ".rondel/"] {
        assert!(!found.contains(path), "{path} in {found:?}");
    }
    assert!(found.contains("web/dist/page") && found.contains("web/target/x"), "{found:?}");
    // The project's own, beside what is Rondel's.
    space.write("dist/page", "1");
    space.remove("target/CACHEDIR.TAG");
    space.ok(&["d"]);
    let found = paths_in("rondel-test-left:1");
    assert!(found.contains("dist/page") && found.contains("target/debug/x") && !found.contains("dist/i/"), "{found:?}");
    space.write("Dockerfile", "FROM scratch\nCOPY dist/i /\n");
    space.ok(&["d"]);
    assert!(paths_in("rondel-test-left:1").contains("oci-layout"));
    docker(&["rmi", "--force", "rondel-test-left:1"]);
}

#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn a_large_context_is_warned_about() {
    let space = with_dockerfile("large", "FROM scratch\nCOPY build.ron /\n");
    space.write("web/modules/small", "1");
    for (path, size) in [("web/modules/large", 40_000_000), ("film", 20_000_000)] {
        fs::File::create(space.root().join(path)).unwrap().set_len(size).unwrap();
    }
    let run = space.ok(&["d"]);
    let words = "the context has 60 MB in 5 files (web/modules 40 MB, film 20 MB)";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    docker(&["rmi", "--force", "rondel-test-large:1"]);
}

/// A context, a Dockerfile or an ignore file that leads out of the workspace is refused.
#[test]
#[cfg_attr(not(has_docker_command), ignore = "no `docker` command")]
fn nothing_outside_of_the_workspace_is_sent() {
    let space = with_dockerfile("out", "FROM scratch\nCOPY . /\n");
    fs::create_dir(space.beside("away")).unwrap();
    fs::write(space.beside("away/file"), "x\n").unwrap();
    symlink("../away", space.root().join("context")).unwrap();
    symlink("../away/file", space.root().join(".dockerignore")).unwrap();
    space.run(&["d"]).fails(2, &[".dockerignore` leads out of the workspace"]);
    space.replace("build.ron", "DockerBuild(", "DockerBuild(context: \"context\", ");
    space.run(&["d"]).fails(2, &["context` leads out of the workspace"]);
}

/// A container that ends is judged by its exit status, whenever it ends.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn a_container_that_ends_is_judged_by_its_exit_status() {
    let mut space = TestSpace::small();
    space.unset("DOCKER_HOST");
    space.write(
        "cmd/small/main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"strconv\"\n\t\"time\"\n)\n\nvar version string\n\nfunc main() {\n\tlast, _ := time.ParseDuration(os.Args[1])\n\tfmt.Println(\"migrated\")\n\ttime.Sleep(last)\n\tcode, _ := strconv.Atoi(os.Args[2])\n\tos.Exit(code)\n}\n",
    );
    space.replace("build.ron", "rondel-test-small:latest", "rondel-test-job:latest");
    for (name, more) in [("job", ""), ("behind", "detach: true")] {
        let target = format!("\"{name}\": DockerRun(image: \"image\", {more}),\n        \"test\"");
        space.replace("build.ron", "\"test\"", &target);
    }
    let containers = || docker(&["ps", "--all", "--quiet", "--filter", "label=rondel.target=job"]);
    for last in ["0s", "700ms", "2500ms"] {
        let run = space.ok(&["job", "--", last, "0"]);
        assert!(run.stderr.contains("migrated") || run.stdout.contains("migrated"), "{}", run.stderr);
        space.run(&["job", "--", last, "3"]).fails(1, &["exit status 3"]);
        assert_eq!(containers(), "", "{last}");
    }
    space.ok(&["behind", "--", "0s", "0"]);
    space.run(&["behind", "--", "0s", "3"]).fails(1, &["exit status 3"]);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", "label=rondel.target=behind"]), "");
    docker(&["rmi", "--force", "rondel-test-job:latest"]);
}
