//! `ChangelogStep`: the changelog of a release. Its key is the two ends of the history that it tells of, and its settings.

use rondel_cas::RelativePath;
use rondel_dist::{ChangelogStyle, changelog};
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError};

use crate::git::{History, Range};

/// Maximum number of commits that are listed.
const COMMITS_MAX: usize = 1000;

pub(crate) struct ChangelogStep {
    pub history: History,
    /// Pattern of the tags that are releases.
    pub since: String,
    /// True if tags of pre-releases count.
    pub with_pre_releases: bool,
    pub style: ChangelogStyle,
    /// Name of the file.
    pub name: RelativePath,
    /// Directory of the release, relative to the workspace.
    pub out: RelativePath,
}

impl Step for ChangelogStep {
    type Findings = Range;

    fn prepare(&self, _context: &Query<'_>) -> Result<Prepared<Range>, StepError> {
        let range = self.history.since(&self.since, self.with_pre_releases).map_err(unanswered)?;
        if self.history.notes.is_taken() {
            self.history.commits(&range, COMMITS_MAX).map_err(unanswered)?;
        }
        let destination = self.out.join(&self.name);
        let mut spec = ActionSpec {
            arguments: vec!["changelog".to_owned()],
            outputs: vec![OutputSpec { name: self.name.clone(), destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        let style = &self.style;
        let mut setting = |name: &str, value: &str| spec.settings.insert(name.to_owned(), value.to_owned());
        setting("commit", &range.head);
        setting("commit before", range.base.as_deref().unwrap_or_default());
        let paths: Vec<&str> = self.history.paths.iter().map(RelativePath::as_str).collect();
        setting("paths", &paths.join("\n"));
        setting("title", &style.title);
        setting("left out", &style.leave_out.join(" "));
        setting("address of commits", style.commit_url.as_deref().unwrap_or_default());
        setting("address of issues", style.issue_url.as_deref().unwrap_or_default());
        setting("authors", if style.authors { "named" } else { "" });
        for (index, (title, types)) in style.groups.iter().enumerate() {
            setting(&format!("group {index:03}"), &format!("{}: {title}", types.join(" ")));
        }
        Ok(Prepared::by_key(spec).with(range))
    }

    fn run(&self, prepared: &Prepared<Range>, context: &Job<'_>) -> Result<Report, StepError> {
        let (commits, has_more) = self.history.commits(&prepared.findings, COMMITS_MAX).map_err(unanswered)?;
        let path = self.name.below(context.staging);
        let text = changelog(&commits, has_more, &self.style);
        std::fs::write(&path, text).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report::default())
    }
}

fn unanswered(why: String) -> StepError {
    StepError::environment(format!("no changelog: {why}"))
        .hint("a changelog needs the whole history: `git fetch --unshallow --tags`, or leave `changelog` out")
}
