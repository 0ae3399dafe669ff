//! Steps whose work is a function that the model can compute too: they write down their inputs, whole or as a digit.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rondel_cas::{Digest, RelativePath};
use rondel_engine::{
    ActionSpec, Class, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError, TreeAccess, copy_tree,
    hash_inputs,
};
use rondel_tree::GlobSet;

use crate::changes::Change;
use crate::tree::{self, PATTERNS, Value};

/// A part of a key by kind and name, as the model has it.
pub type Members = BTreeMap<(&'static str, String), String>;

/// Settings of a step.
#[derive(Clone, Debug)]
pub struct Config {
    pub patterns: usize,
    /// Indices of steps whose outputs it reads.
    pub upstream: Vec<usize>,
    pub argument: String,
    pub variable: Option<String>,
    pub setting: String,
    pub tool: String,
    /// Values that must not matter.
    pub located: String,
    pub passed: Option<String>,
    pub secret: String,
    /// True if the output is one digit (and the step's own, so that no two share a blob). Downstream steps then often
    /// see the same output.
    pub is_narrow: bool,
    pub kind: OutputKind,
    /// True if the step makes its outputs in the tree, as a command does; their permissions count then.
    pub in_tree: bool,
    /// Below the workspace.
    pub destination: String,
}

/// A change that happens while the step runs.
#[derive(Clone, Debug)]
pub struct Meanwhile {
    pub change: Change,
    /// Undone at the end, by the change that follows.
    pub and_back: Option<Change>,
    pub before_reading: bool,
}

/// What a step dies of that is killed in the middle.
pub struct Killed;

pub struct ModelStep {
    pub config: Config,
    pub meanwhile: Mutex<Option<Meanwhile>>,
    /// True if it dies with half of its outputs made.
    pub is_killed: bool,
}

impl Config {
    fn output_name(&self) -> &'static str {
        if self.kind == OutputKind::File { "out" } else { "tree" }
    }

    /// Returns everything in the key, for the given inputs.
    pub fn members(&self, inputs: &BTreeMap<String, Value>, upstream: &BTreeMap<String, Value>) -> Members {
        let mut members = Members::new();
        members.insert(("argument", String::new()), self.argument.clone());
        members.insert(("environment", "VARIABLE".to_owned()), format!("{:?}", self.variable));
        members.insert(("setting", "platform".to_owned()), self.setting.clone());
        members.insert(("tool", "cc".to_owned()), self.tool.clone());
        members.insert(("output", self.output_name().to_owned()), String::new());
        members.extend(inputs.iter().map(|(path, value)| (("input", path.clone()), value.text())));
        members.extend(upstream.iter().map(|(slot, value)| (("upstream", slot.clone()), value.text())));
        members
    }

    /// Returns the step's outputs, by path below its destination; a file's own path is empty.
    pub fn outputs(&self, members: &Members) -> BTreeMap<String, Value> {
        let whole: String = members.iter().map(|((kind, name), value)| format!("{kind} {name} {value}\n")).collect();
        let hash = *Digest::of(whole.as_bytes()).hash();
        let text = if self.is_narrow {
            format!("{} {}", &self.argument[..1], Digest::of(whole.as_bytes()).hash()[0] % 2)
        } else {
            whole
        };
        let drawn = |place: usize, modes: &[u32], ordinary| {
            if self.in_tree { modes[hash[place] as usize % modes.len()] } else { ordinary }
        };
        let file = |mode| Value::File { contents: text.clone().into_bytes(), mode };
        let plain = drawn(1, &[0o644, 0o600, 0o400, 0o644], 0o644);
        match self.kind {
            OutputKind::File => [(String::new(), file(plain))].into(),
            OutputKind::Directory => {
                let link = Value::Link { target: "sub/tool".to_owned() };
                let mut outputs: BTreeMap<String, Value> = [
                    ("all".to_owned(), file(plain)),
                    ("link".to_owned(), link),
                    ("sub/tool".to_owned(), file(drawn(2, &[0o755, 0o700, 0o500], 0o755))),
                    ("sub/hollow".to_owned(), Value::Directory { mode: drawn(3, &[0o755, 0o700], 0o755) }),
                ]
                .into();
                for (path, mode) in [("", drawn(4, &[0o755, 0o750], 0o755)), ("sub", drawn(5, &[0o755, 0o500], 0o755))]
                {
                    if mode != 0o755 {
                        outputs.insert(path.to_owned(), Value::Directory { mode });
                    }
                }
                outputs
            }
        }
    }

    /// Returns the name of an output in a downstream step.
    pub fn slot(&self, position: usize, path: &str) -> String {
        let name = self.output_name();
        if path.is_empty() { format!("{position}/{name}") } else { format!("{position}/{name}/{path}") }
    }
}

impl Step for ModelStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        let config = &self.config;
        let mut spec = ActionSpec { arguments: vec!["model".into(), config.argument.clone()], ..ActionSpec::default() };
        spec.environment.set_optional(Class::Keyed, "VARIABLE", config.variable.clone());
        spec.environment.set(Class::Located, "HOME", &config.located);
        spec.environment.set_optional(Class::Passed, "PROXY", config.passed.clone());
        spec.environment.set(Class::Secret, "TOKEN", &config.secret);
        spec.settings.insert("platform".to_owned(), config.setting.clone());
        spec.tools.insert("cc".to_owned(), config.tool.clone());
        let excluded = ["dist", "gen"].map(|name| RelativePath::new(name).expect("a name")).to_vec();
        let globs = GlobSet::new(PATTERNS[config.patterns].iter().map(|pattern| pattern.glob), excluded);
        spec.inputs = hash_inputs(&globs, &query.workspace.root, None, &query.workspace.snapshot)?;
        for (position, upstream) in query.upstream.iter().enumerate() {
            for artefact in &upstream.artefacts {
                let slot = RelativePath::new(&format!("{position}/{}", artefact.name)).expect("joined names");
                spec.upstream.insert(slot, artefact.entry.clone());
            }
        }
        spec.outputs = vec![OutputSpec {
            name: RelativePath::new(config.output_name()).expect("a name"),
            destination: RelativePath::new(&config.destination).expect("a path"),
            kind: config.kind,
        }];
        Ok(Prepared::by_key(spec))
    }

    fn tree_access(&self) -> TreeAccess {
        if self.config.in_tree { TreeAccess::MakesOutputs } else { TreeAccess::Reads }
    }

    fn run(&self, _prepared: &Prepared, job: &Job<'_>) -> Result<Report, StepError> {
        let root = &job.workspace.root;
        let meanwhile = self.meanwhile.lock().expect("no panic while locked").take();
        if let Some(meanwhile) = meanwhile.as_ref().filter(|meanwhile| meanwhile.before_reading) {
            meanwhile.change.apply(root);
        }
        let inputs = tree::inputs(root, PATTERNS[self.config.patterns]);
        if let Some(meanwhile) = &meanwhile {
            if !meanwhile.before_reading {
                meanwhile.change.apply(root);
            }
            if let Some(back) = &meanwhile.and_back {
                back.apply(root);
            }
        }
        let mut upstream = BTreeMap::new();
        for (position, result) in job.upstream.iter().enumerate() {
            for artefact in &result.artefacts {
                let value = tree::value_of_output(&artefact.path)
                    .ok_or_else(|| StepError::failed(format!("{} is not there", artefact.path.display())))?;
                upstream.insert(format!("{position}/{}", artefact.name), value);
            }
        }
        let outputs = self.config.outputs(&self.config.members(&inputs, &upstream));
        let staged = job.staging.join(self.config.output_name());
        let failed = |error: std::io::Error| StepError::failed(error.to_string());
        if !self.config.in_tree {
            write(&staged, &outputs, true).map_err(failed)?;
            if self.is_killed {
                resume_unwind(Box::new(Killed));
            }
            return Ok(Report::default());
        }
        let place = root.join(&self.config.destination);
        // A former output is not to be seen.
        assert!(standing(&place).is_empty(), "{} holds {:?}", place.display(), standing(&place));
        if self.is_killed {
            let half = if self.config.kind == OutputKind::File { place } else { place.join("all") };
            fs::write(half, "half").map_err(failed)?;
            resume_unwind(Box::new(Killed));
        }
        write(&place, &outputs, false).map_err(failed)?;
        copy_tree(&place, &staged).map_err(failed)?;
        Ok(Report::default())
    }
}

/// Makes outputs; `are_careless` gives files bits that are not part of a result and differ from run to run.
fn write(base: &Path, outputs: &BTreeMap<String, Value>, are_careless: bool) -> std::io::Result<()> {
    let place = |path: &str| if path.is_empty() { base.to_owned() } else { base.join(path) };
    for (path, value) in outputs {
        let path = place(path);
        fs::create_dir_all(path.parent().expect("below the staging directory"))?;
        match value {
            Value::File { contents, mode } => {
                fs::write(&path, contents)?;
                let careless = if mode & 0o100 != 0 { 0o700 } else { 0o640 };
                let mode = if are_careless { careless } else { *mode };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            }
            Value::Link { target } => symlink(target, &path)?,
            Value::Directory { .. } => fs::create_dir_all(&path)?,
        }
    }
    for (path, value) in outputs.iter().rev() {
        if let Value::Directory { mode } = value {
            fs::set_permissions(place(path), fs::Permissions::from_mode(*mode))?;
        }
    }
    Ok(())
}

/// Returns the present contents of an output's destination.
pub fn standing(destination: &Path) -> BTreeMap<String, Value> {
    fn below(base: &Path, path: &str, found: &mut BTreeMap<String, Value>) {
        let absolute = if path.is_empty() { base.to_owned() } else { base.join(path) };
        let Some(value) = tree::value_of_output(&absolute) else { return };
        let Value::Directory { mode } = value else {
            found.insert(path.to_owned(), value);
            return;
        };
        let before = found.len();
        for entry in fs::read_dir(&absolute).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().expect("the model writes text");
            below(base, &if path.is_empty() { name } else { format!("{path}/{name}") }, found);
        }
        if (found.len() == before && !path.is_empty()) || mode != 0o755 {
            found.insert(path.to_owned(), value);
        }
    }
    let mut found = BTreeMap::new();
    below(destination, "", &mut found);
    found
}

/// Returns a step for the graph and the model.
pub fn step(config: &Config, meanwhile: Option<Meanwhile>, is_killed: bool) -> Arc<ModelStep> {
    Arc::new(ModelStep { config: config.clone(), meanwhile: Mutex::new(meanwhile), is_killed })
}
