//! `Places`: paths of a target's outputs.

use crate::{Span, Spanned, TargetName};

/// One output of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// The path relative to the directory of build.ron, normalised: `dist/server`.
    pub path: String,
    /// The path as written in a field, relative to `root`; `None` for the default.
    pub written: Option<&'a Spanned<String>>,
    /// Its place in the file; for the default path that of the target's name.
    pub span: Span,
    /// True for a directory, false for a file.
    pub is_directory: bool,
}

impl<'a> Output<'a> {
    /// Returns the directory beside this one whose name has this further ending.
    pub(crate) fn beside(&self, ending: &str) -> Output<'a> {
        Output { path: format!("{}{ending}", self.path), written: None, span: self.span, is_directory: true }
    }
}

/// Paths of a target's outputs.
pub struct Places<'a> {
    name: &'a Spanned<TargetName>,
    root: &'a str,
}

impl<'a> Places<'a> {
    /// Returns the paths of the target `name`; `root` is that of build.ron.
    pub(crate) fn new(name: &'a Spanned<TargetName>, root: &'a str) -> Places<'a> {
        Places { name, root }
    }

    /// Returns the directory `out`, or `dist/<target>` beside build.ron.
    pub fn directory(&self, out: Option<&'a Spanned<String>>) -> Output<'a> {
        match out {
            Some(out) => self.below_root(out, true),
            None => Output {
                path: format!("dist/{}", self.name.value),
                written: None,
                span: self.name.span,
                is_directory: true,
            },
        }
    }

    /// Returns a path as written; one that ends with `/` is a directory.
    pub fn path(&self, written: &'a Spanned<String>) -> Output<'a> {
        self.below_root(written, written.value.ends_with('/'))
    }

    fn below_root(&self, written: &'a Spanned<String>, is_directory: bool) -> Output<'a> {
        let path = normal(&format!("{}/{}", self.root, written.value));
        Output { path, written: Some(written), span: written.span, is_directory }
    }
}

/// Normalises a path: `./a//b/../c/` is `a/c`.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
