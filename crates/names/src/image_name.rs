//! `ImageName`: the name of an image with a tag, as Docker reads it (`distribution/reference`).

/// A checked name with a tag: `[host[:port]/]path[:tag]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    repository: String,
    tag: String,
}

/// A text that can't name an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` can't name an image: write `[registry/]name:tag`, the name in lower case")]
pub struct ImageNameError(String);

impl ImageName {
    /// Reads `name` or `name:tag`; without a tag it is `latest`.
    pub fn new(text: &str) -> Result<ImageName, ImageNameError> {
        let wrong = || ImageNameError(text.chars().take(200).collect::<String>().escape_debug().to_string());
        let name_start = text.rfind('/').map_or(0, |index| index + 1);
        let (repository, tag) = match text[name_start..].find(':') {
            Some(index) => (&text[..name_start + index], &text[name_start + index + 1..]),
            None => (text, "latest"),
        };
        let (host, path) = host_and_path(repository);
        // Docker reads 64 hex digits as the ID of an image.
        let is_id = repository.len() == 64 && repository.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        let is_sound = host.is_none_or(is_host) && path.split('/').all(is_path_part) && is_tag(tag) && !is_id;
        if !is_sound || repository.len() > 255 {
            return Err(wrong());
        }
        Ok(ImageName { repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// Returns the name without its tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.repository, self.tag)
    }
}

/// Splits a name into its registry, if it gives one, and the rest.
pub(crate) fn host_and_path(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((first, path)) if is_host_like(first) => (Some(first), path),
        _ => (None, repository),
    }
}

/// Returns true if the first part of a name is a registry and no part of the path.
fn is_host_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.contains(|c: char| c.is_ascii_uppercase())
}

/// Returns true for `name.example:5000` and `[::1]:5000`: a port is made of digits, so a tag is not taken for one.
pub(crate) fn is_host(host: &str) -> bool {
    let (name, port) = match host.rfind(']') {
        Some(end) => (&host[..=end], &host[end + 1..]),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_label = |label: &str| {
        let is_sound = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_sound && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => name.split('.').all(is_label),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_name && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

/// Returns true for letters and digits with `.`, `_`, `__` or hyphens between them.
pub(crate) fn is_path_part(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = part.split(|c: char| c.is_ascii() && is_plain(c as u8));
    let is_separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    let has_ends = part.bytes().next().is_some_and(is_plain) && part.bytes().last().is_some_and(is_plain);
    has_ends && separators.into_iter().all(is_separator)
}

/// Returns true for a text that can stand after the colon of a name.
pub fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::ImageName;

    #[test]
    fn names() {
        for (text, shown) in [
            ("council", "council:latest"),
            ("council:v1", "council:v1"),
            ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("Host/a__b.c-d--e_f", "Host/a__b.c-d--e_f:latest"),
        ] {
            assert_eq!(ImageName::new(text).unwrap().to_string(), shown);
        }
        let id = "0".repeat(64);
        let long = format!("a:{}", "x".repeat(129));
        for wrong in [
            "",
            "Council",
            "a:",
            "a: b",
            "a/",
            "/a",
            "a:b:c",
            "a:-x",
            "a\n",
            "a@b",
            "a:v1/x",
            "a.b:v1/x:y",
            "a..b",
            "a._b",
            "a___b",
            "a_-b",
            "-a.b/c",
            "a.b:/c",
            "[g]/a",
            "ä",
            &id,
            &long,
        ] {
            assert!(ImageName::new(wrong).is_err(), "{wrong}");
        }
    }
}
