//! `Git(Version)`: the version that a release of HEAD has. Its own tag, or one made of the last tag and of the commit.

use rondel_buildfile::{GitQuery, TimeFormat, VersionFact, VersionForm};
use rondel_names::SemanticVersion;

use crate::request::VersionMode;

/// Maximum number of tags that look like versions, are none, and are passed by.
const PASSED_MAX: usize = 50;

/// What a version is made of.
pub(super) struct Asker<'a> {
    /// Asks git.
    pub ask: &'a dyn Fn(&[&str]) -> Option<String>,
    /// Answers other queries.
    pub get: &'a dyn Fn(&GitQuery) -> Option<String>,
    pub warn: &'a dyn Fn(String),
    pub mode: VersionMode,
    pub is_shallow: bool,
    /// True if git need not be asked for tags.
    pub is_untagged: bool,
}

/// The last tag that is a version.
struct LastTag {
    name: String,
    version: SemanticVersion,
    /// Number of commits since then; 0 if HEAD has it.
    commits: u64,
}

impl Asker<'_> {
    /// Returns the version of HEAD.
    pub fn version(&self, form: &VersionForm) -> Option<String> {
        let last = if self.is_untagged { None } else { self.last_tag(&form.prefix) };
        if self.is_shallow && last.as_ref().is_none_or(|last| last.commits > 0) {
            (self.warn)("this is a shallow clone: `Git(Version)` may miss the last tag (`git fetch --unshallow --tags` completes it)".to_owned());
        }
        let template = match (self.mode, &last) {
            (VersionMode::Tag, Some(last)) if last.commits == 0 => return Some(last.version.to_string()),
            (VersionMode::Tag | VersionMode::Snapshot, _) => &form.snapshot,
            (VersionMode::Nightly, _) => &form.nightly,
        };
        let none = SemanticVersion::new("0.0.0").expect("a version");
        let of_tag = last.as_ref().map_or(&none, |last| &last.version);
        let text = template.fill(&mut |fact| match fact {
            VersionFact::Version => Some(of_tag.without_build().to_owned()),
            VersionFact::NextPatch => Some(of_tag.next_patch()),
            VersionFact::NextMinor => Some(of_tag.next_minor()),
            VersionFact::Commits => match &last {
                Some(last) => Some(last.commits.to_string()),
                None => (self.get)(&GitQuery::CommitCount),
            },
            VersionFact::Commit => (self.get)(&GitQuery::Commit),
            VersionFact::ShortCommit => (self.get)(&GitQuery::ShortCommit(7)),
            VersionFact::Date => (self.get)(&GitQuery::CommitTime(TimeFormat::parse("%Y%m%d").ok())),
        })?;
        let version = SemanticVersion::new(&text).ok()?;
        if let Some(last) = last.filter(|last| version <= last.version) {
            let last = last.name;
            (self.warn)(format!("the version `{text}` does not come after the tag `{last}` in the order of versions"));
        }
        // Without a commit there is no version of it.
        (self.get)(&GitQuery::Commit).map(|_| text)
    }

    /// Returns the last tag behind HEAD that is a version; of several at one commit the latest version.
    fn last_tag(&self, prefix: &str) -> Option<LastTag> {
        let mut passed: Vec<String> = Vec::new();
        let matches = [format!("--match={prefix}v[0-9]*"), format!("--match={prefix}[0-9]*")];
        for _ in 0..PASSED_MAX {
            let mut words = vec!["describe", "--tags", "--long", "--abbrev=40"];
            words.extend(matches.iter().map(String::as_str));
            words.extend(passed.iter().map(String::as_str));
            let answer = (self.ask)(&words)?;
            let mut parts = answer.trim().rsplitn(3, '-').skip(1);
            let (commits, name) = (parts.next()?.parse().ok()?, parts.next()?);
            let at = format!("--points-at=refs/tags/{name}^{{commit}}");
            let beside = (self.ask)(&["for-each-ref", "--format=%(refname:strip=2)", &at, "refs/tags/"])?;
            let versions = beside.lines().filter_map(|name| Some((name, version_of(name, prefix)?)));
            if let Some((name, version)) = versions.max_by(|one, other| one.1.cmp(&other.1).then(other.0.cmp(one.0))) {
                return Some(LastTag { name: name.to_owned(), version, commits });
            }
            passed.push(format!("--exclude={name}"));
        }
        None
    }
}

/// Returns the version that a tag with this prefix is.
fn version_of(tag: &str, prefix: &str) -> Option<SemanticVersion> {
    let rest = tag.strip_prefix(prefix)?;
    SemanticVersion::new(rest.strip_prefix('v').unwrap_or(rest)).ok()
}
