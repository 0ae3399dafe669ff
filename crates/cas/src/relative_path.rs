//! `RelativePath`: a path below some root, with one spelling only.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

/// A path of one or more normal components joined by `/`: never empty, absolute, `.` or `..`; always UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RelativePath(String);

/// Why a text is no path below its root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing but `.` and slashes.
    #[error("the path is empty")]
    Empty,
    /// It begins with `/`.
    #[error("`{0}` is absolute; paths are relative to the root")]
    Absolute(String),
    /// It leaves the root with `..`.
    #[error("`{0}` leaves the root")]
    Escapes(String),
    /// A NUL, or bytes that are not UTF-8.
    #[error("`{0}` has a name that is not valid UTF-8 or holds a NUL")]
    NotText(String),
}

impl RelativePath {
    /// Checks and normalises: `./a//b/` is `a/b`; `a/../b` is `b`.
    pub fn new(text: &str) -> Result<RelativePath, PathError> {
        if text.contains('\0') {
            return Err(PathError::NotText(text.replace('\0', "\\0")));
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute(text.to_owned()));
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| PathError::Escapes(text.to_owned()))?;
                }
                normal => parts.push(normal),
            }
        }
        if parts.is_empty() {
            return Err(PathError::Empty);
        }
        Ok(RelativePath(parts.join("/")))
    }

    /// Converts a path of the file system; names that are not UTF-8 are an error.
    pub fn from_path(path: &Path) -> Result<RelativePath, PathError> {
        let text = path.to_str().ok_or_else(|| PathError::NotText(path.to_string_lossy().into_owned()))?;
        RelativePath::new(text)
    }

    /// Returns the text, with `/` between components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns this path below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// Returns this path with `rest` appended.
    pub fn join(&self, rest: &RelativePath) -> RelativePath {
        RelativePath(format!("{}/{}", self.0, rest.0))
    }

    /// Returns true if this path is `other`, or somewhere below it. (`outevil` is not below `out`.)
    pub fn is_within(&self, other: &RelativePath) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns everything but the last component; `None` at the top.
    pub fn parent(&self) -> Option<RelativePath> {
        self.0.rsplit_once('/').map(|(parent, _)| RelativePath(parent.to_owned()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RelativePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RelativePath, D::Error> {
        let text = String::deserialize(deserializer)?;
        let path = RelativePath::new(&text).map_err(serde::de::Error::custom)?;
        if path.0 == text { Ok(path) } else { Err(serde::de::Error::custom("a path that is not normalised")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        assert_eq!(RelativePath::new("./a//b/").unwrap().as_str(), "a/b");
        assert_eq!(RelativePath::new("a/../b").unwrap().as_str(), "b");
        assert_eq!(RelativePath::new(""), Err(PathError::Empty));
        assert_eq!(RelativePath::new("./."), Err(PathError::Empty));
        assert!(matches!(RelativePath::new("/etc"), Err(PathError::Absolute(_))));
        assert!(matches!(RelativePath::new("a/../../b"), Err(PathError::Escapes(_))));
        assert!(matches!(RelativePath::new("a\0"), Err(PathError::NotText(_))));
    }

    #[test]
    fn within_respects_components() {
        let out = RelativePath::new("out").unwrap();
        assert!(RelativePath::new("out/x").unwrap().is_within(&out));
        assert!(!RelativePath::new("outevil/x").unwrap().is_within(&out));
    }

    #[test]
    fn a_stored_path_that_escapes_is_refused() {
        for text in ["\"../x\"", "\"/x\"", "\"a/./b\"", "\"\""] {
            assert!(serde_json::from_str::<RelativePath>(text).is_err(), "{text}");
        }
    }
}
