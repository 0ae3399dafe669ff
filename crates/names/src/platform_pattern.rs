//! `PlatformPattern`: some platforms, as `windows/*` or `linux/arm`.

use std::fmt;

use crate::platform::Platform;

/// `os/arch` or `os/arch/variant`, with `*` for any. Without the variant, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformPattern {
    parts: Vec<String>,
}

/// Go has no platform like that, or the form is another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformPatternError {
    /// Another form.
    #[error("`{0}` is no pattern of platforms")]
    Form(String),
    /// No such platform.
    #[error("`{0}` matches no platform that Go knows")]
    Unknown(String),
}

impl PlatformPattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<PlatformPattern, PlatformPatternError> {
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        let is_part = |part: &String| part == "*" || !part.is_empty() && !part.contains('*');
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_part) {
            return Err(PlatformPatternError::Form(text.to_owned()));
        }
        let pattern = PlatformPattern { parts };
        let variant = pattern.parts.get(2).filter(|variant| *variant != "*");
        let with_variant = |platform: String| match variant {
            Some(variant) => Platform::new(&format!("{platform}/{variant}")).ok(),
            None => Platform::new(&platform).ok(),
        };
        if !Platform::all().filter_map(with_variant).any(|platform| pattern.matches(&platform)) {
            return Err(PlatformPatternError::Unknown(text.to_owned()));
        }
        Ok(pattern)
    }

    /// Returns true if it is for `platform`.
    pub fn matches(&self, platform: &Platform) -> bool {
        let of_platform = [Some(platform.os()), Some(platform.architecture()), platform.variant()];
        self.parts.iter().zip(of_platform).all(|(part, own)| part == "*" || Some(part.as_str()) == own)
    }

    /// Returns the number of parts that are no `*`.
    pub fn exactness(&self) -> usize {
        self.parts.iter().filter(|part| *part != "*").count()
    }
}

impl fmt::Display for PlatformPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let matches = |pattern: &str, platform: &str| {
            PlatformPattern::new(pattern).unwrap().matches(&Platform::new(platform).unwrap())
        };
        for (pattern, platform) in [
            ("windows/*", "windows/arm64"),
            ("*/arm64", "linux/arm64"),
            ("*/arm64", "linux/arm64/v8"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/*/v7", "linux/arm/v7"),
            ("linux/arm/*", "linux/arm"),
            ("*/*", "js/wasm"),
        ] {
            assert!(matches(pattern, platform), "{pattern} {platform}");
        }
        for (pattern, platform) in
            [("windows/*", "linux/amd64"), ("linux/arm/v7", "linux/arm"), ("linux/arm/v7", "linux/arm/v6")]
        {
            assert!(!matches(pattern, platform), "{pattern} {platform}");
        }
        for wrong in ["*", "linux", "linux/arm*", "linux/", "/arm", "a/b/c/d", "", "linux//v7"] {
            assert_eq!(PlatformPattern::new(wrong), Err(PlatformPatternError::Form(wrong.to_owned())), "{wrong}");
        }
        for wrong in ["linus/*", "windows/z80", "linux/s390x/v1", "darwin/*/v7"] {
            assert_eq!(PlatformPattern::new(wrong), Err(PlatformPatternError::Unknown(wrong.to_owned())), "{wrong}");
        }
        let exact = |pattern: &str| PlatformPattern::new(pattern).unwrap().exactness();
        assert_eq!([exact("*/*"), exact("windows/*"), exact("linux/arm"), exact("linux/arm/v7")], [0, 1, 2, 3]);
    }
}
