//! A world: a tree, a graph of steps, a cache, and a model that always rebuilds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rondel_cas::{Digest, Entry, RelativePath, STORE_FORMAT};
use rondel_engine::{
    BuildOptions, Event, Graph, Node, Outcome, OutputKind, Planned, Reason, Step, StepKey, Workspace, build, plan,
};
use rondel_process::{Cancellation, Redactor};

use crate::chance::Chance;
use crate::changes::Change;
use crate::clock::SettableClock;
use crate::steps::{Config, Meanwhile, Members, ModelStep, standing};
use crate::tree::{self, PATTERNS, Value};

pub struct World {
    pub chance: Chance,
    directory: PathBuf,
    pub steps: Vec<Config>,
    /// Results known to be stored, by members.
    stored: HashMap<Members, BTreeMap<String, Value>>,
    /// Members in the record of each step.
    last: HashMap<usize, Members>,
    /// Keys whose last result was not stored.
    not_kept: HashSet<Members>,
    /// Flipped and deleted blobs.
    flipped: BTreeSet<Vec<u8>>,
    deleted: BTreeSet<Vec<u8>>,
    /// True after changes during a run, when further results may be stored.
    pub is_uncertain: bool,
    /// True if changes happen during later builds too.
    pub is_stormy: bool,
    /// Clock of the world's file system, if it can be set.
    clock: Option<SettableClock>,
    /// True if the clock was put back since the last build.
    went_back: bool,
    pub history: Vec<String>,
    pub counts: BTreeMap<&'static str, u64>,
}

/// The model's expectation of one step.
struct Expected {
    members: Members,
    outputs: BTreeMap<String, Value>,
    outcome: Outcome,
}

struct Shared(std::sync::Arc<ModelStep>);

impl Step for Shared {
    type Findings = ();

    fn prepare(&self, query: &rondel_engine::Query<'_>) -> Result<rondel_engine::Prepared, rondel_engine::StepError> {
        self.0.prepare(query)
    }

    fn run(
        &self,
        prepared: &rondel_engine::Prepared,
        job: &rondel_engine::Job<'_>,
    ) -> Result<rondel_engine::Report, rondel_engine::StepError> {
        self.0.run(prepared, job)
    }
}

impl World {
    /// Makes a world on the file system of `clock`, or on one of the machine.
    pub fn new(seed: u64, clock: Option<SettableClock>) -> World {
        let mut chance = Chance::new(seed);
        let base = if let Some(clock) = &clock {
            clock.place()
        } else if Path::new("/dev/shm").is_dir() && chance.once_in(2) {
            PathBuf::from("/dev/shm")
        } else {
            std::env::temp_dir()
        };
        let directory = base.join(format!("rondel-model-{}-{seed}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("work/src")).unwrap();
        fs::create_dir_all(directory.join("work/dist")).unwrap();
        let count = 1 + chance.below(4);
        let steps = (0..count).map(|index| draw_step(&mut chance, index)).collect();
        World {
            chance,
            directory,
            steps,
            stored: HashMap::new(),
            last: HashMap::new(),
            not_kept: HashSet::new(),
            flipped: BTreeSet::new(),
            deleted: BTreeSet::new(),
            is_uncertain: false,
            // Changes within one tick of a clock that stands still are invisible.
            is_stormy: seed.is_multiple_of(3) && clock.is_none(),
            clock,
            went_back: false,
            history: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    pub fn root(&self) -> PathBuf {
        self.directory.join("work")
    }

    fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn note(&mut self, text: String) {
        self.history.push(text);
    }

    /// One change between two builds: of the tree, of the steps, of outputs, of the cache.
    pub fn change(&mut self) {
        if self.clock.is_some() && self.chance.once_in(3) {
            return self.move_clock();
        }
        let index = self.chance.below(self.steps.len());
        match self.chance.below(24) {
            0..=14 => {
                let change = Change::draw(&mut self.chance);
                self.note(format!("{change:?}"));
                change.apply(&self.root());
                self.count("changes of the tree");
            }
            15 => self.change_step(index),
            16 => self.change_what_must_not_matter(index),
            17 | 18 => self.spoil_output(index),
            // Blobs are damaged only in worlds without changes during builds, since such a build may repair any of
            // them.
            19 if !self.is_stormy => self.spoil_blob(),
            20 => {
                let what = *self.chance.of(&["snapshot.3", "actions.3", "durations", ""]);
                self.note(format!("removed .rondel/{what}"));
                let path = self.root().join(".rondel").join(what);
                let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                if what != "snapshot.3" && what != "durations" {
                    self.last.clear();
                    self.not_kept.clear();
                }
                self.count("losses of state");
            }
            21 if self.chance.once_in(4) => {
                self.note("removed all results".to_owned());
                let _ = fs::remove_dir_all(self.cache().join(STORE_FORMAT).join("ac"));
                self.stored.clear();
                self.count("losses of state");
            }
            _ => {
                let path = self.root().join(".rondel/snapshot.3");
                if let Ok(mut bytes) = fs::read(&path)
                    && !bytes.is_empty()
                {
                    let place = self.chance.below(bytes.len());
                    if self.chance.once_in(2) {
                        bytes[place] ^= 1 << self.chance.below(8)
                    } else {
                        bytes.truncate(place)
                    }
                    fs::write(path, bytes).unwrap();
                    self.note(format!("damaged the snapshot at {place}"));
                    self.count("damages of the snapshot");
                }
            }
        }
    }

    fn move_clock(&mut self) {
        if self.chance.once_in(3) {
            return self.edit_at_the_same_time();
        }
        let seconds = *self.chance.of(&[1, 1, 2, 2, 5, 3600, -1, -2, -3, -5, -3600]);
        // A clock that is put back and forth again between two builds is undetectable (see ARCHITECTURE.md).
        if let Some(clock) = self.clock.as_mut().filter(|_| seconds < 0 || !self.went_back) {
            clock.advance(seconds);
            self.went_back |= seconds < 0;
            self.note(format!("the clock was moved by {seconds} s"));
            self.count(if seconds < 0 { "clocks put back" } else { "clocks put forward" });
        }
    }

    /// Puts the clock back to a file's last change, and changes the file again: its fingerprint stays the same.
    fn edit_at_the_same_time(&mut self) {
        let candidates: Vec<Change> = (0..30).map(|_| Change::draw(&mut self.chance)).collect();
        let root = self.root();
        let same_size = candidates.into_iter().find_map(|change| {
            let Change::Write { path, contents } = &change else { return None };
            let metadata = fs::symlink_metadata(root.join(path)).ok()?;
            let fits = metadata.is_file() && metadata.len() == contents.len() as u64;
            fits.then(|| (metadata.ctime(), change))
        });
        let Some((changed_s, change)) = same_size else { return };
        let clock = self.clock.as_mut().expect("a world with a clock");
        if changed_s < clock.now_s() {
            clock.advance(changed_s - clock.now_s());
            self.went_back = true;
            self.note(format!("the clock was put back for {change:?}"));
            change.apply(&root);
            self.count("edits at the time of an earlier one");
        }
    }

    /// Gives the clock to the next world.
    pub fn take_clock(&mut self) -> Option<SettableClock> {
        self.clock.take()
    }

    fn change_step(&mut self, index: usize) {
        let value = (*self.chance.of(&["1", "2", "3"])).to_owned();
        let which = self.chance.below(5);
        let step = &mut self.steps[index];
        match which {
            0 => step.argument = format!("{index}: {value}"),
            1 => step.variable = Some(value).filter(|value| value != "3"),
            2 => step.setting = value,
            3 => step.tool = value,
            _ => step.patterns = (step.patterns + 1) % PATTERNS.len(),
        }
        self.note(format!("step {index} is {:?}", self.steps[index]));
        self.count("changes of members of a key");
    }

    fn change_what_must_not_matter(&mut self, index: usize) {
        let value = (*self.chance.of(&["one", "two", "three"])).to_owned();
        let which = self.chance.below(4);
        let step = &mut self.steps[index];
        match which {
            0 => step.located = value,
            1 => step.passed = Some(value).filter(|value| value != "three"),
            2 => step.secret = value,
            _ => step.destination = format!("dist/{value}/{index}"),
        }
        self.note(format!("step {index} is {:?}", self.steps[index]));
        self.count("changes of what is in no key");
    }

    fn spoil_output(&mut self, index: usize) {
        let path = self.root().join(&self.steps[index].destination);
        let all: Vec<PathBuf> =
            standing(&path).keys().map(|name| if name.is_empty() { path.clone() } else { path.join(name) }).collect();
        if all.is_empty() {
            return;
        }
        let one = self.chance.of(&all).clone();
        let remove =
            |one: &Path| if one.is_symlink() || one.is_file() { fs::remove_file(one) } else { fs::remove_dir(one) };
        match self.chance.below(4) {
            0 => drop(remove(&one)),
            // An empty directory that is not empty any more.
            1 if fs::symlink_metadata(&one).is_ok_and(|metadata| metadata.is_dir()) => {
                fs::write(one.join("stray"), "stray").unwrap();
            }
            1 => drop(if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }),
            2 if path.is_dir() => fs::write(path.join("stray"), "stray").unwrap(),
            _ => {
                let _ = remove(&one);
                fs::write(&one, "spoilt").unwrap();
            }
        }
        self.note(format!("spoilt the output {}", one.display()));
        self.count("spoilt outputs");
    }

    fn spoil_blob(&mut self) {
        let mut blobs = Vec::new();
        for fan in fs::read_dir(self.cache().join(STORE_FORMAT).join("cas")).into_iter().flatten().flatten() {
            blobs.extend(fs::read_dir(fan.path()).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        blobs.sort();
        if blobs.is_empty() {
            return;
        }
        let path = self.chance.of(&blobs).clone();
        let hex = path.file_name().unwrap().to_str().unwrap();
        let mut known = self.stored.values().flat_map(blobs_of);
        let real = known.find(|known| Digest::of(known).hex() == hex);
        fs::remove_file(&path).unwrap();
        match real {
            Some(real) if !real.is_empty() && !self.flipped.contains(&real) && self.chance.once_in(2) => {
                let mut bad = real.clone();
                bad[0] ^= 1;
                fs::write(&path, bad).unwrap();
                self.flipped.insert(real);
            }
            real => {
                self.flipped.retain(|flipped| Digest::of(flipped).hex() != hex);
                self.deleted.extend(real);
            }
        }
        self.note(format!("spoilt a blob: flipped {}, deleted {}", self.flipped.len(), self.deleted.len()));
        self.count("spoilt blobs");
    }

    /// Returns the model's expectations, in the order of the steps.
    fn expect(&self) -> Vec<Expected> {
        let mut all: Vec<Expected> = Vec::new();
        let mut stored = self.stored.clone();
        let (mut flipped, mut deleted) = (self.flipped.clone(), self.deleted.clone());
        for config in &self.steps {
            let inputs = tree::inputs(&self.root(), PATTERNS[config.patterns]);
            let mut upstream = BTreeMap::new();
            for (position, &other) in config.upstream.iter().enumerate() {
                let outputs = all[other].outputs.iter();
                upstream.extend(outputs.map(|(path, value)| (self.steps[other].slot(position, path), value.clone())));
            }
            let members = config.members(&inputs, &upstream);
            let outputs = config.outputs(&members);
            let is_spoilt = |contents: &Vec<u8>| deleted.contains(contents) || flipped.contains(contents);
            // Without its tree the contents of an output directory are unknown.
            let outcome = if !stored.contains_key(&members) || tree_of(&outputs).as_ref().is_some_and(is_spoilt) {
                Outcome::Ran
            } else if standing(&self.root().join(&config.destination)) == outputs {
                Outcome::Cached
            } else if outputs.values().filter_map(contents_of).any(is_spoilt) {
                Outcome::Ran
            } else {
                Outcome::Restored
            };
            if outcome == Outcome::Ran {
                stored.insert(members.clone(), outputs.clone());
                for contents in blobs_of(&outputs) {
                    flipped.remove(&contents);
                    deleted.remove(&contents);
                }
            }
            all.push(Expected { members, outputs, outcome });
        }
        all
    }

    fn graph(&self, meanwhile: Option<(usize, Meanwhile)>) -> (Graph, Vec<usize>) {
        let mut graph = Graph::new();
        let mut ids = Vec::new();
        for (index, config) in self.steps.iter().enumerate() {
            let own = meanwhile.as_ref().filter(|(other, _)| *other == index).map(|(_, meanwhile)| meanwhile.clone());
            let name = format!("step {index}");
            let step = Box::new(Shared(crate::steps::step(config, own)));
            let inputs = config.upstream.iter().map(|&other| ids[other]).collect();
            ids.push(graph.add(Node { inputs, ..Node::new(StepKey::shared(name), "Model", step) }));
        }
        (graph, ids)
    }

    /// Builds; returns each step's outcome and reasons.
    fn run(&self, meanwhile: Option<(usize, Meanwhile)>, jobs: usize) -> (Vec<(Outcome, Vec<Reason>)>, Vec<String>) {
        let (graph, ids) = self.graph(meanwhile);
        let workspace = Workspace::open(&self.root(), &self.cache());
        workspace.prepare().unwrap();
        let (ends, warnings) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
        let emit = |event: Event| match event {
            Event::Finished { node, outcome, reasons, .. } => {
                drop(ends.lock().unwrap().insert(node, (outcome, reasons)))
            }
            Event::Warning { text } => warnings.lock().unwrap().push(text),
            _ => {}
        };
        let options = BuildOptions { jobs, keep_going: false, force: false };
        let (cancellation, redactor) = (Cancellation::new(), Redactor::default());
        let summary = build(&graph, &ids, &workspace, options, &cancellation, &redactor, &emit);
        let failures: Vec<String> = summary.failures.iter().map(|(node, error)| format!("{node}: {error}")).collect();
        let ends = ends.into_inner().unwrap();
        let of = |id: &usize| ends.get(id).cloned().unwrap_or((Outcome::Failed, Vec::new()));
        (ids.iter().map(of).collect(), [warnings.into_inner().unwrap(), failures].concat())
    }

    /// Plans, builds, and compares both with the model.
    pub fn check(&mut self) {
        let expected = self.expect();
        // A question can't read the file system's clock, since that needs a new file.
        if !self.went_back {
            self.check_plan(&expected);
        }
        let jobs = 1 + self.chance.below(3);
        let (ends, warnings) = self.run(None, jobs);
        self.went_back = false;
        for (index, (expected, (outcome, reasons))) in expected.into_iter().zip(ends).enumerate() {
            let told = format!("step {index}: {outcome:?} because of {reasons:?}; warnings {warnings:?}");
            let found = standing(&self.root().join(&self.steps[index].destination));
            assert!(
                found == expected.outputs,
                "WRONG OUTPUT, {told}\nfound {}\nwanted {}",
                text_of(&found),
                text_of(&expected.outputs)
            );
            let is_hit = matches!(outcome, Outcome::Cached | Outcome::Restored);
            let unforeseen_hit = self.is_uncertain && expected.outcome == Outcome::Ran && is_hit;
            assert!(outcome == expected.outcome || unforeseen_hit, "expected {:?}, {told}", expected.outcome);
            if outcome == Outcome::Ran {
                self.check_reasons(index, &expected, &reasons, &told);
            } else {
                assert!(reasons.is_empty(), "{told}");
            }
            self.count(match outcome {
                Outcome::Ran => "steps that ran",
                Outcome::Restored => "steps restored",
                _ => "steps up to date",
            });
            if outcome == Outcome::Ran {
                for contents in blobs_of(&expected.outputs) {
                    self.flipped.remove(&contents);
                    self.deleted.remove(&contents);
                }
            }
            self.not_kept.remove(&expected.members);
            self.last.insert(index, expected.members.clone());
            self.stored.insert(expected.members, expected.outputs);
        }
    }

    /// Checks that each reason is true, and that none is missing.
    fn check_reasons(&self, index: usize, expected: &Expected, reasons: &[Reason], told: &str) {
        let spoilt = |set: &BTreeSet<Vec<u8>>| blobs_of(&expected.outputs).iter().any(|it| set.contains(it));
        // A question finds a damaged tree too, and removes it.
        let tree_was_flipped = tree_of(&expected.outputs).is_some_and(|tree| self.flipped.contains(&tree));
        if self.stored.contains_key(&expected.members) {
            let is_true = match reasons {
                [Reason::OutputMissing { .. }] => spoilt(&self.deleted) || tree_was_flipped,
                [Reason::Corrupt { .. }] => spoilt(&self.flipped),
                _ => false,
            };
            assert!(is_true, "not the reason, {told}");
            return;
        }
        if self.is_uncertain {
            return;
        }
        let Some(last) = self.last.get(&index) else {
            assert_eq!(reasons, [Reason::NoPrevious], "{told}");
            return;
        };
        if *last == expected.members {
            assert_eq!(reasons, [Reason::ResultGone], "{told}");
            return;
        }
        let names = |wanted: &'static str| {
            let changed =
                move |key: &&(&'static str, String)| key.0 == wanted && last.get(*key) != expected.members.get(*key);
            last.keys().chain(expected.members.keys()).collect::<BTreeSet<_>>().into_iter().filter(changed)
        };
        let mut wanted = Vec::new();
        for key in names("input") {
            let path = key.1.clone();
            wanted.push(match (last.get(key).cloned(), expected.members.get(key).cloned()) {
                (Some(old), Some(new)) => Reason::InputChanged { path, old, new },
                (None, new) => Reason::InputAdded { path, new: new.unwrap_or_default() },
                (old, None) => Reason::InputRemoved { path, old: old.unwrap_or_default() },
            });
        }
        wanted.extend(names("upstream").map(|key| {
            let (old, new) = (last.get(key).cloned(), expected.members.get(key).cloned());
            Reason::UpstreamChanged { path: key.1.clone(), old, new }
        }));
        let kinds: BTreeSet<&str> = ["environment", "tool", "setting", "argument"]
            .into_iter()
            .filter(|kind| names(kind).next().is_some())
            .collect();
        let (files, rest): (Vec<Reason>, Vec<Reason>) = reasons.iter().cloned().partition(|reason| {
            matches!(
                reason,
                Reason::InputChanged { .. }
                    | Reason::InputAdded { .. }
                    | Reason::InputRemoved { .. }
                    | Reason::UpstreamChanged { .. }
            )
        });
        assert_eq!(files, wanted, "not the files, {told}");
        let rest: BTreeSet<&str> = rest
            .iter()
            .map(|reason| match reason {
                Reason::EnvironmentChanged { .. } => "environment",
                Reason::ToolChanged { .. } => "tool",
                Reason::SettingChanged { .. } => "setting",
                Reason::ArgumentChanged { .. } => "argument",
                other => panic!("{other:?} is not true, {told}"),
            })
            .collect();
        assert_eq!(rest, kinds, "{told}");
    }

    /// Checks that `plan` agrees with the model as far as it can know.
    fn check_plan(&mut self, expected: &[Expected]) {
        let (graph, ids) = self.graph(None);
        let workspace = Workspace::open(&self.root(), &self.cache());
        let planned = plan(&graph, &ids, &workspace, &|_| {});
        for (index, id) in ids.iter().enumerate() {
            let outcome = expected[index].outcome;
            let agrees = match &planned[id] {
                Planned::UpToDate => outcome == Outcome::Cached,
                Planned::Restore => outcome == Outcome::Restored || !self.flipped.is_empty(),
                Planned::Run(_) => outcome == Outcome::Ran,
                Planned::Depends(on) => {
                    on.iter().any(|other| matches!(planned[other], Planned::Run(_) | Planned::Depends(_)))
                }
                _ => false,
            };
            let excused = self.is_uncertain && outcome == Outcome::Ran;
            assert!(agrees || excused, "plan says {:?} of step {index}, the model {outcome:?}", planned[id]);
        }
    }

    /// Builds while a file changes. Asserts only that it does not fail badly; wrongly cached results show in later
    /// builds.
    pub fn run_with_changes(&mut self) {
        self.is_uncertain = true;
        let index = self.chance.below(self.steps.len());
        let change = Change::draw(&mut self.chance);
        let and_back = if self.chance.once_in(2) { change.and_back(&self.root()) } else { None };
        let meanwhile = Meanwhile { change, and_back, before_reading: !self.chance.once_in(3) };
        self.note(format!("while step {index} ran: {meanwhile:?}"));
        self.count("builds with a change during a step");
        let jobs = 1 + self.chance.below(3);
        self.run(Some((index, meanwhile)), jobs);
        self.forget_records();
    }

    /// Builds while files change without end, also while they are hashed.
    pub fn run_in_a_storm(&mut self) {
        self.is_uncertain = true;
        let changes: Vec<Change> = (0..40).map(|_| Change::draw(&mut self.chance)).collect();
        self.note(format!("a storm of {changes:?}"));
        self.count("builds in a storm");
        let root = self.root();
        std::thread::scope(|scope| {
            scope.spawn(|| changes.iter().for_each(|change| change.apply(&root)));
            self.run(None, 2);
        });
        self.forget_records();
    }

    fn forget_records(&mut self) {
        // Results stored meanwhile stay: a wrong one shows in a later build.
        self.last.clear();
    }
}

fn text_of(outputs: &BTreeMap<String, Value>) -> String {
    let text = |value: &Value| contents_of(value).map(|contents| String::from_utf8_lossy(contents).into_owned());
    outputs.iter().map(|(path, value)| format!("`{path}`: {}\n", text(value).unwrap_or_default())).collect()
}

fn contents_of(value: &Value) -> Option<&Vec<u8>> {
    match value {
        Value::File { contents, .. } => Some(contents),
        Value::Link { .. } | Value::Directory => None,
    }
}

/// Returns the `Tree` blob of an output directory; `None` for an output that is a file.
fn tree_of(outputs: &BTreeMap<String, Value>) -> Option<Vec<u8>> {
    let mut tree = rondel_cas::Tree::new();
    for (path, value) in outputs {
        let entry = match value {
            Value::File { contents, executable } => Entry::file(Digest::of(contents), *executable),
            Value::Link { target } => Entry::Symlink { target: target.clone() },
            Value::Directory => Entry::directory(),
        };
        // A file that is an output itself has no path below it.
        tree.insert(RelativePath::new(path).ok()?, entry);
    }
    Some(tree.encode().expect("a small tree"))
}

/// Returns all blobs of a result.
fn blobs_of(outputs: &BTreeMap<String, Value>) -> Vec<Vec<u8>> {
    outputs.values().filter_map(contents_of).cloned().chain(tree_of(outputs)).collect()
}

fn draw_step(chance: &mut Chance, index: usize) -> Config {
    let upstream = (0..index).filter(|_| chance.once_in(2)).collect();
    Config {
        patterns: chance.below(PATTERNS.len()),
        upstream,
        // Each step has its own argument: which of two equal steps runs and which is restored would be a matter of
        // luck.
        argument: format!("{index}: 1"),
        variable: None,
        setting: "1".to_owned(),
        tool: "1".to_owned(),
        located: "one".to_owned(),
        passed: None,
        secret: "one".to_owned(),
        is_narrow: chance.once_in(2),
        kind: if chance.once_in(2) { OutputKind::File } else { OutputKind::Directory },
        destination: format!("dist/one/{index}"),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
