//! `cache audit`: what is stored is what the steps make, and what is not goes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use expect_test::expect;
use rondel_cas::{Cache, Digest, Entry};
use serde_json::Value;

use crate::space::{Run, TestSpace, copy, normalised, repository};

/// A clock, what is made of it, and a step that always makes the same.
const CLOCK: &str = r#"
    "clock": Exec(command: ["sh", "-c", "date +%N > out/clock"], inputs: ["in"], outputs: ["out/clock"]),
    "after": Exec(command: ["cp", Output("clock"), "out/after"], inputs: ["in"], outputs: ["out/after"]),
    "count": Exec(command: ["sh", "-c", "wc -c < in > out/count"], inputs: ["in"], outputs: ["out/count"]),
    "check": Exec(command: ["grep", "-q", "one", "in"], inputs: ["in"])"#;

fn clock() -> TestSpace {
    let space = TestSpace::with_targets(CLOCK).may_differ();
    space.write("in", "one\n");
    space.ok(&["after", "count", "check"]);
    space
}

/// What became of each step, and the summary of the audit.
fn audit(space: &TestSpace, arguments: &[&str], code: i32) -> (BTreeMap<String, Value>, Value) {
    let run = space.run(&[&["cache", "audit", "--seed", "7", "--events", "json"], arguments].concat());
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    verdicts(&run)
}

fn verdicts(run: &Run) -> (BTreeMap<String, Value>, Value) {
    let events = run.events();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).cloned().collect::<Vec<_>>();
    let audited = of("audited").into_iter().map(|event| (event["step"].as_str().unwrap().to_owned(), event));
    (audited.collect(), of("audit_finished").remove(0))
}

fn outcomes(verdicts: &BTreeMap<String, Value>) -> Vec<String> {
    verdicts.iter().map(|(step, event)| format!("{step}: {}", event["outcome"].as_str().unwrap())).collect()
}

/// All files below a directory with the time of their last change and their size.
fn looks(directory: &Path) -> BTreeMap<PathBuf, (SystemTime, u64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let metadata = entry.metadata().unwrap();
        // What the audit itself keeps.
        if entry.file_name() == ".rondel" {
            continue;
        }
        all.insert(entry.path(), (metadata.modified().unwrap(), metadata.len()));
        if metadata.is_dir() {
            all.extend(looks(&entry.path()));
        }
    }
    all
}

#[test]
fn a_step_that_is_not_reproducible_is_named_removed_and_marked() {
    let space = clock();
    let before = looks(&space.root());
    let (found, summary) = audit(&space, &[], 4);
    // What is made of the clock is made of the stored one: it does not differ with it.
    assert_eq!(outcomes(&found), ["after: same", "check: same", "clock: different", "count: same"]);
    assert_eq!(found["clock"]["place"], serde_json::json!(["out/clock", "line 1"]));
    assert_eq!((&summary["checked"], &summary["differed"], &summary["not_checked"]), (&4.into(), &1.into(), &0.into()));
    assert_eq!(looks(&space.root()), before, "the tree is not touched");
    assert_eq!(fs::read_dir(space.cache().join("verify")).unwrap().count(), 0, "the copy is gone");
    // It is marked, and its result is gone.
    let plan = space.ok(&["plan", "clock", "count"]).stdout;
    let plan = normalised(&plan);
    assert_eq!(plan, "run         clock (last [T]) (not reproducible): its stored result is gone\nup to date  count\n");
    let why = space.ok(&["why", "clock"]).stdout;
    assert!(why.contains("  an audit found it not reproducible: out/clock, line 1: `"), "{why}");
    let why: Value = serde_json::from_str(&space.ok(&["why", "clock", "--format", "json"]).stdout).unwrap();
    assert_eq!(why[0]["not_reproducible"]["place"][0], "out/clock");
    assert_eq!(space.ran(&["clock"]).keys().collect::<Vec<_>>(), ["clock"]);
    let inspected = space.ok(&["inspect", "out/clock"]).stdout;
    assert!(inspected.contains("not reproducible: out/clock, line 1"), "{inspected}");
    // The rate so far.
    let stats = space.ok(&["cache", "stats"]).stdout;
    assert!(stats.contains("\n1 of 4 results differed in an audit\n"), "{stats}");
    audit(&space, &["count"], 0);
    let stats: Value = serde_json::from_str(&space.ok(&["cache", "stats", "--format", "json"]).stdout).unwrap();
    assert_eq!(stats["audited"], serde_json::json!({"audits": 2, "checked": 5, "differed": 1}));
    // Another key with one result takes the mark away, the same key does not.
    space.replace("build.ron", "date +%N > out/clock", "echo now > out/clock");
    space.ok(&["clock"]);
    assert!(space.ok(&["plan", "clock"]).stdout.contains("(not reproducible)"));
    assert_eq!(outcomes(&audit(&space, &["clock"], 0).0), ["clock: same"]);
    assert_eq!(space.ok(&["plan", "clock"]).stdout, "up to date  clock\n");
}

/// The key of the step's last action.
fn key(space: &TestSpace, step: &str) -> Digest {
    let record = fs::read_to_string(space.root().join(".rondel/actions.3").join(step)).unwrap();
    record.lines().next().unwrap().parse().unwrap()
}

/// Puts a result with other bytes under the key of a step: everything of it is as it should be, but its contents.
fn tamper(space: &TestSpace, step: &str, change: impl Fn(&mut Vec<u8>)) -> Digest {
    let (cache, key) = (Cache::disk(&space.cache().join("v2")), key(space, step));
    let mut result = cache.get_action_result(&key).unwrap().unwrap();
    let output = result.outputs.iter_mut().find(|output| output.entry.contents().is_some()).unwrap();
    let Entry::File { digest, .. } = &mut output.entry else { panic!("it is a file") };
    let mut bytes = cache.read_bytes(digest).unwrap();
    change(&mut bytes);
    *digest = cache.put_bytes(&bytes).unwrap();
    cache.update_action_result(&key, &result).unwrap();
    key
}

#[test]
fn a_result_that_was_tampered_with_is_found_and_goes() {
    let space = clock();
    let key = tamper(&space, "count", |bytes| bytes.splice(0..1, *b"9").for_each(drop));
    // Everything believes it.
    space.ok(&["count"]);
    assert_eq!(space.read("out/count"), "9\n");
    let run = space.run(&["cache", "audit", "count", "check", "-j1", "--seed", "1"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    for words in [
        "Auditing 2 of 2 stored results (seed 1)",
        "        Same check: it succeeded again",
        "   Different count: out/count, line 1\n               `9` and `4`\n",
        ": 2 checked, 1 differed\n",
        "hint: what differed was removed, and the next build makes it again; `rondel-under-test why` says",
    ] {
        assert!(run.stderr.contains(words), "{words}\n{}", run.stderr);
    }
    assert_eq!(Cache::disk(&space.cache().join("v2")).get_action_result(&key).unwrap(), None);
    assert_eq!(space.ran(&["count"]).len(), 1);
    assert_eq!(space.read("out/count"), "4\n");
    assert_eq!(outcomes(&audit(&space, &["count"], 0).0), ["count: same"]);
    // Permissions and what is missing count as bytes do.
    let cache = Cache::disk(&space.cache().join("v2"));
    let mut result = cache.get_action_result(&key).unwrap().unwrap();
    let Entry::File { executable, .. } = &mut result.outputs[0].entry else { panic!("it is a file") };
    *executable = true;
    cache.update_action_result(&key, &result).unwrap();
    let (found, _) = audit(&space, &["count"], 4);
    assert_eq!(found["count"]["what"], serde_json::json!(["executable and not executable"]));
}

#[test]
fn a_stored_success_that_fails_and_a_damaged_one() {
    let space = clock();
    // It passes only where a file that it does not declare stands beside the tree.
    space.replace("build.ron", "\"grep\", \"-q\", \"one\", \"in\"", "\"sh\", \"-c\", \"test -e ../here\"");
    fs::write(space.beside("here"), "").unwrap();
    space.ok(&["check"]);
    let (found, _) = audit(&space, &["check"], 4);
    let what = found["check"]["what"][0].as_str().unwrap();
    assert!(what.starts_with("the stored result is one of success, and now it fails: `sh -c"), "{what}");
    assert!(space.ran(&["check"]).contains_key("check"));
    // A blob that is gone, while its output is not in place, is a miss for a build, and nothing to compare with.
    let cache = Cache::disk(&space.cache().join("v2"));
    let result = cache.get_action_result(&key(&space, "count")).unwrap().unwrap();
    let hex = result.outputs[0].entry.contents().unwrap().hex();
    fs::remove_file(space.cache().join("v2/cas").join(&hex[..2]).join(&hex)).unwrap();
    space.remove("out/count");
    let (found, summary) = audit(&space, &["count"], 0);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(summary["checked"], 0);
}

#[test]
fn a_difference_inside_of_an_executable_and_of_an_image_is_named() {
    let space = TestSpace::small();
    space.ok(&["image", "--all-platforms"]);
    let steps = space.audit_all(&["--all-platforms"]);
    for step in ["server (linux/amd64)", "image", "image: layer outputs (linux/amd64)", "image: layer files"] {
        assert!(steps.contains(step), "{step} of {steps:?}");
    }
    // One byte of the text in the program.
    tamper(&space, "server@linux_amd64", |bytes| {
        let place = bytes.windows(9).position(|window| window == b"main.main").unwrap();
        bytes[place] = b'n';
    });
    let (found, summary) = audit(&space, &["server"], 4);
    let place = found["server (linux/amd64)"]["place"].to_string();
    assert!(place.starts_with(r#"["dist/server/linux_amd64/small","section"#), "{place}");
    assert_eq!(summary["differed"], 1);
    space.ok(&["image", "--all-platforms"]);
    space.audit_all(&["--all-platforms"]);
}

/// The sample service, with all its targets that need no daemon.
#[test]
fn the_sample_service_as_a_whole() {
    let space = TestSpace::empty().with_shared_go();
    copy(&repository().join("examples"), &space.root().join("examples"), &|_| true);
    for file in ["build.ron", "build.lock"] {
        fs::copy(repository().join(file), space.root().join(file)).unwrap();
    }
    space.ok(&["image", "check", "--all-platforms"]);
    let steps = space.audit_all(&["--all-platforms"]);
    for step in ["server (linux/amd64)", "server (linux/arm64)", "image", "image: layer base", "vet", "test"] {
        assert!(steps.contains(step), "{step} of {steps:?}");
    }
    assert!(space.ran(&["image", "check", "--all-platforms"]).is_empty(), "the tree is as it was");
}

const SLOW: usize = 8;

fn slow() -> TestSpace {
    let target = |number: usize| {
        let command = format!("sleep 0.4; echo {number} > out/{number}");
        format!(r#""t{number}": Exec(command: ["sh", "-c", "{command}"], inputs: ["in"], outputs: ["out/{number}"])"#)
    };
    let targets: Vec<String> = (0..SLOW).map(target).collect();
    let names: Vec<String> = (0..SLOW).map(|number| format!("\"t{number}\"")).collect();
    let space =
        TestSpace::with_targets(&format!("{}, \"all\": Group(targets: [{}])", targets.join(", "), names.join(", ")));
    space.write("in", "x\n");
    space.ok(&["all", "-j8"]);
    space
}

#[test]
fn a_share_by_a_seed_and_a_limit_of_time() {
    let space = slow();
    let chosen = |arguments: &[&str]| {
        let (found, summary) = audit(&space, arguments, 0);
        assert_eq!(summary["checked"], found.len());
        found.into_keys().collect::<Vec<_>>()
    };
    let few = chosen(&["--rate", "30%", "-j4"]);
    assert_eq!(few.len(), 3, "rounded up: {few:?}");
    assert_eq!(chosen(&["--rate", "30%", "-j1"]), few, "the seed decides");
    assert_eq!(chosen(&["--rate", "0.1%"]).len(), 1, "at least one");
    let others: Vec<Vec<String>> = (0..4)
        .map(|seed: u32| {
            let run = space.ok(&["cache", "audit", "--rate", "30%", "--events", "json", "--seed", &seed.to_string()]);
            verdicts(&run).0.into_keys().collect()
        })
        .collect();
    assert!(others.iter().any(|other| *other != few), "{others:?}");
    // A running step may finish, and no other begins.
    let begun = Instant::now();
    let (found, summary) = audit(&space, &["--time", "1s", "-j1"], 0);
    let (reached, left) = (found.len() as u64, summary["not_reached"].as_u64().unwrap());
    assert!((1..SLOW as u64).contains(&reached) && reached + left == SLOW as u64, "{summary}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for (option, value) in [("--rate", "0%"), ("--rate", "2"), ("--time", "soon"), ("--seed", "x")] {
        space.run(&["cache", "audit", option, value]).fails(2, &[option, "not `"]);
    }
}

#[test]
fn what_former_audits_found_is_left_out() {
    let space = slow();
    let (found, _) = audit(&space, &[], 0);
    let keys: String = found.values().map(|event| format!("{}\n", event["key"].as_str().unwrap())).collect();
    let file = space.beside("keys");
    fs::write(&file, keys).unwrap();
    let file = file.display().to_string();
    let (again, summary) = audit(&space, &["--except", &file], 0);
    assert!(again.is_empty() && summary["checked"] == 0, "{again:?}");
    // Another command, another key.
    space.replace("build.ron", "echo 3 > out/3", "echo three > out/3");
    space.ok(&["all", "-j8"]);
    assert_eq!(outcomes(&audit(&space, &["--except", &file], 0).0), ["t3: same"]);
    fs::write(space.beside("keys"), "t3\n").unwrap();
    space.run(&["cache", "audit", "--except", &file]).fails(2, &["--except", "has no key in line 1", "sha256:"]);
    space.run(&["cache", "audit", "--except", "nothing"]).fails(2, &["--except: `nothing` can't be read"]);
}

#[test]
fn ctrl_c_reports_what_was_checked_so_far() {
    let space = slow();
    let mut child = space.command(&["cache", "audit", "--events", "json", "-j1"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut text = String::new();
    for line in lines.by_ref() {
        text.push_str(&format!("{line}\n"));
        if line.contains("\"audited\"") {
            break;
        }
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.for_each(|line| text.push_str(&format!("{line}\n")));
    let code = child.wait().unwrap().code();
    let run = Run { code: code.unwrap_or(-1), stdout: text, stderr: String::new() };
    let (found, summary) = verdicts(&run);
    assert_eq!(run.code, 130, "{}", run.stdout);
    assert_eq!(summary["checked"], found.len());
    assert!(summary["not_reached"].as_u64().unwrap() > 0, "{summary}");
    let stats = space.ok(&["cache", "stats"]).stdout;
    assert!(stats.contains(&format!("0 of {} results differed in an audit", found.len())), "{stats}");
    assert!(space.ran(&["all"]).is_empty(), "nothing is lost");
    space.audit_all(&[]);
    assert_eq!(fs::read_dir(space.cache().join("verify")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn beside_running_builds_nothing_breaks() {
    let space = slow();
    let audits: Vec<_> = (0..2).map(|_| space.start(&["cache", "audit", "--events", "json"])).collect();
    for _ in 0..2 {
        space.ok(&["all", "--force", "-j8"]);
    }
    space.ok(&["cache", "gc", "--max", "0"]);
    for audit in audits {
        let run = Run::of(audit.wait_with_output().unwrap());
        let (found, summary) = verdicts(&run);
        assert_eq!((run.code, &summary["differed"]), (0, &0.into()), "{found:?}");
    }
    for number in 0..SLOW {
        assert_eq!(space.read(&format!("out/{number}")), format!("{number}\n"));
    }
}

/// A test that counts its runs by system calls, which nobody sees.
const FLAKY: &str = "package x\n\nimport (\n\t\"syscall\"\n\t\"testing\"\n)\n\nfunc TestX(t *testing.T) {\n\tfile, err := syscall.Open(\"COUNTER\", syscall.O_CREAT|syscall.O_RDWR|syscall.O_APPEND, 0o644)\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n\tbytes := make([]byte, 9)\n\tcount, _ := syscall.Read(file, bytes)\n\tsyscall.Write(file, []byte(\"x\"))\n\tif count == 1 {\n\t\tt.Fatal(\"the second time\")\n\t}\n}\n";

#[test]
fn a_test_that_fails_at_times_is_forgotten() {
    let space = TestSpace::with_targets(r#""test": GoTest(packages: ["./..."])"#).with_shared_go();
    space.replace("build.ron", "System", "Version(\"1.22.12\")");
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("x.go", "package x\n");
    let counter = space.beside("counter");
    space.write("x_test.go", &FLAKY.replace("COUNTER", &counter.display().to_string()));
    space.ok(&["test"]);
    assert!(space.ran(&["test"]).is_empty());
    let (found, _) = audit(&space, &[], 4);
    assert_eq!(outcomes(&found), ["test: different"]);
    assert!(found["test"]["what"][0].as_str().unwrap().contains("now it fails"), "{found:?}");
    let plan = normalised(&space.ok(&["plan", "test"]).stdout);
    assert!(plan.contains("run         test (last [T]) (not reproducible)"), "{plan}");
    assert_eq!(space.ran(&["test"]).len(), 1, "its passes are forgotten");
    assert!(space.ran(&["test"]).is_empty());
    space.audit_all(&[]);
    // What holds for this directory only says nothing about another one.
    let text = "package x\n\nimport (\n\t\"os\"\n\t\"strings\"\n\t\"testing\"\n)\n\nfunc TestX(t *testing.T) {\n\tif place, _ := os.Getwd(); strings.Contains(place, \"another-directory\") {\n\t\tt.Fatal(place)\n\t}\n}\n";
    space.write("x_test.go", text);
    space.ok(&["test"]);
    let (found, summary) = audit(&space, &[], 0);
    assert_eq!(
        (outcomes(&found).as_slice(), &summary["not_checked"]),
        (&["test: not_checked".to_owned()][..], &1.into())
    );
    assert!(space.ran(&["test"]).is_empty());
}

#[test]
fn what_is_never_cached_is_not_audited() {
    let space = TestSpace::with_targets(
        r#""open": Exec(command: ["date", "+%N"]), "wants": Exec(params: {"name": Param(doc: "Whom")}, command: ["echo", "{name}"]),
           "clean": Clean(targets: ["made"]), "made": Exec(command: ["cp", "in", "made"], inputs: ["in"], outputs: ["made"])"#,
    );
    space.write("in", "x\n");
    space.ok(&["open", "made"]);
    let run = space.ok(&["cache", "audit", "--seed", "1"]);
    run.check(expect![[r#"
        --- stderr
            Auditing 1 of 1 stored results (seed 1)
                Same made: [DIGEST]
             Audited in [T]: 1 checked, 0 differed
    "#]]);
    assert!(space.exists("made"));
    space.write("in", "y\n");
    let run = space.ok(&["cache", "audit", "made", "--seed", "1"]);
    assert!(run.stderr.contains("Auditing 0 of 0 stored results"), "nothing is stored for this tree: {}", run.stderr);
}
