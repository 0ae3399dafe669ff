//! What `rebuild` can be asked about, told by how it looks. Nothing of it is read beyond its first bytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use rondel_cas::open_regular;
use rondel_names::ImageReference;

use crate::exit::Failure;
use crate::session::ProcessContext;
use crate::verbs::inspect::published;

/// Something that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// A directory with the files of a release.
    Release(PathBuf),
    /// One file of a release.
    File(PathBuf),
    /// An OCI layout, as a directory or a tar.
    Layout(PathBuf),
    /// An image in a registry.
    Image(ImageReference),
}

impl Reference {
    /// Returns what a word names. A path that is there is a path.
    pub fn read(context: &ProcessContext, word: &str) -> Result<Reference, Failure> {
        if let Some(reference) = published::reference(context, word) {
            return Ok(Reference::Image(reference?));
        }
        let path = context.directory.join(word);
        if path.is_dir() {
            let is_layout = path.join("oci-layout").is_file();
            return Ok(if is_layout { Reference::Layout(path) } else { Reference::Release(path) });
        }
        if !path.is_file() {
            let message = format!("there is no file and no directory `{}`", word.escape_debug());
            return Err(
                Failure::usage(message).hint("an image in a registry is named with its host: `ghcr.io/you/app:1`")
            );
        }
        Ok(if is_tar(&path) { Reference::Layout(path) } else { Reference::File(path) })
    }
}

/// Returns true for a tar that nothing compresses, as archives of images are and files of releases are not.
fn is_tar(path: &Path) -> bool {
    let mut head = [0; 262];
    open_regular(path).and_then(|(mut file, _)| file.read_exact(&mut head)).is_ok() && &head[257..] == b"ustar"
}
