//! How files can differ from their commit, in words.

use std::fmt;

/// A file that is not what the commit has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// Its path in the repository, or on this machine if it is in none.
    pub path: String,
    pub how: How,
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// The commit has other bytes, or another mode.
    Changed,
    /// The commit has it, and the tree does not.
    Missing,
    /// It was added to git, and to no commit.
    Added,
    /// Git does not know it.
    Untracked,
    /// Git is told to ignore it.
    Ignored,
    /// It is in no repository that may be asked.
    Elsewhere,
    /// A submodule whose commit is another one.
    OtherCommit,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Changed => "is changed",
            How::Missing => "is missing",
            How::Added => "is added, and not committed",
            How::Untracked => "is not tracked",
            How::Ignored => "is ignored by git",
            How::Elsewhere => "is in no repository",
            How::OtherCommit => "is a submodule at another commit",
        };
        write!(formatter, "`{}` {how}", self.path.escape_debug())
    }
}
