//! One layer of an image: the base's own, files of the tree, or outputs of other steps.

use std::collections::BTreeMap;
use std::fs::OpenOptions;

use rondel_cas::{Entry, RelativePath};
use rondel_engine::{
    ActionSpec, Artefact, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError,
};
use rondel_oci::{Compression, LayerEntry, LayerSource, write_layer};

use crate::base::{BaseView, Below};
use crate::image::attributes::{Directories, Users};
use crate::image::base_layer::BaseLayer;
use crate::image::metadata::LayerMetadata;
use crate::image::places::{Boundary, OutputPlace, TreeFiles};
use crate::image::sources::{Collected, dangling, resolve_all};

/// Contents of a layer.
pub(crate) enum LayerContents {
    /// The `Static` base, or what an image adds to another one before its own files.
    Base(BaseLayer),
    /// Files and directories of the tree.
    Tree(TreeFiles),
    /// Outputs of the upstream steps: a place for each of them, in order. Directories are as the files of the tree have
    /// them.
    Outputs { places: Vec<OutputPlace>, tree: TreeFiles },
}

pub(crate) struct LayerStep {
    pub contents: LayerContents,
    /// Unique in the workspace: `image/base`.
    pub name: String,
    pub compression: Compression,
    pub threads: usize,
    /// What the layer lies on.
    pub below: Below,
}

type Entries = BTreeMap<RelativePath, LayerEntry>;

impl TreeFiles {
    /// Adds all that decides the layer to `spec`; returns its entries.
    fn collect(
        &self,
        base: &BaseView,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
    ) -> Result<(Entries, Vec<String>), StepError> {
        let boundary = Boundary::of(&self.root, context)?;
        let users = Users::of(&boundary, self, base);
        let attributes = resolve_all(&users, &self.files)?;
        let mut collected = Collected::new(&boundary, context);
        for (placed, attributes) in self.files.iter().zip(&attributes) {
            collected.add(placed, attributes, spec)?;
        }
        for made in &self.made {
            collected.make(made, &users.resolve(&made.attributes)?, spec);
        }
        let mut left_out = std::mem::take(&mut collected.left_out);
        left_out.sort();
        left_out.dedup();
        let entries = collected.finish(&Directories::of(self, &users, base)?, &self.outputs)?;
        Ok((entries, left_out))
    }

    /// Tells of what is not in the image, though one could think so.
    fn tell(&self, base: &BaseView, context: &StepContext<'_>, entries: &Entries, left_out: &[String]) {
        if !left_out.is_empty() {
            context.note(format!("not copied: {}", left_out.join(", ")));
        }
        let is_elsewhere = |path: &RelativePath| {
            let is_output =
                self.outputs.iter().any(|output| output.place.is_within(path) || path.is_within(&output.place));
            is_output || base.holds(path)
        };
        for sentence in dangling(entries, &is_elsewhere) {
            context.note(sentence);
        }
    }
}

impl LayerStep {
    /// Returns the name of the layer in the staging directory.
    fn file_name(&self) -> String {
        format!("layer.tar.{}", self.compression.ending())
    }

    /// Returns the one output of an upstream step.
    fn only_artefact<'c>(
        &self,
        context: &'c StepContext<'_>,
        index: usize,
        place: &RelativePath,
    ) -> Result<&'c Artefact, StepError> {
        let artefacts = &context.upstream[index].artefacts;
        match artefacts.as_slice() {
            [only] => Ok(only),
            _ => {
                let names: Vec<&str> = artefacts.iter().map(|artefact| artefact.name.as_str()).collect();
                Err(StepError::input(format!(
                    "`/{place}` needs one output, and there are {}: {}",
                    names.len(),
                    names.join(", ")
                ))
                .hint("build one package per target"))
            }
        }
    }

    /// Returns the entries of outputs of other steps, and adds all that decides them to `spec`.
    fn outputs(
        &self,
        places: &[OutputPlace],
        tree: &TreeFiles,
        base: &BaseView,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
    ) -> Result<Entries, StepError> {
        let boundary = Boundary::of(&tree.root, context)?;
        let users = Users::of(&boundary, tree, base);
        let directories = Directories::of(tree, &users, base)?;
        let mut entries = Entries::new();
        for (index, output) in places.iter().enumerate() {
            let attributes = users.resolve(&output.attributes)?;
            let words = attributes.words();
            if !words.is_empty() {
                spec.arguments.push(format!("/{}{words}", output.place));
            }
            let Some(directory) = &output.directory else {
                let artefact = self.only_artefact(context, index, &output.place)?;
                let Entry::File { executable, .. } = artefact.entry else {
                    let message = format!("`/{}` needs a file, and `{}` is a link", output.place, artefact.name);
                    return Err(StepError::input(message).hint("let the step copy what the link leads to"));
                };
                spec.upstream.insert(output.place.clone(), artefact.entry.clone());
                let entry = attributes.file(LayerSource::File(artefact.path.clone()), executable);
                entries.insert(output.place.clone(), entry);
                continue;
            };
            entries.insert(output.place.clone(), attributes.directory(directories.entry(&output.place)));
            for artefact in &context.upstream[index].artefacts {
                let rest = artefact.name.as_str().strip_prefix(directory.as_str()).unwrap_or_default();
                let place = RelativePath::new(&format!("{}{rest}", output.place))
                    .map_err(|error| StepError::failed(error.to_string()))?;
                let entry = match &artefact.entry {
                    Entry::File { executable, .. } => {
                        attributes.inner_file(LayerSource::File(artefact.path.clone()), *executable)
                    }
                    Entry::Symlink { target } => attributes.link(target.clone()),
                    Entry::Directory { .. } => attributes.directory(LayerEntry::directory()),
                };
                for parent in std::iter::successors(place.parent(), RelativePath::parent) {
                    if parent == output.place || !parent.is_within(&output.place) {
                        break;
                    }
                    entries.entry(parent).or_insert_with(|| attributes.directory(LayerEntry::directory()));
                }
                spec.upstream.insert(place.clone(), artefact.entry.clone());
                entries.insert(place, entry);
            }
        }
        let own: Vec<RelativePath> = entries.keys().cloned().collect();
        directories.add_parents(&mut entries);
        for (path, entry) in entries.iter().filter(|(path, _)| !own.contains(path)) {
            if (entry.mode, entry.uid, entry.gid) != (0o755, 0, 0) {
                spec.arguments.push(format!("/{path}/ mode {:o} owner {}:{}", entry.mode, entry.uid, entry.gid));
            }
        }
        Ok(entries)
    }
}

impl LayerStep {
    /// Returns the entries at their places on another image, and adds what the base decided of them to `spec`.
    fn place(&self, entries: Entries, base: &BaseView, spec: &mut ActionSpec) -> Result<Entries, StepError> {
        let BaseView::Image(view) = base else { return Ok(entries) };
        let mut placed = Entries::new();
        for (path, (entry, declared)) in view.place(entries)? {
            if matches!(entry.source, LayerSource::Directory) {
                spec.arguments.push(format!("/{path}/ mode {:o} owner {}:{}", entry.mode, entry.uid, entry.gid));
            } else if path != declared {
                spec.arguments.push(format!("/{declared} at /{path} by a link of the base"));
            }
            placed.insert(path, entry);
        }
        Ok(placed)
    }
}

/// Entries of a layer, and directories that were left out.
pub(crate) type Layout = (Entries, Vec<String>);

impl Step for LayerStep {
    type Findings = Layout;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Layout>, StepError> {
        let name = RelativePath::new(&self.file_name()).expect("a constant");
        let destination = RelativePath::new(&format!(".rondel/out/{}.tar.{}", self.name, self.compression.ending()))
            .map_err(|error| StepError::failed(error.to_string()))?;
        let mut spec = ActionSpec {
            arguments: vec!["layer".to_owned()],
            settings: BTreeMap::from([("codec".to_owned(), self.compression.codec())]),
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        let base = BaseView::of(self.below, context)?;
        let (entries, left_out) = match &self.contents {
            LayerContents::Base(layer) => (layer.collect(&base, context, &mut spec)?, Vec::new()),
            LayerContents::Tree(tree) => tree.collect(&base, context, &mut spec)?,
            LayerContents::Outputs { places, tree } => {
                (self.outputs(places, tree, &base, context, &mut spec)?, Vec::new())
            }
        };
        let layout = (self.place(entries, &base, &mut spec)?, left_out);
        Ok(Prepared::by_key(spec).with(layout))
    }

    fn run(&self, prepared: &Prepared<Layout>, context: &Job<'_>) -> Result<Report, StepError> {
        let staging = context.staging;
        let (prepared_entries, left_out) = &prepared.findings;
        let mut entries = prepared_entries.clone();
        match &self.contents {
            LayerContents::Base(layer) => layer.complete(&mut entries, context)?,
            LayerContents::Tree(tree) => tree.tell(&BaseView::of(self.below, context)?, context, &entries, left_out),
            LayerContents::Outputs { .. } => {}
        }
        let path = staging.join(self.file_name());
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(|error| StepError::unwritable(&path, &error))?;
        let layer = write_layer(&entries, &mut file, self.compression, self.threads)
            .map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report { metadata: Metadata::of(&LayerMetadata { diff_id: layer.diff_id, files: entries.len() }) })
    }
}
