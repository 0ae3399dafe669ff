//! A world: a tree, a graph of steps, a cache, and a model that always rebuilds.

mod check;
mod outputs;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rondel_cas::messages::UnixMode;
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
    /// True if later builds are killed.
    pub is_deadly: bool,
    /// Clock of the world's file system, if it can be set.
    clock: Option<SettableClock>,
    /// True if the clock was put back since the last build.
    went_back: bool,
    /// Places that a step has left, as long as the record of what was placed is whole.
    left: BTreeSet<(usize, String)>,
    /// True if a build has recorded what stands.
    is_recorded: bool,
    /// Number of texts that a user wrote into outputs: each is another one.
    written: usize,
    pub history: Vec<String>,
    pub counts: BTreeMap<&'static str, u64>,
}

struct Shared(std::sync::Arc<ModelStep>);

impl Step for Shared {
    type Findings = ();

    fn prepare(&self, query: &rondel_engine::Query<'_>) -> Result<rondel_engine::Prepared, rondel_engine::StepError> {
        self.0.prepare(query)
    }

    fn tree_access(&self) -> rondel_engine::TreeAccess {
        self.0.tree_access()
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
        // Below `dist` what is in the way is kept, elsewhere an output directory with files of a user is refused.
        // Changes within one tick of a clock that stands still are invisible.
        let is_stormy = seed.is_multiple_of(3) && clock.is_none();
        let top = if chance.once_in(4) && !is_stormy { "gen" } else { "dist" };
        let mut steps: Vec<Config> = (0..count).map(|index| draw_step(&mut chance, index, top)).collect();
        // Where Rondel itself writes in the tree, a file that comes and goes during a step is not seen (ARCHITECTURE.md).
        steps.iter_mut().for_each(|step| step.in_tree &= !is_stormy);
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
            is_stormy,
            is_deadly: seed % 3 == 1 && clock.is_none(),
            clock,
            went_back: false,
            left: BTreeSet::new(),
            is_recorded: false,
            written: 0,
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
            // A place that nothing was made in yet, and a user's file there.
            19 if self.is_deadly => {
                self.move_output(index, "new");
                self.spoil_output(index);
            }
            // Blobs are damaged only in worlds without changes during builds, since such a build may repair any of
            // them.
            19 if !self.is_stormy && !self.is_deadly => self.spoil_blob(),
            20 => {
                let what = *self.chance.of(&["snapshot.4", "actions.3", "durations", "placed.1", ""]);
                self.note(format!("removed .rondel/{what}"));
                let path = self.root().join(".rondel").join(what);
                let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                if matches!(what, "actions.3" | "") {
                    self.last.clear();
                    self.not_kept.clear();
                }
                if matches!(what, "placed.1" | "") {
                    self.left.clear();
                    self.is_recorded = false;
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
                let path = self.root().join(".rondel/snapshot.4");
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
            _ => self.move_output(index, &value),
        }
        self.note(format!("step {index} is {:?}", self.steps[index]));
        self.count("changes of what is in no key");
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

    fn graph(&self, meanwhile: Option<(usize, Meanwhile)>, killed: Option<usize>) -> (Graph, Vec<usize>) {
        let mut graph = Graph::new();
        let mut ids = Vec::new();
        for (index, config) in self.steps.iter().enumerate() {
            let own = meanwhile.as_ref().filter(|(other, _)| *other == index).map(|(_, meanwhile)| meanwhile.clone());
            let name = format!("step {index}");
            let step = Box::new(Shared(crate::steps::step(config, own, killed == Some(index))));
            let inputs = config.upstream.iter().map(|&other| ids[other]).collect();
            ids.push(graph.add(Node { inputs, ..Node::new(StepKey::shared(name), "Model", step) }));
        }
        (graph, ids)
    }

    /// Builds; returns each step's outcome and reasons.
    fn run(&self, meanwhile: Option<(usize, Meanwhile)>, jobs: usize) -> (Vec<(Outcome, Vec<Reason>)>, Vec<String>) {
        self.run_graph(self.graph(meanwhile, None), jobs)
    }

    fn run_graph(&self, (graph, ids): (Graph, Vec<usize>), jobs: usize) -> (Vec<(Outcome, Vec<Reason>)>, Vec<String>) {
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
        Value::Link { .. } | Value::Directory { .. } => None,
    }
}

/// Returns the `Tree` blob of an output directory; `None` for an output that is a file.
fn tree_of(outputs: &BTreeMap<String, Value>) -> Option<Vec<u8>> {
    let mut tree = rondel_cas::Tree::new();
    for (path, value) in outputs {
        let entry = match value {
            Value::File { contents, mode } => {
                let executable = mode & 0o100 != 0;
                let mode = UnixMode::new(*mode).and_then(|mode| mode.unless_ordinary_file(executable));
                Entry::File { digest: Digest::of(contents), executable, mode }
            }
            Value::Link { target } => Entry::Symlink { target: target.clone() },
            Value::Directory { mode } => {
                let mode = UnixMode::new(*mode).and_then(UnixMode::unless_ordinary_directory);
                if path.is_empty() {
                    tree.root_mode = mode;
                    continue;
                }
                Entry::Directory { mode }
            }
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

fn draw_step(chance: &mut Chance, index: usize, top: &str) -> Config {
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
        in_tree: chance.once_in(2),
        destination: format!("{top}/one/{index}"),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
