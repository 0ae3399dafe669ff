//! What BuildKit has of a context. It keeps a copy, sends only what looks changed, and believes sizes and times: an edit
//! that keeps both is not sent. So Rondel remembers the files of the last build. If one has other contents and looks the
//! same, or nothing is remembered, the context gets another name, under which BuildKit has no copy.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Entry, MEMORY_MAX, read_at_most, write_atomically};
use rondel_engine::{InputSet, Workspace};
use serde::{Deserialize, Serialize};

/// Directory of the memories, below `.rondel`.
const MEMORIES: &str = "contexts.1";

/// The memory of one target's context.
pub(crate) struct ContextMemory {
    file: PathBuf,
    scratch: PathBuf,
}

/// The files of a context, and the name that BuildKit knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub name: String,
    /// By path: size, time of the last change in nanoseconds, contents.
    files: BTreeMap<String, (u64, i64, String)>,
}

/// How a context looks from outside, for the question whether it changed during a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looks(Vec<(u64, i64, i64)>);

impl ContextMemory {
    /// Returns the memory called `name`: of one target, and one daemon.
    pub fn of(workspace: &Workspace, name: &str) -> ContextMemory {
        ContextMemory { file: workspace.state.join(MEMORIES).join(name), scratch: workspace.scratch() }
    }

    /// Returns the files of the context among `inputs` under a name that BuildKit has no outdated copy for, and how they
    /// look. Nothing is remembered until `keep`: a build that is killed may have sent anything.
    pub fn begin(&self, inputs: &InputSet, fresh: &str) -> (Remembered, Looks) {
        let former = read_at_most(&self.file, MEMORY_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok());
        let is_forgotten = match fs::remove_file(&self.file) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let (files, looks) = look(inputs);
        let former = former.filter(|former| is_forgotten && former.shows(&files));
        let name = former.map_or_else(|| Digest::of(fresh.as_bytes()).short(), |former| former.name);
        (Remembered { name, files }, looks)
    }

    /// Remembers the files of a build that has ended, unless they have changed since it began.
    pub fn keep(&self, remembered: &Remembered, inputs: &InputSet, looks: &Looks) {
        if look(inputs).1 == *looks
            && let Ok(bytes) = serde_json::to_vec(remembered)
        {
            // Without the memory the next build sends more than it must.
            let _ = write_atomically(&self.scratch, &self.file, &bytes);
        }
    }
}

impl Remembered {
    /// Returns true if every file that has other contents now looks different too.
    fn shows(&self, files: &BTreeMap<String, (u64, i64, String)>) -> bool {
        self.files.iter().all(|(path, (size, time, contents))| {
            files.get(path).is_none_or(|now| (now.0, now.1) != (*size, *time) || now.2 == *contents)
        })
    }
}

/// Returns the files of the context among `inputs`.
fn look(inputs: &InputSet) -> (BTreeMap<String, (u64, i64, String)>, Looks) {
    let (mut files, mut looks) = (BTreeMap::new(), Looks::default());
    for input in inputs.iter() {
        let Entry::File { digest, .. } = &input.entry else { continue };
        let (modified, changed) = times(&input.absolute).unwrap_or_default();
        files.insert(input.path.to_string(), (digest.size(), modified, digest.to_string()));
        looks.0.push((digest.size(), modified, changed));
    }
    (files, looks)
}

/// Returns the times of the last change of contents and of anything, in nanoseconds.
#[cfg(unix)]
fn times(path: &Path) -> Option<(i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path).ok()?;
    let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
    let changed = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
    Some((nanoseconds(metadata.mtime(), metadata.mtime_nsec()), changed))
}

/// Without times every file looks the same: a change of contents is never believed to show.
#[cfg(not(unix))]
fn times(_path: &Path) -> Option<(i64, i64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_does_not_show() {
        let files = |size, time, contents: &str| BTreeMap::from([("a".to_owned(), (size, time, contents.to_owned()))]);
        let former = Remembered { name: "x".to_owned(), files: files(1, 1, "one") };
        assert!(former.shows(&files(1, 1, "one")));
        assert!(former.shows(&files(1, 2, "two")));
        assert!(former.shows(&files(2, 1, "two")));
        assert!(former.shows(&BTreeMap::new()));
        assert!(!former.shows(&files(1, 1, "two")));
    }
}
