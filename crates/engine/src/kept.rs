//! `.rondel/kept`: what people made or edited in the place of an output. Rondel puts it there and never removes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{RelativePath, remove_tree};

use crate::context::StepContext;
use crate::entries::{exact_entry, same_contents};
use crate::error::StepError;
use crate::moving::{make_directory, move_tree};
use crate::strangers::{Stranger, joined};
use crate::workspace::Workspace;

/// Directory below `.rondel`. Only the owner may look into it.
const KEPT: &str = "kept";

/// Moves what stands at `place` to `.rondel/kept/<path>`, or `.rondel/kept/~2/<path>` and so on if something is there. Returns where it is, relative
/// to the workspace. Contents that are kept already are not kept twice.
pub(crate) fn keep(workspace: &Workspace, place: &Path, path: &RelativePath) -> io::Result<PathBuf> {
    let directory = workspace.state.join(KEPT);
    fs::create_dir_all(&workspace.state)?;
    make_directory(&directory)?;
    let own = exact_entry(place, &workspace.snapshot).ok().filter(|entry| entry.contents().is_some());
    for number in 1.. {
        let name = if number == 1 { path.to_string() } else { format!("~{number}/{path}") };
        let to = directory.join(&name);
        let shown = Path::new(".rondel").join(KEPT).join(&name);
        match fs::symlink_metadata(&to) {
            Ok(_) => {
                let kept = exact_entry(&to, &workspace.snapshot).ok();
                if own.as_ref().zip(kept.as_ref()).is_some_and(|(own, kept)| same_contents(own, kept)) {
                    remove_tree(place);
                    return Ok(shown);
                }
            }
            Err(_) => {
                // A kept file may stand where this one needs a directory: then it gets a name of its own.
                if fs::create_dir_all(to.parent().expect("below the directory")).is_ok() {
                    move_tree(place, &to)?;
                    return Ok(shown);
                }
                if number > 1000 {
                    return Err(io::Error::other("no free name below `.rondel/kept`"));
                }
            }
        }
    }
    unreachable!("the numbers do not end")
}

/// Moves a file that people made or edited out of the way of an output, and returns where it is, relative to the workspace.
pub fn keep_file(workspace: &Workspace, place: &Path, path: &RelativePath) -> Result<PathBuf, StepError> {
    keep(workspace, place, path).map_err(|source| StepError::unwritable(&workspace.state.join(KEPT), &source))
}

/// Keeps one file that was not as Rondel left it, and says where.
pub(crate) fn keep_stranger(
    context: &StepContext<'_>,
    destination: &RelativePath,
    stranger: &Stranger,
) -> Result<(), StepError> {
    let path = if stranger.below.is_empty() { destination.clone() } else { joined(destination, &stranger.below) };
    let kept = keep_file(context.workspace, &stranger.place, &path)?;
    let what = if stranger.was_ours { "was edited since Rondel made it" } else { "was there, and not made by Rondel" };
    context.warn(format!("`{path}` {what}: those contents are now in `{}`", kept.display()));
    Ok(())
}
