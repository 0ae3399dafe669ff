//! The rules of a release's version: what HEAD and the tree have to be, before anything is built. It publishes nothing.

use rondel_buildfile::{GitQuery, Span};
use rondel_engine::UserError;
use rondel_names::SemanticVersion;

use crate::analyzer::{Analyzed, Analyzer};
use crate::git::{Changes, changes};
use crate::request::VersionMode;

/// Digits of a commit in messages.
const SHORT: usize = 7;

/// Checks that HEAD and the tree are what a release of this version demands: the commit has the tag of that version, and the
/// tracked files are those of the commit. With `--nightly` no tag is asked for, and with `--snapshot` nothing at all.
pub(crate) fn check_release(analyzer: &mut Analyzer<'_>, version: &str, span: Span) -> Analyzed<()> {
    let request = analyzer.request;
    let git = analyzer.variables.repository();
    git.use_mode();
    // A question about many targets is no release.
    if !request.is_ordered {
        return Ok(());
    }
    let parsed = match SemanticVersion::new(version) {
        Ok(parsed) => parsed,
        Err(why) => {
            let message = format!("`{}` is no semantic version: {why}", version.escape_debug());
            if request.version_mode == VersionMode::Snapshot {
                analyzer.warnings.push(format!("the version of the release: {message}"));
                return Ok(());
            }
            let hint = "a release is called MAJOR.MINOR.PATCH, like the tag `v1.2.3`; `Git(Version)` in `vars` takes it from \
                        there. `--snapshot` builds a release to try out";
            return Err(UserError::input(message).at(span).hint(hint));
        }
    };
    // Sources that were unpacked have no tags to be held against.
    let is_another = request.version_mode != VersionMode::Nightly || git.version_prefix().is_some();
    if !git.has_repository() && is_another {
        return Ok(());
    }
    let state = State {
        mode: request.version_mode,
        commit: git.get(&GitQuery::Commit),
        tags: git.tags_here(),
        prefix: git.version_prefix(),
    };
    let checked = state.check(&parsed, &|| changes(request.environment, &request.repository, &request.notes));
    checked.map_err(|error| error.at(span))
}

/// Refuses to publish what was built with `--snapshot`.
pub(crate) fn check_publishing(mode: VersionMode, span: Span) -> Analyzed<()> {
    match mode {
        VersionMode::Tag | VersionMode::Nightly => Ok(()),
        VersionMode::Snapshot => Err(UserError::input("nothing is published with `--snapshot`")
            .at(span)
            .hint("leave it out, or build the targets that this one publishes")),
    }
}

/// Returns the tag of HEAD that has this version, if there is one.
pub(crate) fn tag_here(analyzer: &Analyzer<'_>, version: &str) -> Option<String> {
    let git = analyzer.variables.repository();
    let prefix = git.version_prefix();
    git.tags_here()?.into_iter().find(|tag| is_tag_of(tag, prefix.as_deref(), version))
}

/// Returns true if a tag has this version: with or without `v`, and with a path before it (`cli/v1.2.3`).
fn is_tag_of(tag: &str, prefix: Option<&str>, version: &str) -> bool {
    let name = match prefix {
        Some(prefix) => tag.strip_prefix(prefix).unwrap_or_default(),
        None => tag.rsplit('/').next().unwrap_or_default(),
    };
    name.strip_prefix('v').unwrap_or(name) == version
}

/// What is known of the repository.
struct State {
    mode: VersionMode,
    commit: Option<String>,
    /// The tags of HEAD; `None` if git does not tell.
    tags: Option<Vec<String>>,
    /// What `Git(Version)` was asked for, if the version is its answer.
    prefix: Option<String>,
}

impl State {
    fn check(&self, version: &SemanticVersion, changes: &dyn Fn() -> Option<Changes>) -> Result<(), UserError> {
        if self.mode == VersionMode::Nightly && self.prefix.is_none() {
            let message =
                format!("`--nightly` gives no other version than `{version}`, which `Git(Version)` did not answer");
            return Err(UserError::input(message).hint("write `\"version\": Git(Version)` in `vars`"));
        }
        let Some(commit) = &self.commit else {
            return match self.mode {
                VersionMode::Snapshot => Ok(()),
                VersionMode::Tag | VersionMode::Nightly => Err(no_commit(version)),
            };
        };
        match self.mode {
            VersionMode::Snapshot => return Ok(()),
            VersionMode::Nightly => {}
            VersionMode::Tag => self.check_tag(version, commit)?,
        }
        let commit = short(commit);
        let changes = changes().ok_or_else(|| {
            UserError::environment(format!("git does not say which files the commit `{commit}` has"))
                .hint("a clone with all objects of its commit says so; `--snapshot` builds a release to try out")
        })?;
        let Some(first) = changes.first else { return Ok(()) };
        let others = match changes.count {
            0 | 1 => String::new(),
            2 => ", and another file does".to_owned(),
            count => format!(", and {} other files do", count - 1),
        };
        let message = format!("`{}` differs from the commit `{commit}` that is released{others}", first.escape_debug());
        Err(UserError::input(message)
            .hint("commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out"))
    }

    /// Checks that HEAD has the tag of the version.
    fn check_tag(&self, version: &SemanticVersion, commit: &str) -> Result<(), UserError> {
        let text = version.to_string();
        let Some(tags) = &self.tags else {
            let message = format!("git does not say which tags the commit `{}` has", short(commit));
            return Err(UserError::environment(message)
                .hint("the program `git` has to be on PATH; `--snapshot` builds a release to try out"));
        };
        if tags.iter().any(|tag| is_tag_of(tag, self.prefix.as_deref(), &text)) {
            return Ok(());
        }
        let commit = short(commit);
        let tags: Vec<String> = tags.iter().take(3).map(|tag| format!("`{}`", tag.escape_debug())).collect();
        let has = match tags.as_slice() {
            [] => "has no tag".to_owned(),
            tags => format!("has {}", tags.join(", ")),
        };
        let message = format!("the version of the release is `{text}`, and its commit `{commit}` {has}");
        // What stands for a commit without a tag is no good name for one.
        let wanted = match (&self.prefix, version.is_pre_release()) {
            (Some(_), true) => version.next_patch(),
            _ => text,
        };
        let prefix = self.prefix.as_deref().unwrap_or_default();
        Err(UserError::input(message).hint(format!(
            "tag the commit, `git tag {prefix}v{wanted}`, or build a release to try out with `--snapshot`"
        )))
    }
}

fn no_commit(version: &SemanticVersion) -> UserError {
    UserError::input(format!("the release `{version}` is of no commit: git has no answer here"))
        .hint("a release is made of a tagged commit; `--snapshot` builds one to try out")
}

fn short(commit: &str) -> String {
    commit.chars().take(SHORT).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn state(tags: &[&str]) -> State {
        State {
            mode: VersionMode::Tag,
            commit: Some("0123456789".repeat(4)),
            tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            prefix: None,
        }
    }

    /// Returns the refusal with its hint, or "fine".
    fn checked(state: &State, version: &str, changed: &[&str]) -> String {
        let changes = || Some(Changes { first: changed.first().map(|&path| path.to_owned()), count: changed.len() });
        match state.check(&SemanticVersion::new(version).unwrap(), &changes) {
            Ok(()) => "fine".to_owned(),
            Err(error) => format!("{}\n  {}", error.message, error.hint.unwrap_or_default()),
        }
    }

    #[test]
    fn tags_that_are_the_version() {
        for (tags, version) in [
            (&["v1.2.3"][..], "1.2.3"),
            (&["1.2.3"], "1.2.3"),
            (&["other", "cli/v1.2.3"], "1.2.3"),
            (&["v1.2.3-rc.1+b"], "1.2.3-rc.1+b"),
        ] {
            assert_eq!(checked(&state(tags), version, &[]), "fine", "{tags:?}");
        }
        let prefixed = |tags| State { prefix: Some("cli/".to_owned()), ..state(tags) };
        assert_eq!(checked(&prefixed(&["cli/v1.2.3"]), "1.2.3", &[]), "fine");
        let refused = [
            checked(&prefixed(&["v1.2.3", "server/v1.2.3"]), "1.2.3", &[]),
            checked(&prefixed(&[]), "1.2.4-snapshot.1.gabc", &[]),
            checked(&state(&["v1.2.2"]), "1.2.3", &[]),
            checked(&state(&["v1.2.3-rc.1"]), "1.2.3", &[]),
            checked(&state(&[]), "1.2.3-rc.1", &[]),
        ];
        expect![[r#"
            the version of the release is `1.2.3`, and its commit `0123456` has `v1.2.3`, `server/v1.2.3`
              tag the commit, `git tag cli/v1.2.3`, or build a release to try out with `--snapshot`
            the version of the release is `1.2.4-snapshot.1.gabc`, and its commit `0123456` has no tag
              tag the commit, `git tag cli/v1.2.4`, or build a release to try out with `--snapshot`
            the version of the release is `1.2.3`, and its commit `0123456` has `v1.2.2`
              tag the commit, `git tag v1.2.3`, or build a release to try out with `--snapshot`
            the version of the release is `1.2.3`, and its commit `0123456` has `v1.2.3-rc.1`
              tag the commit, `git tag v1.2.3`, or build a release to try out with `--snapshot`
            the version of the release is `1.2.3-rc.1`, and its commit `0123456` has no tag
              tag the commit, `git tag v1.2.3-rc.1`, or build a release to try out with `--snapshot`"#]]
        .assert_eq(&refused.join("\n"));
    }

    #[test]
    fn files_that_differ() {
        let tagged = state(&["v1.2.3"]);
        let refused =
            [&["a.go"][..], &["a.go", "b"], &["a\n.go", "b", "c"]].map(|paths| checked(&tagged, "1.2.3", paths));
        expect![[r#"
            `a.go` differs from the commit `0123456` that is released
              commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out
            `a.go` differs from the commit `0123456` that is released, and another file does
              commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out
            `a\n.go` differs from the commit `0123456` that is released, and 2 other files do
              commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out"#]]
        .assert_eq(&refused.join("\n"));
        let none = tagged.check(&SemanticVersion::new("1.2.3").unwrap(), &|| None).unwrap_err();
        expect!["git does not say which files the commit `0123456` has"].assert_eq(&none.message);
    }

    /// Without git a commit that has its tag is none that lacks it.
    #[test]
    fn tags_that_nobody_tells() {
        let without_git = State { tags: None, ..state(&[]) };
        let refused = without_git.check(&SemanticVersion::new("1.2.3").unwrap(), &|| None).unwrap_err();
        expect!["git does not say which tags the commit `0123456` has"].assert_eq(&refused.message);
        assert_eq!(checked(&State { mode: VersionMode::Snapshot, ..without_git }, "1.2.3", &[]), "fine");
    }

    #[test]
    fn other_modes() {
        let of = |mode, prefix: Option<&str>| State { mode, prefix: prefix.map(str::to_owned), ..state(&[]) };
        assert_eq!(checked(&of(VersionMode::Snapshot, None), "1.2.3-4-gabc", &["a.go"]), "fine");
        assert_eq!(checked(&State { commit: None, ..of(VersionMode::Snapshot, None) }, "1.2.3", &[]), "fine");
        assert_eq!(checked(&of(VersionMode::Nightly, Some("")), "1.2.4-nightly.1", &[]), "fine");
        let refused = [
            checked(&of(VersionMode::Nightly, Some("")), "1.2.4-nightly.1", &["a.go"]),
            checked(&of(VersionMode::Nightly, None), "1.2.3", &[]),
            checked(&State { commit: None, ..state(&[]) }, "1.2.3", &[]),
        ];
        expect![[r#"
            `a.go` differs from the commit `0123456` that is released
              commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out
            `--nightly` gives no other version than `1.2.3`, which `Git(Version)` did not answer
              write `"version": Git(Version)` in `vars`
            the release `1.2.3` is of no commit: git has no answer here
              a release is made of a tagged commit; `--snapshot` builds one to try out"#]]
        .assert_eq(&refused.join("\n"));
    }
}
