//! What a package installs beside executables: files and directories of the tree, and what other targets make. Each is
//! an input, or a part of an upstream result, and an entry of the package.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rondel_buildfile::Span;
use rondel_cas::{Entry, RelativePath};
use rondel_dist::{PackageEntry, package_path};
use rondel_engine::{ActionSpec, Input, OutputUse, StepContext, StepError, UserError};
use rondel_oci::LayerSource;

use crate::image::places::{Boundary, not_text, with_span};

/// A file or directory in a package.
#[derive(Clone, Debug)]
pub(crate) struct InstalledFile {
    /// Where it is installed.
    pub place: RelativePath,
    pub from: FileOrigin,
    /// Of files; 0755 or 0644 if left out.
    pub mode: Option<u32>,
    pub owner: String,
    pub group: String,
    pub is_config: bool,
    /// Place of its path in build.ron.
    pub span: Span,
}

/// Where it is from.
#[derive(Clone, Debug)]
pub(crate) enum FileOrigin {
    /// Path below `root`.
    Tree(RelativePath),
    /// What another target makes.
    Output(OutputUse),
}

/// Entries of a package by the places where they are installed.
pub(super) type Entries = BTreeMap<RelativePath, PackageEntry>;

impl InstalledFile {
    /// Adds what it stands for to the entries, and all that decides it to `spec`.
    pub fn add_to(
        &self,
        boundary: &Boundary,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
        entries: &mut Entries,
    ) -> Result<(), StepError> {
        match &self.from {
            FileOrigin::Tree(from) => self.add_tree(from, boundary, context, spec, entries),
            FileOrigin::Output(output) => self.add_output(output, context, spec, entries),
        }
    }

    fn entry(&self, source: LayerSource, executable: bool) -> PackageEntry {
        let is_file = matches!(source, LayerSource::File(_) | LayerSource::Bytes(_));
        let mode = match &source {
            LayerSource::Directory => 0o755,
            LayerSource::Symlink(_) => 0o777,
            LayerSource::File(_) | LayerSource::Bytes(_) => self.mode.unwrap_or(if executable { 0o755 } else { 0o644 }),
        };
        let (owner, group) = (self.owner.clone(), self.group.clone());
        PackageEntry { source, mode, owner, group, is_config: self.is_config && is_file }
    }

    /// Adds an entry, over one of a directory around it.
    fn insert(
        &self,
        inner: Option<&RelativePath>,
        entry: PackageEntry,
        entries: &mut Entries,
    ) -> Result<(), StepError> {
        let place = inner.map_or_else(|| self.place.clone(), |inner| self.place.join(inner));
        package_path(&format!("/{place}")).map_err(|message| self.wrong(message, "give it another name"))?;
        entries.insert(place, entry);
        Ok(())
    }

    fn wrong(&self, message: String, hint: &str) -> StepError {
        StepError::User(UserError::input(message).at(self.span).hint(hint))
    }

    fn add_tree(
        &self,
        from: &RelativePath,
        boundary: &Boundary,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
        entries: &mut Entries,
    ) -> Result<(), StepError> {
        let (name, place) = tree_place(boundary, from, self.span)?;
        spec.arguments.push(format!("{name} -> /{}", self.place));
        // Directories that are still to be read: real place, name among the inputs, path in the package.
        let mut open: Vec<(PathBuf, RelativePath, Option<RelativePath>)> = Vec::new();
        if place.is_dir() {
            open.push((place, name, None));
        } else {
            self.add_file(place, name, None, context, spec, entries)?;
        }
        while let Some((directory, name, inner)) = open.pop() {
            let unreadable = |error| StepError::unreadable(&directory, &error);
            self.insert(inner.as_ref(), self.entry(LayerSource::Directory, false), entries)?;
            for child in fs::read_dir(&directory).map_err(unreadable)? {
                let child = child.map_err(unreadable)?;
                let absolute = child.path();
                let text = child.file_name().into_string().map_err(|_| not_text(&absolute))?;
                if text == ".git" || boundary.is_own(&absolute) {
                    continue;
                }
                let part = RelativePath::new(&text).map_err(|error| StepError::input(error.to_string()))?;
                let inner = inner.as_ref().map_or_else(|| part.clone(), |inner| inner.join(&part));
                let name = name.join(&part);
                let kind = child.file_type().map_err(unreadable)?;
                if kind.is_dir() {
                    open.push((absolute, name, Some(inner)));
                } else if kind.is_symlink() {
                    let target = fs::read_link(&absolute).map_err(unreadable)?;
                    let target = target.to_str().ok_or_else(|| not_text(&absolute))?.to_owned();
                    self.insert(Some(&inner), self.entry(LayerSource::Symlink(target.clone()), false), entries)?;
                    spec.inputs.insert(Input { path: name, absolute, entry: Entry::Symlink { target } });
                } else {
                    self.add_file(absolute, name, Some(&inner), context, spec, entries)?;
                }
            }
        }
        Ok(())
    }

    fn add_file(
        &self,
        place: PathBuf,
        name: RelativePath,
        inner: Option<&RelativePath>,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
        entries: &mut Entries,
    ) -> Result<(), StepError> {
        let metadata = fs::metadata(&place).map_err(|error| StepError::unreadable(&place, &error))?;
        if !metadata.is_file() {
            let message = format!("`{name}` is no regular file: a package holds files, directories and links");
            return Err(self.wrong(message, "remove it, or name the files that are meant"));
        }
        self.insert(inner, self.entry(LayerSource::File(place.clone()), is_executable(&metadata)), entries)?;
        spec.inputs.add(name, place, &context.workspace.snapshot)
    }

    fn add_output(
        &self,
        output: &OutputUse,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
        entries: &mut Entries,
    ) -> Result<(), StepError> {
        let whole = output.path(context).map_err(|error| with_span(error, self.span))?;
        output.add_to(context, spec)?;
        spec.arguments.push(format!("output of {} -> /{}", output.target, self.place));
        let all = output.upstream.iter().filter_map(|index| context.upstream.get(*index));
        let mut is_directory = output.may_be_empty;
        for artefact in all.flat_map(|upstream| &upstream.artefacts) {
            let Ok(below) = artefact.path.strip_prefix(&whole) else { continue };
            let (source, executable) = match &artefact.entry {
                Entry::File { executable, .. } => (LayerSource::File(artefact.path.clone()), *executable),
                Entry::Symlink { target } => (LayerSource::Symlink(target.clone()), false),
                Entry::Directory { .. } => (LayerSource::Directory, false),
            };
            if below.as_os_str().is_empty() {
                self.insert(None, self.entry(source, executable), entries)?;
                is_directory = false;
                continue;
            }
            is_directory = true;
            let inner = RelativePath::from_path(below).map_err(|error| StepError::input(error.to_string()))?;
            self.insert(Some(&inner), self.entry(source, executable), entries)?;
            // Directories have no artefacts of their own, unless they are empty or have other permissions.
            for parent in std::iter::successors(inner.parent(), RelativePath::parent) {
                let directory = || self.entry(LayerSource::Directory, false);
                entries.entry(self.place.join(&parent)).or_insert_with(directory);
            }
        }
        if is_directory {
            entries.entry(self.place.clone()).or_insert_with(|| self.entry(LayerSource::Directory, false));
        }
        Ok(())
    }
}

/// Returns the name of something of the tree among the inputs, and its real place.
pub(super) fn tree_place(
    boundary: &Boundary,
    from: &RelativePath,
    span: Span,
) -> Result<(RelativePath, PathBuf), StepError> {
    if !from.below(boundary.root()).exists() {
        return Err(StepError::User(UserError::input(format!("`{from}` is not there")).at(span)));
    }
    let real = boundary.resolve(from).map_err(|error| with_span(error, span))?;
    match real.name {
        Some(name) => Ok((name, real.place)),
        None => {
            let message = format!("`{from}` is the whole of `root`");
            Err(StepError::User(UserError::input(message).at(span).hint("name the files that are meant")))
        }
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &fs::Metadata) -> bool {
    false
}
