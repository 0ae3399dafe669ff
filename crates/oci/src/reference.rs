//! `Reference`: the name of an image, `[host[:port]/]path[:tag]` (OCI distribution specification).

/// A checked name with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    repository: String,
    tag: String,
}

/// A text that can't name an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` can't name an image: write `[registry/]name:tag`, the name in lower case")]
pub struct ReferenceError(String);

impl Reference {
    /// Reads `name` or `name:tag`; without a tag it is `latest`.
    pub fn new(text: &str) -> Result<Reference, ReferenceError> {
        let wrong = || ReferenceError(text.chars().take(200).collect::<String>().escape_debug().to_string());
        let name_start = text.rfind('/').map_or(0, |index| index + 1);
        let (repository, tag) = match text[name_start..].find(':') {
            Some(index) => (&text[..name_start + index], &text[name_start + index + 1..]),
            None => (text, "latest"),
        };
        let first = repository.split('/').next().unwrap_or("");
        let has_host = repository.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        let path = if has_host { &repository[first.len() + 1..] } else { repository };
        let sound_host = !has_host || first.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
        let sound_part = |part: &str| {
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            let body = part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
            body && edge(part.chars().next()) && edge(part.chars().last())
        };
        let sound_tag = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && tag.len() <= 128
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if sound_host && path.split('/').all(sound_part) && sound_tag && repository.len() <= 255 {
            Ok(Reference { repository: repository.to_owned(), tag: tag.to_owned() })
        } else {
            Err(wrong())
        }
    }

    /// Returns the tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn names() {
        for (text, shown) in [
            ("council", "council:latest"),
            ("council:v1", "council:v1"),
            ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
        ] {
            assert_eq!(Reference::new(text).unwrap().to_string(), shown);
        }
        for wrong in ["", "Council", "a:", "a: b", "a/", "/a", "a:b:c", "a:-x", "a\n", "a@b"] {
            assert!(Reference::new(wrong).is_err(), "{wrong}");
        }
    }
}
