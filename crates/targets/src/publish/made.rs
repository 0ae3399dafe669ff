//! `MadeRelease`: the files of a release as a build left them, and what `artifacts.json` says of them.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_cas::{Digest, Entry, TEXT_MAX, read_at_most};
use rondel_engine::{UpstreamResult, UserError};
use rondel_forge::Asset;
use serde::Deserialize;

/// The list of all files. It comes last, so that who sees it sees them all.
const LIST: &str = "artifacts.json";
/// The kind, in that list, of the text that becomes the notes of a release.
const CHANGELOG: &str = "changelog";

/// A release that was made.
pub(super) struct MadeRelease {
    /// All files; the list is the last one.
    pub files: Vec<Asset>,
    /// As it stands in names of files.
    pub version: String,
    /// The changelog; empty if it has none.
    pub notes: String,
}

#[derive(Deserialize)]
struct List {
    version: String,
    artifacts: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    kind: String,
}

impl MadeRelease {
    /// Reads what a build has made. `results` are those of all steps that make a file of the release.
    pub fn of<'a>(results: impl Iterator<Item = &'a UpstreamResult>) -> Result<MadeRelease, UserError> {
        let mut files: BTreeMap<String, Asset> = BTreeMap::new();
        for artefact in results.flat_map(|result| &result.artefacts) {
            if let Entry::File { digest, .. } = artefact.entry {
                let (name, path) = (artefact.name.to_string(), artefact.path.clone());
                files.insert(name.clone(), Asset { name, path, digest });
            }
        }
        let missing = || UserError::environment(format!("the release has no `{LIST}`")).hint("run again");
        let list = files.remove(LIST).ok_or_else(missing)?;
        let read: List = serde_json::from_slice(&read(&list.path, &list.digest)?).map_err(|_| missing())?;
        let changelog = read.artifacts.iter().find(|line| line.kind == CHANGELOG);
        let notes = match changelog.and_then(|line| files.get(&line.name)) {
            Some(file) => String::from_utf8_lossy(&self::read(&file.path, &file.digest)?).into_owned(),
            None => String::new(),
        };
        let files = files.into_values().chain([list]).collect();
        Ok(MadeRelease { files, version: read.version, notes })
    }
}

/// Returns the contents of a file that was just made.
fn read(path: &Path, digest: &Digest) -> Result<Vec<u8>, UserError> {
    let wrong = |why: String| {
        let message = format!("failed to read `{}`: {why}", path.display());
        Err(UserError::environment(message).hint("run again"))
    };
    match read_at_most(path, TEXT_MAX) {
        Ok(bytes) if Digest::of(&bytes) == *digest => Ok(bytes),
        Ok(_) => wrong("it was changed since it was made".to_owned()),
        Err(error) => wrong(error.to_string()),
    }
}
