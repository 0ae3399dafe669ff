//! Paths of files in an image, and why some can't be: places of the kernel, names of whiteouts, too long ones.

/// Directories that belong to the kernel: engines mount over them.
const MOUNTED: &[&str] = &["/dev", "/proc", "/sys"];
/// Longest name and path of a Linux file system.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;

/// Returns why `path` can't be the place of a file in an image, and a hint.
pub(crate) fn unfit(path: &str) -> Option<(String, &'static str)> {
    let shown = path.escape_debug();
    let is_sound = path.strip_prefix('/').is_some_and(|rest| {
        !rest.is_empty() && rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
    });
    if !is_sound {
        return Some((format!("`{shown}` is not an absolute path of a file"), "write \"/app/name\""));
    }
    if let Some(directory) = MOUNTED.iter().find(|directory| is_within(path, directory)) {
        let message = format!("`{shown}` can't be in an image: `{directory}` belongs to the kernel of the container");
        return Some((message, "put it elsewhere"));
    }
    if let Some(part) = path.split('/').find(|part| part.starts_with(".wh.")) {
        let message = format!("`{}` can't be in an image: such a name removes a file", part.escape_debug());
        return Some((message, "give it a name that does not begin with `.wh.`"));
    }
    let is_long = path.len() > PATH_MAX || path.split('/').any(|part| part.len() > NAME_MAX);
    is_long.then(|| ("the path is longer than a file system takes".to_owned(), "a name has at most 255 bytes"))
}

/// Returns true if `path` is `directory` or below it.
pub(crate) fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
