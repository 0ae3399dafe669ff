//! Outputs of a step that ran, on their way from its staging directory into the store. Knows neither keys nor places.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use rondel_cas::{BlobError, Digest, Entry, OutputEntry, RelativePath};
use rondel_tree::{Fingerprint, MtimeBoundary};

use crate::action::ActionSpec;
use crate::context::StepContext;
use crate::entries::{exact_entry, file_mode, is_executable};
use crate::error::StepError;
use crate::materialize;

/// Minimum size in bytes of a file for which it is better to wait for a tick of the clock than to hash it again.
const WORTH_A_TICK: u64 = 4 << 20;

/// The entries of all outputs.
pub(crate) struct StoredOutputs {
    pub outputs: Vec<OutputEntry>,
    /// Taken before any of them was read.
    boundary: MtimeBoundary,
    /// Files whose contents will be known where they are put.
    hashed: Vec<(RelativePath, Fingerprint, Digest)>,
    /// False if the store did not take one of them.
    pub are_kept: bool,
}

/// Stores the staged outputs that `staged_outputs` found. `known` are digests by the step that wrote them.
pub(crate) fn store_outputs(
    context: &StepContext<'_>,
    found: &BTreeMap<RelativePath, PathBuf>,
    known: &BTreeMap<RelativePath, Digest>,
) -> Result<StoredOutputs, StepError> {
    let snapshot = &context.workspace.snapshot;
    let mut stored = StoredOutputs {
        outputs: Vec::with_capacity(found.len()),
        boundary: snapshot.mtime_boundary(),
        hashed: Vec::new(),
        are_kept: true,
    };
    for (path, absolute) in found {
        let unreadable = |source| StepError::unreadable(absolute, &source);
        let metadata = std::fs::symlink_metadata(absolute).map_err(unreadable)?;
        let entry = if metadata.is_file() {
            let digest = match known.get(path) {
                Some(digest) => stored.keep(context, absolute, Some(digest))?,
                None => stored.hash(context, (path, absolute), &metadata)?,
            };
            Entry::File { digest, executable: is_executable(&metadata), mode: file_mode(&metadata) }
        } else {
            exact_entry(absolute, snapshot).map_err(unreadable)?
        };
        let output = OutputEntry { path: path.clone(), entry };
        if materialize::leaves(&output) {
            let message = format!("the output `{path}` is a symbolic link that leads out of the workspace");
            return Err(StepError::failed(message));
        }
        stored.outputs.push(output);
    }
    Ok(stored)
}

impl StoredOutputs {
    /// Stores a file, and remembers what it is known by if every change from now on shows in that.
    fn hash(
        &mut self,
        context: &StepContext<'_>,
        (path, absolute): (&RelativePath, &Path),
        metadata: &Metadata,
    ) -> Result<Digest, StepError> {
        let (snapshot, fingerprint) = (&context.workspace.snapshot, Fingerprint::of(metadata));
        let is_old = |boundary: &MtimeBoundary| fingerprint.is_older_than(boundary.on(fingerprint.device()));
        if !is_old(&self.boundary) && metadata.len() >= WORTH_A_TICK {
            snapshot.wait_until_after(fingerprint.ctime_ns());
            self.boundary = snapshot.mtime_boundary();
        }
        let is_old = is_old(&self.boundary);
        let digest = self.keep(context, absolute, None)?;
        self.hashed.extend(is_old.then(|| (path.clone(), fingerprint, digest)));
        Ok(digest)
    }

    /// Puts one output into the store. A store that can't take it costs the caching, not the build.
    fn keep(&mut self, context: &StepContext<'_>, path: &Path, known: Option<&Digest>) -> Result<Digest, StepError> {
        let store = &context.workspace.results;
        if self.are_kept {
            let kept = match known {
                Some(digest) => store.put_known_file(path, digest).map(|()| *digest),
                None => store.put_file(path),
            };
            match kept {
                Ok(digest) => return Ok(digest),
                Err(error) => self.warn(context, &error),
            }
        }
        Digest::of_file(path).map_err(|source| StepError::unreadable(path, &source))
    }

    fn warn(&mut self, context: &StepContext<'_>, error: &BlobError) {
        self.are_kept = false;
        let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        context.warn(format!("{error}{cause}; the result is used but not cached"));
    }

    /// Tells the snapshot the contents of the files, which stand in their places now.
    pub(crate) fn remember(&self, context: &StepContext<'_>, spec: &ActionSpec) {
        let workspace = context.workspace;
        let place = |path: &RelativePath| materialize::destination(workspace, spec, path);
        let moved = self.hashed.iter().map(|(path, fingerprint, digest)| (place(path), *fingerprint, *digest));
        workspace.snapshot.record_moved(moved);
    }
}
