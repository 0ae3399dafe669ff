//! The places of `publish`, with their texts evaluated.

use std::path::PathBuf;

use rondel_buildfile::{
    ForgeRelease, ForgeToken, GitQuery, Prerelease, PublishTo, Release, Span, Text, TextSource, VariableName,
};
use rondel_engine::UserError;
use rondel_forge::{Announcement, ForgeError, ForgeKind, Place, Token};

use super::made::MadeRelease;
use crate::analyzer::{Analyzed, Analyzer};
use crate::release::{check_publishing, tag_here};

/// GitHub's own interface.
const GITHUB_API: &str = "https://api.github.com";

/// Where a release goes.
pub(super) enum Goal {
    /// A release at a forge.
    Forge { place: Place, token: Token, announcement: Announcement },
    /// A directory.
    Directory { path: PathBuf, written: String },
}

impl Goal {
    /// Returns its name for people, which is another for each place.
    pub fn name(&self) -> String {
        match self {
            Goal::Forge { place, .. } => format!("{}/{}", place.host(), place.repository()),
            Goal::Directory { written, .. } => written.clone(),
        }
    }
}

/// A forge, as build.ron has it.
struct Forge<'a> {
    kind: ForgeKind,
    url: Option<&'a Text>,
    repository: &'a Text,
    token: Option<&'a ForgeToken>,
    /// The variable of the token if none is named.
    usual_token: &'static str,
    release: &'a ForgeRelease,
}

impl<'a> Forge<'a> {
    /// Returns the forge of a place; `None` for a directory.
    fn of(place: &'a PublishTo) -> Option<Forge<'a>> {
        match place {
            PublishTo::GitHub(of) => Some(Forge {
                kind: ForgeKind::GitHub,
                url: of.url.as_ref(),
                repository: &of.repository,
                token: of.token.as_ref(),
                usual_token: "GITHUB_TOKEN",
                release: &of.release,
            }),
            PublishTo::Gitea(of) => Some(Forge {
                kind: ForgeKind::Gitea,
                url: Some(&of.url),
                repository: &of.repository,
                token: of.token.as_ref(),
                usual_token: "GITEA_TOKEN",
                release: &of.release,
            }),
            PublishTo::Directory(_) => None,
        }
    }

    /// Returns the repository and the token for it.
    fn reach(&self, analyzer: &Analyzer<'_>) -> Analyzed<(Place, Token)> {
        let span = self.repository.span;
        let url = self.url.map(|url| evaluated(analyzer, url)).transpose()?;
        let repository = evaluated(analyzer, self.repository)?;
        let place = Place::new(self.kind, url.as_deref().unwrap_or(GITHUB_API), &repository);
        let place = place.map_err(|error| wrong(&error).at(self.url.map_or(span, |url| url.span)))?;
        if analyzer.request.offline {
            let message = format!("a release goes to {}, and --offline forbids to ask it", place.host());
            return Err(UserError::environment(message).at(span).hint("run without --offline"));
        }
        let (name, span) = match self.token.map(|token| (&token.text().source, token.text().span)) {
            Some((TextSource::Secret { name }, span)) => (name.as_str(), span),
            _ => (self.usual_token, span),
        };
        let token = Token::new(&analyzer.variables.secret(name, span)?);
        let token = token.map_err(|error| UserError::environment(format!("{name}: {error}")).at(span))?;
        Ok((place, token))
    }
}

/// Fails if a place can't be reached for a reason that is known before anything is made.
pub(super) fn check(analyzer: &Analyzer<'_>, release: &Release, span: Span) -> Analyzed<()> {
    check_publishing(analyzer.request.version_mode, span)?;
    release.publish.iter().filter_map(Forge::of).try_for_each(|forge| forge.reach(analyzer).map(|_| ()))
}

/// Returns the places of a release, each once.
pub(super) fn goals(analyzer: &Analyzer<'_>, release: &Release, made: &MadeRelease) -> Analyzed<Vec<Goal>> {
    let mut goals: Vec<Goal> = Vec::new();
    for place in &release.publish {
        let (goal, span) = match (Forge::of(place), place) {
            (Some(forge), _) => {
                let announcement = announcement(analyzer, &forge, made)?;
                let (place, token) = forge.reach(analyzer)?;
                (Goal::Forge { place, token, announcement }, forge.repository.span)
            }
            (None, PublishTo::Directory(text)) => (directory(analyzer, text)?, text.span),
            (None, PublishTo::GitHub(_) | PublishTo::Gitea(_)) => continue,
        };
        if goals.iter().any(|other| other.name() == goal.name()) {
            return Err(UserError::input(format!("the release goes to {} twice", goal.name())).at(span));
        }
        goals.push(goal);
    }
    Ok(goals)
}

fn directory(analyzer: &Analyzer<'_>, text: &Text) -> Analyzed<Goal> {
    let path = evaluated(analyzer, text)?;
    if path.is_empty() {
        return Err(UserError::input("the directory of a release has no name").at(text.span));
    }
    Ok(Goal::Directory { path: analyzer.root.join(&path), written: path })
}

fn announcement(analyzer: &Analyzer<'_>, forge: &Forge<'_>, made: &MadeRelease) -> Analyzed<Announcement> {
    let of = forge.release;
    let (tag, span) = match &of.tag {
        Some(text) => (evaluated(analyzer, text)?, text.span),
        None => (default_tag(analyzer, made)?, forge.repository.span),
    };
    check_tag(&tag).map_err(|error| error.at(span))?;
    let title = of.title.as_ref().map(|text| evaluated(analyzer, text)).transpose()?;
    let is_prerelease = match of.prerelease {
        Prerelease::Auto => is_prerelease(&made.version),
        Prerelease::Is(value) => value,
    };
    Ok(Announcement {
        name: title.unwrap_or_else(|| tag.clone()),
        tag,
        notes: made.notes.clone(),
        commit: analyzer.variables.git(&GitQuery::Commit),
        is_prerelease,
        stays_draft: of.draft,
        replaces: of.replace,
    })
}

/// Returns the tag of the commit that has the version; or else the variable `version`, which may have the `v` that the
/// version in names lacks; or else that version.
fn default_tag(analyzer: &Analyzer<'_>, made: &MadeRelease) -> Analyzed<String> {
    let name = VariableName::new("version").map_err(|error| UserError::input(error.to_string()))?;
    let value = match analyzer.request.file.vars.contains_key(&name) {
        true => analyzer.variables.both(&|| analyzer.variables.value(&name))?.0,
        false => made.version.clone(),
    };
    if let Some(tag) = tag_here(analyzer, &made.version) {
        return Ok(tag);
    }
    let is_same = value.strip_prefix('v').unwrap_or(&value) == made.version;
    Ok(if is_same { value } else { made.version.clone() })
}

/// Refuses what is no tag of a commit that others can get.
fn check_tag(tag: &str) -> Result<(), UserError> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
    let hint = "tag the commit and push the tag: `git tag v1.2.3`; or write `tag:`";
    if tag.is_empty() || tag.starts_with(['-', '.', '/']) || tag.contains("..") || !tag.chars().all(is_sound) {
        return Err(UserError::input(format!("`{}` is no tag of a release", tag.escape_debug())).hint(hint));
    }
    let described = tag.strip_suffix("-dirty").unwrap_or(tag).rsplit_once("-g").is_some_and(|(before, commit)| {
        let count = before.rsplit_once('-').map(|(_, count)| count).unwrap_or_default();
        let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        is_count && commit.len() >= 4 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if described || tag.ends_with("-dirty") {
        let message = format!("`{tag}` is no tag: the commit has none, or files differ from it");
        return Err(UserError::environment(message).hint(hint));
    }
    Ok(())
}

/// Returns true for `1.3.0-rc.1` and the like (Semantic Versioning 2.0.0, section 9).
fn is_prerelease(version: &str) -> bool {
    version.split('+').next().unwrap_or(version).contains('-')
}

/// Returns a text. It has the value for sources without changes: names of files tell the others apart.
fn evaluated(analyzer: &Analyzer<'_>, text: &Text) -> Analyzed<String> {
    let value = analyzer.variables.both(&|| analyzer.variables.text(text));
    value.map(|(clean, _)| clean).map_err(|error| error.at(text.span))
}

/// Returns the error of a forge as one of build.ron.
fn wrong(error: &ForgeError) -> UserError {
    let found = UserError::input(error.to_string());
    match error.hint() {
        Some(hint) => found.hint(hint),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_published() {
        for tag in ["v1.2.3", "1.2.3", "v1.3.0-rc.1", "tools/v1.0.0", "v1-2-green", "nightly", "v1.0.0-3-gamma"] {
            assert!(check_tag(tag).is_ok(), "{tag}");
        }
        for tag in ["", "v1.2.3-4-gabc1234", "v1.2.3-dirty", "v1.2.3-4-gabc1234-dirty", "a b", "-x", "a..b", "v1\n"] {
            assert!(check_tag(tag).is_err(), "{tag}");
        }
    }

    #[test]
    fn versions_for_testers() {
        for (version, expected) in [("1.2.3", false), ("1.3.0-rc.1", true), ("1.2.3+build-5", false)] {
            assert_eq!(is_prerelease(version), expected, "{version}");
        }
    }
}
