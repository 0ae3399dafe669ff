//! `LoadedImages`: what Rondel loaded into daemons for a target, so that it removes nothing else there. Kept in `.rondel`.

use std::path::PathBuf;

use rondel_cas::{TEXT_MAX, read_text_at_most, write_atomically};
use rondel_engine::StepContext;

/// Directory of the records, below `.rondel`.
const RECORDS: &str = "loaded.1";
/// Number of images that are remembered of a target.
const IMAGES_MAX: usize = 16;

/// The images of one target.
pub(crate) struct LoadedImages {
    file: PathBuf,
    /// IDs, `sha256:…`, the last one first.
    ids: Vec<String>,
}

impl LoadedImages {
    /// Reads the record of a target.
    pub fn of(context: &StepContext<'_>, target: &str) -> LoadedImages {
        let file = context.workspace.state.join(RECORDS).join(target);
        let text = read_text_at_most(&file, TEXT_MAX).unwrap_or_default();
        LoadedImages { file, ids: text.lines().filter(|line| is_id(line)).map(str::to_owned).collect() }
    }

    /// Returns the images that were loaded, the last one first.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Adds an image.
    pub fn add(&mut self, id: &str) {
        self.ids.retain(|other| other != id);
        self.ids.insert(0, id.to_owned());
        self.ids.truncate(IMAGES_MAX);
    }

    /// Forgets images that are gone.
    pub fn forget(&mut self, gone: &[String], context: &StepContext<'_>) {
        if !gone.is_empty() {
            self.ids.retain(|id| !gone.contains(id));
            self.write(context);
        }
    }

    /// Writes the record.
    pub fn write(&self, context: &StepContext<'_>) {
        let text: String = self.ids.iter().map(|id| format!("{id}\n")).collect();
        if let Err(error) = write_atomically(&context.workspace.scratch(), &self.file, text.as_bytes()) {
            context.warn(format!("what was loaded into Docker was not recorded: {error}"));
        }
    }
}

/// Returns true for the digest of a configuration, which is what Docker calls an image.
fn is_id(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
