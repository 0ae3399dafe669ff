//! One layer of an image: the static base, files of the tree, or outputs of other steps.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::sync::Arc;

use rondel_cas::{Entry, RelativePath};
use rondel_engine::{
    ActionSpec, Artefact, Input, InputSet, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Report, Step,
    StepContext, StepError, hash_inputs,
};
use rondel_oci::{CODEC, LayerEntry, LayerSource, ROOT_BUNDLE, static_base, write_layer, zoneinfo_path};
use rondel_tree::GlobSet;

use rondel_golang::{GoSupport, GoVersion};

use crate::image::metadata::LayerMetadata;

/// Contents of a layer.
pub(crate) enum LayerContents {
    /// The `Static` base; with the toolchain's time zones if there is a toolchain here.
    StaticBase(Option<Arc<GoSupport>>),
    /// Files and directories of the tree: path in the image, path below `root`.
    Tree { root: std::path::PathBuf, files: Vec<(RelativePath, RelativePath)>, excluded: Vec<RelativePath> },
    /// Outputs of the upstream steps, one file each: the path in the image for each upstream step, in order.
    Outputs(Vec<RelativePath>),
}

pub(crate) struct LayerStep {
    pub contents: LayerContents,
    /// Unique in the workspace: `image/base`.
    pub name: String,
    pub threads: usize,
}

impl LayerStep {
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

    fn tree_inputs(&self, context: &StepContext<'_>, spec: &mut ActionSpec) -> Result<(), StepError> {
        let LayerContents::Tree { root, files, excluded } = &self.contents else { return Ok(()) };
        for (place, path) in files {
            let absolute = path.below(root);
            let metadata = std::fs::metadata(&absolute)
                .map_err(|error| StepError::input(format!("`{path}` can't be put into the image: {error}")))?;
            spec.arguments.push(format!("{path} -> /{place}"));
            if metadata.is_dir() {
                let globs = GlobSet::everything(excluded.clone());
                for input in hash_inputs(&globs, &absolute, Some(path), &context.workspace.snapshot)?.iter() {
                    spec.inputs.insert(input);
                }
            } else {
                spec.inputs.add(path.clone(), absolute, &context.workspace.snapshot)?;
            }
        }
        Ok(())
    }

    fn entries(
        &self,
        context: &StepContext<'_>,
        spec: &ActionSpec,
    ) -> Result<BTreeMap<RelativePath, LayerEntry>, StepError> {
        let mut entries = BTreeMap::new();
        match &self.contents {
            LayerContents::StaticBase(zones) => {
                entries = static_base();
                if let Some(go) = zones {
                    let path = go.toolchain(context)?.root.join("lib/time/zoneinfo.zip");
                    entries.insert(zoneinfo_path(), LayerEntry::file(LayerSource::File(path), false));
                }
            }
            LayerContents::Tree { files, .. } => {
                for input in spec.inputs.iter().filter(|input| !input.is_behind_link()) {
                    let Some((place, source)) = files.iter().find(|(_, source)| input.path.is_within(source)) else {
                        continue;
                    };
                    let rest = &input.path.as_str()[source.as_str().len()..];
                    let path = RelativePath::new(&format!("{place}{rest}"))
                        .map_err(|error| StepError::failed(error.to_string()))?;
                    let entry = match &input.entry {
                        Entry::File { executable, .. } => {
                            LayerEntry::file(LayerSource::File(input.absolute.clone()), *executable)
                        }
                        Entry::Directory { .. } => {
                            LayerEntry { mode: 0o755, ..LayerEntry::file(LayerSource::Directory, false) }
                        }
                        // A link named directly means the file behind it.
                        Entry::Symlink { .. } if input.path == *source => {
                            let executable = leads_to_executable(&spec.inputs, &input.path);
                            LayerEntry::file(LayerSource::File(input.absolute.clone()), executable)
                        }
                        Entry::Symlink { target } => {
                            LayerEntry { mode: 0o777, ..LayerEntry::file(LayerSource::Symlink(target.clone()), false) }
                        }
                    };
                    entries.insert(path, entry);
                }
            }
            LayerContents::Outputs(places) => {
                for (index, place) in places.iter().enumerate() {
                    let artefact = self.only_artefact(context, index, place)?;
                    let executable = matches!(artefact.entry, Entry::File { executable: true, .. });
                    entries
                        .insert(place.clone(), LayerEntry::file(LayerSource::File(artefact.path.clone()), executable));
                }
            }
        }
        Ok(entries)
    }
}

impl Step for LayerStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new("layer.tar.gz").expect("a constant");
        let destination = RelativePath::new(&format!(".rondel/out/{}.tar.gz", self.name))
            .map_err(|error| StepError::failed(error.to_string()))?;
        let mut spec = ActionSpec {
            arguments: vec!["layer".to_owned()],
            settings: BTreeMap::from([("codec".to_owned(), CODEC.to_owned())]),
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        match &self.contents {
            LayerContents::StaticBase(zones) => {
                spec.settings.insert("base".to_owned(), format!("static-1 {ROOT_BUNDLE}"));
                if let Some(go) = zones {
                    let version = match &go.version {
                        GoVersion::Exact(version) => version.clone(),
                        GoVersion::System => go.identity(context)?,
                    };
                    spec.settings.insert("time zones".to_owned(), format!("go{version}"));
                }
            }
            LayerContents::Tree { .. } => self.tree_inputs(context, &mut spec)?,
            LayerContents::Outputs(places) => {
                for (index, place) in places.iter().enumerate() {
                    let artefact = self.only_artefact(context, index, place)?;
                    spec.upstream.insert(place.clone(), artefact.entry.clone());
                }
            }
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared<Self::Findings>, context: &Job<'_>) -> Result<Report, StepError> {
        let (spec, staging) = (&prepared.spec, context.staging);
        let entries = self.entries(context, spec)?;
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

/// Returns true if the file that the link `path` leads to is executable.
fn leads_to_executable(inputs: &InputSet, path: &RelativePath) -> bool {
    let behind = Input::name_behind_link(path);
    inputs.iter().any(|input| input.path == behind && matches!(input.entry, Entry::File { executable: true, .. }))
}

#[cfg(test)]
mod tests {
    use rondel_cas::Digest;

    use super::*;

    #[test]
    fn a_link_is_as_executable_as_its_file() {
        let path = RelativePath::new("bin/tool").unwrap();
        let inputs = |executable| {
            let mut inputs = InputSet::default();
            let link = Entry::Symlink { target: "real".to_owned() };
            inputs.insert(Input { path: path.clone(), absolute: "/x".into(), entry: link });
            let entry = Entry::file(Digest::of(b"x"), executable);
            inputs.insert(Input { path: Input::name_behind_link(&path), absolute: "/x".into(), entry });
            inputs
        };
        assert!(leads_to_executable(&inputs(true), &path));
        assert!(!leads_to_executable(&inputs(false), &path));
    }
}
