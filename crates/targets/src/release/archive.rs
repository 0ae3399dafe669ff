//! `ArchiveStep`: the archive of one platform. Executables of builds, and files of the tree.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::PathBuf;

use rondel_buildfile::TargetName;
use rondel_cas::{Entry, RelativePath};
use rondel_dist::{ArchiveFile, ArchiveForm};
use rondel_engine::{
    ActionSpec, DeclaredInputs, Freshness, Input, Job, OutputKind, OutputSpec, OutputUse, Prepared, Query, Report,
    Step, StepError,
};

pub(crate) struct ArchiveStep {
    /// The builds, in the order of the upstream results.
    pub builds: Vec<TargetName>,
    /// Directory of the project.
    pub root: PathBuf,
    /// Files of the tree.
    pub files: DeclaredInputs,
    /// Files that other targets make.
    pub outputs: Vec<OutputUse>,
    /// Name of the archive, with its ending.
    pub name: RelativePath,
    /// The directory that all is in.
    pub wrap: Option<RelativePath>,
    pub form: ArchiveForm,
    /// The one time, in seconds since 1970.
    pub modified_s: u64,
    pub threads: usize,
    /// Directory of the release, relative to the workspace.
    pub out: RelativePath,
}

type Files = BTreeMap<RelativePath, ArchiveFile>;

impl ArchiveStep {
    fn place(&self, path: &RelativePath) -> RelativePath {
        self.wrap.as_ref().map_or_else(|| path.clone(), |wrap| wrap.join(path))
    }

    /// Returns the executables, and adds them to the key.
    fn executables(&self, context: &Query<'_>, spec: &mut ActionSpec) -> Result<Files, StepError> {
        let mut files = Files::new();
        let mut owners: BTreeMap<&RelativePath, &TargetName> = BTreeMap::new();
        for (build, upstream) in self.builds.iter().zip(&context.upstream) {
            for artefact in &upstream.artefacts {
                if let Some(other) = owners.insert(&artefact.name, build) {
                    let message = format!("`{other}` and `{build}` both make `{}`", artefact.name);
                    return Err(StepError::input(message).hint("give the executable of one of them another `name`"));
                }
                spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
                let file = ArchiveFile { source: artefact.path.clone(), executable: true };
                files.insert(self.place(&artefact.name), file);
            }
        }
        Ok(files)
    }

    /// Adds the files of the tree. A link counts as the file that it leads to.
    fn add_tree(&self, spec: &ActionSpec, files: &mut Files) -> Result<(), StepError> {
        let mut behind: BTreeMap<RelativePath, (PathBuf, bool)> = BTreeMap::new();
        let mut links = Vec::new();
        for input in spec.inputs.iter() {
            match &input.entry {
                Entry::File { executable, .. } if input.is_behind_link() => {
                    behind.insert(input.path.clone(), (input.absolute.clone(), *executable));
                }
                Entry::File { executable, .. } => {
                    let file = ArchiveFile { source: input.absolute.clone(), executable: *executable };
                    self.add(&input.path, file, files)?;
                }
                Entry::Symlink { .. } => links.push(input.path.clone()),
                Entry::Directory { .. } => {}
            }
        }
        for link in links {
            let Some((source, executable)) = behind.remove(&Input::name_behind_link(&link)) else {
                return Err(StepError::input(format!("`{link}` is a link that leads to no file"))
                    .hint("name the file itself in `files` of `archives`"));
            };
            self.add(&link, ArchiveFile { source, executable }, files)?;
        }
        Ok(())
    }

    /// Adds files that other targets make, and what they are to the key.
    fn add_outputs(&self, context: &Query<'_>, spec: &mut ActionSpec, files: &mut Files) -> Result<(), StepError> {
        for output in &self.outputs {
            output.add_to(context, spec)?;
            let place = output.path(context)?;
            let all = output.upstream.iter().filter_map(|index| context.upstream.get(*index));
            for artefact in all.flat_map(|upstream| &upstream.artefacts) {
                let Entry::File { executable, .. } = artefact.entry else { continue };
                if !artefact.path.starts_with(&place) {
                    continue;
                }
                let below = artefact.path.strip_prefix(&self.root).ok();
                let Some(path) = below.and_then(|below| RelativePath::from_path(below).ok()) else {
                    let message = format!("`{}` of `{}` is outside of `root`", artefact.name, output.target);
                    return Err(StepError::input(message).hint("files of an archive keep their paths below `root`"));
                };
                self.add(&path, ArchiveFile { source: artefact.path.clone(), executable }, files)?;
            }
        }
        Ok(())
    }

    fn add(&self, path: &RelativePath, file: ArchiveFile, files: &mut Files) -> Result<(), StepError> {
        let place = self.place(path);
        if files.contains_key(&place) {
            return Err(one_place(path, &place));
        }
        files.insert(place, file);
        Ok(())
    }
}

/// Refuses a file that stands where others need a directory.
fn refuse_nested(files: &Files) -> Result<(), StepError> {
    for path in files.keys() {
        let mut above = std::iter::successors(path.parent(), RelativePath::parent);
        if let Some(other) = above.find(|above| files.contains_key(above)) {
            return Err(one_place(path, &other));
        }
    }
    Ok(())
}

fn one_place(path: &RelativePath, other: &RelativePath) -> StepError {
    StepError::input(format!("`{path}` and `{other}` have one place in the archive"))
        .hint("give the executable another `name`, or leave the file out")
}

impl Step for ArchiveStep {
    type Findings = Files;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Files>, StepError> {
        let mut spec = ActionSpec {
            arguments: vec!["archive".to_owned()],
            inputs: self.files.hash(&self.root, &context.workspace.snapshot)?,
            ..ActionSpec::default()
        };
        spec.settings.insert("form".to_owned(), self.form.codec());
        spec.settings.insert("time".to_owned(), self.modified_s.to_string());
        let wrap = self.wrap.as_ref().map_or(String::new(), ToString::to_string);
        spec.settings.insert("directory".to_owned(), wrap);
        let mut files = self.executables(context, &mut spec)?;
        self.add_tree(&spec, &mut files)?;
        self.add_outputs(context, &mut spec, &mut files)?;
        refuse_nested(&files)?;
        let destination = self.out.join(&self.name);
        spec.outputs = vec![OutputSpec { name: self.name.clone(), destination, kind: OutputKind::File }];
        let freshness = match spec.inputs.blind_spot() {
            Some(why) => Freshness::always(why),
            None => Freshness::of(&spec.inputs),
        };
        Ok(Prepared { spec, freshness, findings: files })
    }

    fn run(&self, prepared: &Prepared<Files>, context: &Job<'_>) -> Result<Report, StepError> {
        let path = self.name.below(context.staging);
        let unwritable = |error: std::io::Error| StepError::unwritable(&path, &error);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(unwritable)?;
        self.form.write(&prepared.findings, self.modified_s, &mut file, self.threads).map_err(unwritable)?;
        Ok(Report::default())
    }
}
