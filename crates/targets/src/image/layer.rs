//! One layer of an image: the base's own, files of the tree, or outputs of other steps.

use std::collections::BTreeMap;
use std::fs::OpenOptions;

use rondel_cas::{Entry, RelativePath};
use rondel_engine::{
    ActionSpec, Artefact, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError,
};
use rondel_oci::{CODEC, LayerEntry, LayerSource, write_layer};

use crate::base::{BaseView, Below};
use crate::image::attributes::{Directories, Resolved, Users};
use crate::image::base_layer::BaseLayer;
use crate::image::metadata::LayerMetadata;
use crate::image::outputs::Made;
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
            let below = match output.choose(&context.upstream[index].artefacts)? {
                Made::File(artefact) => {
                    spec.upstream.insert(output.place.clone(), artefact.entry.clone());
                    entries.insert(output.place.clone(), entry_of(artefact, &attributes));
                    continue;
                }
                Made::Directory(below) => below,
            };
            entries.insert(output.place.clone(), attributes.directory(directories.entry(&output.place)));
            for (rest, artefact) in below {
                let place = output.place.join(&rest);
                for parent in std::iter::successors(place.parent(), RelativePath::parent) {
                    if parent == output.place || !parent.is_within(&output.place) {
                        break;
                    }
                    entries.entry(parent).or_insert_with(|| attributes.directory(LayerEntry::directory()));
                }
                spec.upstream.insert(place.clone(), artefact.entry.clone());
                let entry = entry_of(artefact, &attributes);
                let is_file = matches!(artefact.entry, Entry::File { .. });
                let mode = if is_file { entry.mode & 0o6777 } else { entry.mode };
                entries.insert(place, LayerEntry { mode, ..entry });
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

/// Returns an artefact as an entry with declared attributes.
fn entry_of(artefact: &Artefact, attributes: &Resolved) -> LayerEntry {
    match &artefact.entry {
        Entry::File { executable, .. } => attributes.file(LayerSource::File(artefact.path.clone()), *executable),
        Entry::Symlink { target } => attributes.link(target.clone()),
        Entry::Directory { .. } => attributes.directory(LayerEntry::directory()),
    }
}

/// Entries of a layer, and directories that were left out.
pub(crate) type Layout = (Entries, Vec<String>);

impl Step for LayerStep {
    type Findings = Layout;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Layout>, StepError> {
        let name = RelativePath::new("layer.tar.gz").expect("a constant");
        let destination = RelativePath::new(&format!(".rondel/out/{}.tar.gz", self.name))
            .map_err(|error| StepError::failed(error.to_string()))?;
        let mut spec = ActionSpec {
            arguments: vec!["layer".to_owned()],
            settings: BTreeMap::from([("codec".to_owned(), CODEC.to_owned())]),
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
        let path = staging.join("layer.tar.gz");
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(|error| StepError::unwritable(&path, &error))?;
        let layer =
            write_layer(&entries, &mut file, self.threads).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report { metadata: Metadata::of(&LayerMetadata { diff_id: layer.diff_id, files: entries.len() }) })
    }
}
