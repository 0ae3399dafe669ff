//! `SemanticVersion`: a version by the rules of SemVer 2.0.0, and which of two comes later.

use std::cmp::Ordering;
use std::fmt;

/// A version like `1.2.3-rc.1+build`, without a `v`. Two are equal if neither comes later: what follows `+` does not count.
#[derive(Clone, Debug)]
pub struct SemanticVersion {
    text: String,
    numbers: [u64; 3],
    pre_release: Vec<Identifier>,
}

/// A part of what follows the first `-`. Numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

/// The error for a text that is no semantic version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SemanticVersionError(String);

impl SemanticVersion {
    /// Reads a version; the error states the mistake.
    pub fn new(text: &str) -> Result<SemanticVersion, SemanticVersionError> {
        let refused = |why: String| Err(SemanticVersionError(why));
        if text.len() > 255 {
            return refused("it has more than 255 characters".to_owned());
        }
        let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
        let (core, pre_release) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
        let parts: Vec<&str> = core.split('.').collect();
        let [major, minor, patch] = parts.as_slice() else {
            return refused(format!("`{}` is not three numbers", core.escape_debug()));
        };
        let numbers = [number(major)?, number(minor)?, number(patch)?];
        let pre_release = match pre_release {
            Some(text) => text.split('.').map(identifier).collect::<Result<Vec<_>, _>>()?,
            None => Vec::new(),
        };
        if let Some(wrong) = build.and_then(|build| build.split('.').find(|part| !is_identifier(part))) {
            return refused(format!("`{}` can't follow `+`", wrong.escape_debug()));
        }
        Ok(SemanticVersion { text: text.to_owned(), numbers, pre_release })
    }

    /// Returns true for one with `-` and a word, which comes before the version without.
    pub fn is_pre_release(&self) -> bool {
        !self.pre_release.is_empty()
    }

    /// Returns the text without what follows `+`.
    pub fn without_build(&self) -> &str {
        self.text.split('+').next().unwrap_or_default()
    }

    /// Returns the next patch: `1.2.4` of `1.2.3`, and `1.2.3` of `1.2.3-rc.1`, which it follows.
    pub fn next_patch(&self) -> String {
        let [major, minor, patch] = self.numbers;
        let patch = if self.is_pre_release() { patch } else { patch.saturating_add(1) };
        format!("{major}.{minor}.{patch}")
    }

    /// Returns the next minor version: `1.3.0` of `1.2.3`, and of `1.3.0-rc.1`, which it follows.
    pub fn next_minor(&self) -> String {
        let [major, minor, patch] = self.numbers;
        let minor = if self.is_pre_release() && patch == 0 { minor } else { minor.saturating_add(1) };
        format!("{major}.{minor}.0")
    }
}

fn number(text: &str) -> Result<u64, SemanticVersionError> {
    let refused = |why: &str| SemanticVersionError(format!("`{}` {why}", text.escape_debug()));
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused("is no number"));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(refused("begins with 0"));
    }
    text.parse().map_err(|_| refused("is too large"))
}

fn identifier(text: &str) -> Result<Identifier, SemanticVersionError> {
    if !is_identifier(text) {
        return Err(SemanticVersionError(format!("`{}` can't follow `-`", text.escape_debug())));
    }
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => number(text).map(Identifier::Number),
        false => Ok(Identifier::Word(text.to_owned())),
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl fmt::Display for SemanticVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Ord for SemanticVersion {
    fn cmp(&self, other: &SemanticVersion) -> Ordering {
        let pre_releases = match (self.is_pre_release(), other.is_pre_release()) {
            (true, true) => self.pre_release.cmp(&other.pre_release),
            (mine, others) => others.cmp(&mine),
        };
        self.numbers.cmp(&other.numbers).then(pre_releases)
    }
}

impl PartialOrd for SemanticVersion {
    fn partial_cmp(&self, other: &SemanticVersion) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SemanticVersion {
    fn eq(&self, other: &SemanticVersion) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SemanticVersion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_specification() {
        let sorted = [
            "0.0.0",
            "1.0.0-1",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1-x--y",
            "1.0.10",
            "2.0.0+b",
        ];
        let versions: Vec<SemanticVersion> = sorted.iter().map(|text| SemanticVersion::new(text).unwrap()).collect();
        for (index, version) in versions.iter().enumerate() {
            for (other_index, other) in versions.iter().enumerate() {
                assert_eq!(version.cmp(other), index.cmp(&other_index), "{version} {other}");
            }
        }
        assert_eq!(SemanticVersion::new("1.2.3+a"), SemanticVersion::new("1.2.3+b"));
    }

    #[test]
    fn what_comes_next() {
        let next = |text: &str| {
            let version = SemanticVersion::new(text).unwrap();
            format!("{} {} {}", version.without_build(), version.next_patch(), version.next_minor())
        };
        assert_eq!(next("1.2.3+b-c"), "1.2.3 1.2.4 1.3.0");
        assert_eq!(next("1.2.3-rc.1"), "1.2.3-rc.1 1.2.3 1.3.0");
        assert_eq!(next("1.3.0-rc.1+x"), "1.3.0-rc.1 1.3.0 1.3.0");
    }

    #[test]
    fn no_versions() {
        for (text, why) in [
            ("", "`` is not three numbers"),
            ("1.2", "`1.2` is not three numbers"),
            ("1.2.3.4", "`1.2.3.4` is not three numbers"),
            ("v1.2.3", "`v1` is no number"),
            ("1.02.3", "`02` begins with 0"),
            ("1.2.3-", "`` can't follow `-`"),
            ("1.2.3-01", "`01` begins with 0"),
            ("1.2.3-a..b", "`` can't follow `-`"),
            ("1.2.3-ä", "`ä` can't follow `-`"),
            ("1.2.3+", "`` can't follow `+`"),
            ("1.2.3+a/b", "`a/b` can't follow `+`"),
            ("1.2.99999999999999999999", "`99999999999999999999` is too large"),
        ] {
            assert_eq!(SemanticVersion::new(text).unwrap_err().to_string(), why, "{text}");
        }
        assert!(SemanticVersion::new(&format!("1.2.3-{}", "a".repeat(250))).is_err());
    }
}
