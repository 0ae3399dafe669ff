//! An audit of what the whole suite stores. With `RONDEL_TEST_AUDIT=FILE`, `cache audit` runs in each test's workspace when the
//! workspace goes, and FILE gets lines that `.ci/audited` counts. Many tests make the same results, so each is audited once.
//!
//! Once audits have taken their share of the suite's time, seven of eight trees go without one: which, the number in
//! `RONDEL_TEST_AUDIT_SEED` decides, so that a few runs with other numbers have all trees.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rondel_cas::Digest;
use serde_json::Value;

use crate::space::TestSpace;

/// Options that decide which results a run has, and whether they take a value.
const OPTIONS: &[(&str, bool)] = &[
    ("--all-platforms", false),
    ("--file", true),
    ("--nightly", false),
    ("--platform", true),
    ("--set", true),
    ("--snapshot", false),
];

/// An audit begins no step after this time. None of the suite's takes longer on a machine that does nothing else.
const TIME: &str = "60s";

/// Audits of seven in eight trees take place only while all audits have taken less than this, and one in `SHARE` of the time of
/// all tests. The end-to-end tests take half an hour in CI, on two cores.
const AT_FIRST: Duration = Duration::from_secs(30);
const SHARE: u32 = 60;

/// Keys of the results that were made again, and were the same.
static SAME: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The time that all audits have taken.
static SPENT: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// Returns true if the tree of a test is audited, after so much time of tests and of audits: there is time, or it is its turn.
fn is_due(test: &str, seed: &str, tests: Duration, audits: Duration) -> bool {
    let rank = Digest::of(format!("{seed} {test}").as_bytes()).hex();
    audits < AT_FIRST + tests / SHARE || rank.as_str() < "2"
}

/// Returns the time that tests have had since the first call, several at once.
fn time_of_tests() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let threads = std::thread::available_parallelism().map_or(1, |number| number.get() as u32);
    BEGUN.get_or_init(Instant::now).elapsed() * threads
}

/// Returns those of `arguments` with which an audit looks at the results of the same run.
pub fn options_of(arguments: &[&str]) -> Vec<String> {
    let mut options = Vec::new();
    let mut rest = arguments.iter().map(|word| (*word).to_owned());
    while let Some(word) = rest.next() {
        let Some((_, has_value)) = OPTIONS.iter().find(|(name, _)| *name == word) else { continue };
        options.push(word);
        if *has_value {
            options.extend(rest.next());
        }
    }
    options
}

/// Audits what a test has left in its workspace, with each of these options, which its runs had. Nothing may differ, unless the
/// test says so.
pub fn audit(space: &TestSpace, options: &BTreeSet<Vec<String>>, may_differ: bool, log: &Path) {
    if !space.root().join(".rondel").is_dir() {
        return;
    }
    let begun = Instant::now();
    let mut lines = Lines::default();
    let stored = stored_keys(space);
    stored.iter().for_each(|key| lines.add("stored", &[key]));
    let (seed, spent) = (std::env::var("RONDEL_TEST_AUDIT_SEED").unwrap_or_default(), *SPENT.lock().unwrap());
    if !is_due(&current_test(), &seed, time_of_tests(), spent) {
        stored.iter().for_each(|key| lines.add("no time", &[key]));
        return lines.append_to(log);
    }
    let audits = options.iter().map(|options| audit_with(space, options, may_differ, &mut lines));
    let wrong: Vec<String> = audits.flatten().collect();
    *SPENT.lock().unwrap() += begun.elapsed();
    lines.add("took", &[&format!("{} ms", begun.elapsed().as_millis())]);
    lines.append_to(log);
    assert!(wrong.is_empty(), "an audit of what the test has left:\n{}", wrong.join("\n"));
}

/// One audit. Returns what is wrong.
fn audit_with(space: &TestSpace, options: &[String], may_differ: bool, lines: &mut Lines) -> Vec<String> {
    let before = space.beside("audited-before");
    let keys: String = SAME.lock().unwrap().iter().map(|key| format!("{key}\n")).collect();
    fs::write(&before, keys).unwrap();
    let before = before.display().to_string();
    let mut arguments = vec!["cache", "audit", "--seed", "1", "--time", TIME, "--except", &before, "--events", "json"];
    arguments.extend(options.iter().map(String::as_str));
    let run = space.run(&arguments);
    let events: Vec<Value> = run.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut wrong = Vec::new();
    for event in events.iter().filter(|event| event["event"] == "audited") {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (key, step) = (text("key"), text("step"));
        let what = format!("{} {} {}", text("text"), event["place"], event["what"]);
        let outcome = match event["outcome"].as_str() {
            Some("same") => "same",
            Some("different") if may_differ => "differs on purpose",
            Some("different") => "differs",
            _ => "not checked",
        };
        match outcome {
            "same" => {
                SAME.lock().unwrap().insert(key.clone());
            }
            "differs" => wrong.push(format!("{step}: {what}")),
            _ => {}
        }
        lines.add(outcome, &[&key, &step, &what]);
    }
    match events.iter().find(|event| event["event"] == "audit_finished") {
        Some(end) => {
            lines.add("audited", &[&options.join(" ")]);
            if end["not_reached"] != 0 {
                lines.add("not reached", &[&end["not_reached"].to_string()]);
            }
        }
        // What Rondel says of a tree that the test has left with an error in its build.ron, or a cache that can't be used.
        None if matches!(run.code, 2 | 3) => lines.add("not audited", &[&options.join(" "), &run.stderr]),
        None => {
            let what = format!("it ended with exit code {}\n{}", run.code, run.stderr);
            lines.add("failed", &[&options.join(" "), &what]);
            wrong.push(what);
        }
    }
    wrong
}

/// Returns the keys of all results in the cache of a workspace, whatever tree they are of.
fn stored_keys(space: &TestSpace) -> BTreeSet<String> {
    let Some(cache) = space.known_variable("RONDEL_CACHE_DIR") else { return BTreeSet::new() };
    let results = Path::new(cache).join("v2/ac");
    let below = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = below(&results).flat_map(|directory| below(&directory).collect::<Vec<_>>());
    let names = files.filter_map(|file| Some(format!("sha256:{}", file.file_name()?.to_str()?)));
    names.collect()
}

/// Returns the name of the test that this thread runs.
pub fn current_test() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// Lines of the log: a word, the name of the test, and what there is to say, with tabs in between.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, kind: &str, fields: &[&str]) {
        let test = current_test();
        let fields: String = fields.iter().map(|field| format!("\t{}", field.escape_debug())).collect();
        self.0.push_str(&format!("{kind}\t{test}{fields}\n"));
    }

    /// Appends all of them at once, since tests end at the same time.
    fn append_to(&self, log: &Path) {
        let mut file = fs::File::options().append(true).create(true).open(log).unwrap();
        file.write_all(self.0.as_bytes()).unwrap();
    }
}

#[test]
fn an_audit_has_the_options_of_a_run() {
    let options = |line: &str| options_of(&line.split(' ').collect::<Vec<_>>()).join(" ");
    assert_eq!(options("image --all-platforms -j4 --set version=v2 --events json"), "--all-platforms --set version=v2");
    assert_eq!(options("plan server --platform linux/arm64 --snapshot"), "--platform linux/arm64 --snapshot");
    assert_eq!(options("cache stats"), "");
}

#[test]
fn audits_take_a_share_of_the_time() {
    let audited = |seed: &str, audits: u64| {
        let names = (0..1000).map(|number| format!("test {number}"));
        let hour = Duration::from_secs(3600);
        names.filter(|name| is_due(name, seed, hour, Duration::from_secs(audits))).collect::<BTreeSet<_>>()
    };
    assert_eq!(audited("1", 89).len(), 1000);
    let (first, second) = (audited("1", 90), audited("2", 90));
    assert!((90..160).contains(&first.len()) && first == audited("1", 3600), "{}", first.len());
    assert!((180..290).contains(&first.union(&second).count()), "another number takes others");
}
