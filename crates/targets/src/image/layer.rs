//! One layer of an image: the base's own, files of the tree, or outputs of other steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;

use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{
    ActionSpec, Artefact, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError,
    UserError,
};
use rondel_oci::{Compression, LayerEntry, LayerPrograms, LayerSource, PROGRAMS_FORMAT, write_layer};

use crate::base::{BaseView, Below};
use crate::image::attributes::{Directories, Resolved, Users};
use crate::image::base_layer::BaseLayer;
use crate::image::metadata::LayerMetadata;
use crate::image::outputs::Made;
use crate::image::places::{Boundary, FilesLayer, OutputPlace, TreeFiles};
use crate::image::sources::{Collected, FromTree, dangling};

/// The output that lists what is in a layer, beside the layer itself.
pub(crate) const PROGRAMS: &str = "programs";

/// Contents of a layer.
pub(crate) enum LayerContents {
    /// The `Static` base, or what an image adds to another one before its own files.
    Base(BaseLayer),
    /// Files of the tree and outputs of the upstream steps.
    Files {
        /// All files of the image.
        tree: TreeFiles,
        /// The layer. An upstream step for each of its outputs, in order.
        layer: FilesLayer,
    },
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
    /// Adds all that decides a layer to `spec`; returns its entries.
    fn collect(
        &self,
        layer: FilesLayer,
        base: &BaseView,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
    ) -> Result<Layout, StepError> {
        let boundary = Boundary::of(&self.root, context)?;
        let users = Users::of(&boundary, self, base);
        let directories = Directories::of(self, &users, base)?;
        let mut collected = Collected::new(&boundary, layer);
        if self.has_own(layer) || self.has_more_exact_than(layer) {
            for placed in &self.files {
                let attributes = users.resolve(&placed.attributes)?;
                collected.add(placed, &Resolved { capabilities: placed.capabilities, ..attributes }, spec)?;
            }
            for made in &self.made {
                collected.make(made, &users.resolve(&made.attributes)?, spec);
            }
        }
        let mut left_out = std::mem::take(&mut collected.left_out);
        left_out.sort();
        left_out.dedup();
        let FromTree { mut entries, elsewhere, exact } = collected.finish(&self.outputs, context, spec)?;
        let is_directory = |entry: &LayerEntry| matches!(entry.source, LayerSource::Directory);
        for (path, entry) in entries.iter_mut().filter(|(_, entry)| is_directory(entry)) {
            *entry = directories.entry(path);
        }
        for (index, output) in self.outputs_of(layer).enumerate() {
            let artefacts = &context.upstream[index].artefacts;
            self.add_output((output, artefacts), &exact, (&users, &directories), spec, &mut entries)?;
        }
        directories.add_parents(&mut entries);
        // Those of directories may come from other layers.
        for (path, entry) in entries.iter().filter(|(_, entry)| is_directory(entry)) {
            if (entry.mode, entry.uid, entry.gid) != (0o755, 0, 0) {
                spec.arguments.push(format!("/{path}/ mode {:o} owner {}:{}", entry.mode, entry.uid, entry.gid));
            }
        }
        Ok(Layout { entries, left_out, elsewhere })
    }

    /// Tells of what is not in the image, though one could think so.
    fn tell(&self, base: &BaseView, context: &StepContext<'_>, layout: &Layout) {
        let Layout { entries, left_out, elsewhere } = layout;
        if !left_out.is_empty() {
            context.note(format!("not copied: {}", left_out.join(", ")));
        }
        let is_elsewhere = |path: &RelativePath| {
            let is_output =
                self.outputs.iter().any(|output| output.place.is_within(path) || path.is_within(&output.place));
            is_output || elsewhere.contains(path) || base.holds(path)
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
}

impl TreeFiles {
    /// Adds an output of another step, and all that decides it to `spec`. What is declared more exactly is left to that:
    /// `exact` has such files of the tree.
    fn add_output(
        &self,
        (output, artefacts): (&OutputPlace, &[Artefact]),
        exact: &BTreeSet<RelativePath>,
        (users, directories): (&Users<'_>, &Directories<'_>),
        spec: &mut ActionSpec,
        entries: &mut Entries,
    ) -> Result<(), StepError> {
        let attributes = users.resolve(&output.attributes)?;
        let attributes = Resolved { capabilities: output.capabilities, ..attributes };
        let words = attributes.words() + &output.exclude.words();
        if !words.is_empty() {
            spec.arguments.push(format!("/{}{words}", output.place));
        }
        let below = match output.choose(artefacts)? {
            Made::File(artefact) => {
                spec.upstream.insert(output.place.clone(), artefact.entry.clone());
                entries.insert(output.place.clone(), entry_of(artefact, &attributes));
                return Ok(());
            }
            Made::Directory(below) => below,
        };
        entries.insert(output.place.clone(), directories.entry(&output.place));
        let others: Vec<&RelativePath> = self.outputs.iter().map(|other| &other.place).collect();
        for (rest, artefact) in below {
            let place = output.place.join(&rest);
            let is_directory = matches!(artefact.entry, Entry::Directory { .. });
            // A directory stays, though all of its files are left out.
            let outer = std::iter::successors(rest.parent(), RelativePath::parent);
            for parent in outer.filter(|parent| !output.exclude.has_directory(parent.as_str())) {
                let parent = output.place.join(&parent);
                entries.insert(parent.clone(), directories.entry(&parent));
            }
            let is_left_out = match is_directory {
                true => output.exclude.has_directory(rest.as_str()),
                false => output.exclude.has(rest.as_str()),
            };
            if is_left_out || exact.contains(&place) || (others.contains(&&place) && !is_directory) {
                continue;
            }
            check_name(output, &rest)?;
            spec.upstream.insert(place.clone(), artefact.entry.clone());
            let entry = match &artefact.entry {
                Entry::File { .. } => {
                    let entry = entry_of(artefact, &attributes);
                    LayerEntry { mode: entry.mode & 0o6777, ..entry }
                }
                Entry::Symlink { .. } => entry_of(artefact, &attributes),
                Entry::Directory { .. } => directories.entry(&place),
            };
            entries.insert(place, entry);
        }
        Ok(())
    }
}

/// Refuses names that remove files of lower layers.
fn check_name(output: &OutputPlace, rest: &RelativePath) -> Result<(), StepError> {
    if !rest.as_str().split('/').any(|part| part.starts_with(".wh.")) {
        return Ok(());
    }
    let message = format!("`{rest}` can't be in an image: such a name removes a file");
    let hint = "let the step give it another name, or `exclude` it";
    Err(StepError::User(UserError::input(message).at(output.span).hint(hint)))
}

/// Returns all that an entry is but the contents of a file, for the key.
fn listed(entries: &Entries) -> Digest {
    let line = |(path, entry): (&RelativePath, &LayerEntry)| {
        let kind = match &entry.source {
            LayerSource::File(_) | LayerSource::Bytes(_) => "file".to_owned(),
            LayerSource::Directory => "directory".to_owned(),
            LayerSource::Symlink(target) => format!("link {}", target.escape_default()),
        };
        let LayerEntry { mode, uid, gid, capabilities, .. } = entry;
        format!("{} {mode:o} {uid}:{gid} {capabilities:x} {kind}\n", path.as_str().escape_default())
    };
    Digest::of(entries.iter().map(line).collect::<String>().as_bytes())
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

/// A layer before it is written.
pub(crate) struct Layout {
    entries: Entries,
    /// Directories that were left out.
    left_out: Vec<String>,
    /// Entries of the tree that are in other layers.
    elsewhere: BTreeSet<RelativePath>,
}

impl Step for LayerStep {
    type Findings = Layout;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Layout>, StepError> {
        let output = |name: &str, ending: &str| {
            let destination = RelativePath::new(&format!(".rondel/out/{}.{ending}", self.name))
                .map_err(|error| StepError::failed(error.to_string()))?;
            let name = RelativePath::new(name).expect("a constant");
            Ok::<_, StepError>(OutputSpec { name, destination, kind: OutputKind::File })
        };
        let mut spec = ActionSpec {
            arguments: vec!["layer".to_owned()],
            settings: BTreeMap::from([
                ("codec".to_owned(), self.compression.codec()),
                ("list".to_owned(), PROGRAMS_FORMAT.to_owned()),
            ]),
            outputs: vec![
                output(&self.file_name(), &format!("tar.{}", self.compression.ending()))?,
                output(PROGRAMS, "programs")?,
            ],
            ..ActionSpec::default()
        };
        let base = BaseView::of(self.below, context)?;
        let layout = match &self.contents {
            LayerContents::Base(layer) => {
                let entries = layer.collect(&base, context, &mut spec)?;
                Layout { entries, left_out: Vec::new(), elsewhere: BTreeSet::new() }
            }
            LayerContents::Files { tree, layer } => tree.collect(*layer, &base, context, &mut spec)?,
        };
        let entries = self.place(layout.entries, &base, &mut spec)?;
        // Whatever was looked at above: what is in the layer is in its key.
        spec.arguments.push(format!("entries {}", listed(&entries).oci()));
        let layout = Layout { entries, ..layout };
        Ok(Prepared::by_key(spec).with(layout))
    }

    fn run(&self, prepared: &Prepared<Layout>, context: &Job<'_>) -> Result<Report, StepError> {
        let staging = context.staging;
        let mut entries = prepared.findings.entries.clone();
        match &self.contents {
            LayerContents::Base(layer) => layer.complete(&mut entries, context)?,
            // Of outputs, the step that made them knows what their links are for.
            LayerContents::Files { tree, layer } if !tree.has_own(*layer) => {}
            LayerContents::Files { tree, .. } => {
                tree.tell(&BaseView::of(self.below, context)?, context, &prepared.findings);
            }
        }
        let path = staging.join(self.file_name());
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(|error| StepError::unwritable(&path, &error))?;
        let layer = write_layer(&entries, &mut file, self.compression, self.threads)
            .map_err(|error| StepError::unwritable(&path, &error))?;
        let programs = LayerPrograms::of(&entries).map_err(|error| StepError::failed(error.to_string()))?.encode();
        let path = staging.join(PROGRAMS);
        std::fs::write(&path, programs).map_err(|error| StepError::unwritable(&path, &error))?;
        let metadata = Metadata::of(&LayerMetadata { diff_id: layer.diff_id, files: entries.len() });
        let name = RelativePath::new(&self.file_name()).expect("a constant");
        Ok(Report { metadata, digests: BTreeMap::from([(name, layer.digest)]) })
    }
}
