//! `ImageReference`: where an image is found, as Docker reads it (`distribution/reference`): registry, repository, and a
//! tag or a digest.

use std::fmt;

use crate::image_name::{host_and_path, is_host, is_path_part, is_tag};

/// The registry of names that give none, and the part of its repositories that nobody writes.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library";

/// A checked reference: `[registry/]repository[:tag][@sha256:…]`. What Docker leaves out is filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// A text that is no reference to an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no image: write `[registry/]name:tag` or `[registry/]name@sha256:…`, the name in lower case")]
pub struct ImageReferenceError(String);

impl ImageReference {
    /// Reads a reference; without tag and digest the tag is `latest`.
    pub fn new(text: &str) -> Result<ImageReference, ImageReferenceError> {
        let wrong = || ImageReferenceError(text.chars().take(200).collect::<String>().escape_debug().to_string());
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let start = name.rfind('/').map_or(0, |index| index + 1);
        let (name, tag) = match name[start..].find(':') {
            Some(index) => (&name[..start + index], Some(&name[start + index + 1..])),
            None => (name, None),
        };
        let (registry, path) = match host_and_path(name) {
            (Some("index.docker.io"), path) => (None, path),
            found => found,
        };
        let is_sound = registry.is_none_or(is_host)
            && path.split('/').all(is_path_part)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest)
            && name.len() <= 255;
        if !is_sound {
            return Err(wrong());
        }
        let registry = registry.unwrap_or(DEFAULT_REGISTRY);
        let is_short = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if is_short { format!("{DEFAULT_NAMESPACE}/{path}") } else { path.to_owned() };
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
        Ok(ImageReference {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Returns the registry: a host, with a port if it is not the usual one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the name in the registry: `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns registry and repository: `docker.io/library/alpine`.
    pub fn full_repository(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, `sha256:…`, if there is one.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for ImageReference {
    /// Writes it whole: `docker.io/library/alpine:3.19`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Returns true for `sha256:` and 64 digits. Rondel checks bytes by no other hash.
fn is_digest(text: &str) -> bool {
    let digits = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    text.strip_prefix("sha256:").is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use super::ImageReference;

    #[test]
    fn references() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, shown) in [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            ("alpine:3.19", "docker.io/library/alpine:3.19".to_owned()),
            ("docker.io/alpine:3.19", "docker.io/library/alpine:3.19".to_owned()),
            ("index.docker.io/a/b:1", "docker.io/a/b:1".to_owned()),
            ("a/b", "docker.io/a/b:latest".to_owned()),
            ("registry.example/x", "registry.example/x:latest".to_owned()),
            ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1".to_owned()),
            ("localhost/a", "localhost/a:latest".to_owned()),
            (&format!("a@{digest}"), format!("docker.io/library/a@{digest}")),
            (&format!("a:1@{digest}"), format!("docker.io/library/a:1@{digest}")),
        ] {
            let reference = ImageReference::new(text).unwrap();
            assert_eq!(reference.to_string(), shown);
            assert_eq!(ImageReference::new(&shown).unwrap(), reference);
        }
        let short = format!("a@{}", &digest[..70]);
        let upper = format!("a@{}", digest.to_uppercase());
        let wrong = ["", "Alpine", "a:", "a@", "a@sha256:12", "a@md5:12", "a b", "/a", "a/", "a:b:c", "x.y/", "ä"];
        for text in wrong.into_iter().chain([short.as_str(), upper.as_str()]) {
            assert!(ImageReference::new(text).is_err(), "{text}");
        }
    }
}
