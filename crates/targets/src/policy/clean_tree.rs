//! `CleanTreeStep`: the sources of what is sent or released are those of the commit.
//!
//! It runs each time, since a commit changes the answer and no source. All tracked files count, not only those that were read:
//! a file that was removed, or that a build constraint leaves out since it was changed, is read by nobody.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rondel_buildfile::{Span, TargetName};
use rondel_engine::{Freshness, Job, Metadata, Prepared, Query, Report, Step, StepError, UserError};

use crate::git::{Difference, How, WorkTrees};

/// Number of files that a refusal names.
const NAMED_MAX: usize = 5;

pub(crate) struct CleanTreeStep {
    pub target: TargetName,
    pub trees: WorkTrees,
    /// Directory of build.ron.
    pub root: PathBuf,
    /// Files that count as read.
    pub files: Vec<PathBuf>,
    /// The place of the policy.
    pub span: Span,
}

impl CleanTreeStep {
    fn check(&self, query: &Query<'_>) -> Result<(), UserError> {
        let mut sources: BTreeSet<PathBuf> = self.files.iter().cloned().collect();
        for one in &query.sources {
            one.each(&mut |path| {
                sources.insert(path.to_owned());
            });
        }
        for file in [query.workspace.build_file.as_str(), "build.lock"] {
            sources.extend(Some(self.root.join(file)).filter(|path| path.is_file()));
        }
        let Some(found) = self.trees.differences(&self.root, sources.iter()) else {
            let message =
                format!("`{}` needs a clean tree, and git does not say which files the commit has", self.target);
            return Err(UserError::environment(message)
                .hint("build in a clone with all objects of its commit, or leave out `clean_tree`"));
        };
        if found.is_empty() { Ok(()) } else { Err(refusal(&self.target, &found)) }
    }
}

fn refusal(target: &TargetName, found: &BTreeSet<Difference>) -> UserError {
    let mut lines: Vec<String> = found.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if found.len() > NAMED_MAX {
        lines.push(format!("and {} more", found.len() - NAMED_MAX));
    }
    let message = format!("`{target}` needs a clean tree, and it is not that of the commit: {}", lines.join(", "));
    let mut hint = "commit or stash the changes (`git stash --include-untracked`)".to_owned();
    if found.iter().any(|one| one.how == How::Ignored) {
        hint.push_str(
            "; what git ignores and a step reads is in no commit: `git add --force` it, or let a target make it",
        );
    }
    if found.iter().any(|one| one.how == How::Elsewhere) {
        hint.push_str("; what is outside of the repository is in no commit: copy it into the repository");
    }
    UserError::input(message).hint(hint)
}

impl Step for CleanTreeStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        if query.is_question() {
            return Ok(Prepared::unkeyed(Freshness::always("the tree is compared with its commit")));
        }
        self.check(query).map_err(|error| error.at(self.span))?;
        Ok(Prepared::unkeyed(Freshness::UpToDate(Metadata::default())))
    }

    fn run(&self, _prepared: &Prepared, _job: &Job<'_>) -> Result<Report, StepError> {
        Ok(Report::default())
    }
}
