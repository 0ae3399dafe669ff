//! Names of the files of a release.

use rondel_buildfile::{
    ArtifactName, NameValue, Platform, Release, Span, TargetName, VariableName, VariableUse, is_sound,
};
use rondel_cas::RelativePath;
use rondel_engine::UserError;

use crate::analyzer::{Analyzed, Analyzer};

/// What names of files of a release are made of.
#[derive(Clone, Debug)]
pub(crate) struct ReleaseNames {
    project: String,
    target: TargetName,
    /// As it stands in names: `1.2.3`.
    pub version: String,
}

/// Longest name of a file, in bytes: the most that file systems hold, less the endings that are added to one.
const NAME_MAX: usize = 200;

impl ReleaseNames {
    /// Returns the names of a release. For use in the step's closure: the version may say whether sources are dirty.
    pub fn of(analyzer: &Analyzer<'_>, release: &Release, target: &TargetName, span: Span) -> Analyzed<ReleaseNames> {
        let project = analyzer.request.file.project.value.clone();
        let (version, span) = match &release.version {
            Some(text) => (analyzer.variables.text(text).map_err(|error| error.at(text.span))?, text.span),
            None => (default_version(analyzer).map_err(|error| error.at(span))?, span),
        };
        let wrong = match version.chars().find(|character| !is_sound(*character)) {
            _ if version.is_empty() => Some("it is empty".to_owned()),
            _ if version.starts_with(['.', '-']) => Some("it begins like a hidden file, or a flag".to_owned()),
            None => None,
            Some(character) => Some(format!("`{}` can't be in the name of a file", character.escape_debug())),
        };
        match wrong {
            None => Ok(ReleaseNames { project, target: target.clone(), version }),
            Some(why) => {
                Err(UserError::input(format!("the version `{}` of `{target}`: {why}", version.escape_debug()))
                    .at(span)
                    .hint("a version is like 1.2.3 or 1.3.0-rc.1; the filter `slug` makes a sound text"))
            }
        }
    }

    /// Returns the name of a file.
    pub fn fill(&self, name: &ArtifactName, platform: Option<&Platform>) -> Analyzed<String> {
        let of_platform = |value: &dyn Fn(&Platform) -> String| platform.map(value).unwrap_or_default();
        let filled = name.fill(&|value| match value {
            NameValue::Project => self.project.clone(),
            NameValue::Version => self.version.clone(),
            // A name of a target may have slashes.
            NameValue::Target => self.target.as_str().replace('/', "-"),
            NameValue::Os => of_platform(&|platform| platform.os().to_owned()),
            NameValue::Architecture => of_platform(&architecture),
        });
        if filled.len() > NAME_MAX || filled.starts_with(['.', '-']) {
            let message = format!("`{filled}` can't be the name of a file of a release");
            let hint = format!("at most {NAME_MAX} characters, and no dot or dash first");
            return Err(UserError::input(message).at(name.text().span).hint(hint));
        }
        Ok(filled)
    }
}

/// Returns the architecture as names of archives have it: Go's word, and the variant where the platform names one.
fn architecture(platform: &Platform) -> String {
    let variant = platform.variant().unwrap_or_default();
    format!("{}{}", platform.architecture(), variant.replace('.', "-"))
}

/// Returns the value of the variable `version`, without the `v` of tags.
fn default_version(analyzer: &Analyzer<'_>) -> Analyzed<String> {
    let name = VariableName::new("version").map_err(|error| UserError::input(error.to_string()))?;
    if !analyzer.request.file.vars.contains_key(&name) {
        return Err(UserError::input("a `Release` has a version, and there is no variable `version`")
            .hint("write `vars: {\"version\": Git(Version)}`, or `version:` in the `Release`"));
    }
    let used = VariableUse::parse("version|trim_prefix:v").map_err(UserError::input)?;
    analyzer.variables.used(&used)
}

/// Returns a name of a file as a path.
pub(crate) fn path_of(name: &str) -> Analyzed<RelativePath> {
    RelativePath::new(name).map_err(|error| UserError::input(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_platforms_as_people_know_them() {
        for (platform, expected) in
            [("linux/amd64", "amd64"), ("linux/arm/v7", "armv7"), ("linux/amd64/v3", "amd64v3"), ("windows/386", "386")]
        {
            assert_eq!(architecture(&Platform::new(platform).unwrap()), expected);
        }
    }
}
