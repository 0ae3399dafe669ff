//! `Place`: a repository at a forge, and the addresses of its releases. Here is decided where a token may go: to the
//! declared host and the one that GitHub keeps for uploads, never in the clear except to this machine.

use rondel_fetch::{is_loopback, origin_of, percent_escaped};

use crate::error::ForgeError;

/// Which interface a forge has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgeKind {
    /// github.com and GitHub Enterprise.
    GitHub,
    /// Gitea and Forgejo, such as codeberg.org.
    Gitea,
}

/// A repository at a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    kind: ForgeKind,
    /// `https://api.github.com`, `https://codeberg.org/api/v1`
    api: String,
    /// `owner/name`
    repository: String,
}

const GITEA_API: &str = "/api/v1";

impl Place {
    /// Returns the repository `owner/name`. `url` is that of GitHub's interface (`https://api.github.com`,
    /// `https://github.example/api/v3`), or of a Gitea itself (`https://codeberg.org`).
    pub fn new(kind: ForgeKind, url: &str, repository: &str) -> Result<Place, ForgeError> {
        let wrong = |message: String| Err(ForgeError::Place(message));
        let Some((scheme, rest)) = url.split_once("://") else {
            return wrong(format!("`{url}` is no URL: write `https://…`"));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() || url.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return wrong("the URL of the forge is broken".to_owned());
        }
        if authority.contains('@') {
            return wrong("the URL of the forge has an account: a token is declared apart from it".to_owned());
        }
        if url.contains(['?', '#']) {
            return wrong(format!("`{url}` has more than a path"));
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(authority) => {}
            "http" => return wrong(format!("`{url}` would send the token in the clear: write `https://`")),
            _ => return wrong(format!("`{url}` has a scheme that no forge speaks")),
        }
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| is_name(part)) {
            return wrong(format!("`{repository}` is no repository: write `owner/name`"));
        }
        let url = url.trim_end_matches('/');
        let api = match kind {
            ForgeKind::GitHub => url.to_owned(),
            ForgeKind::Gitea => format!("{}{GITEA_API}", url.strip_suffix(GITEA_API).unwrap_or(url)),
        };
        Ok(Place { kind, api, repository: repository.to_owned() })
    }

    /// Returns which interface it has.
    pub fn kind(&self) -> ForgeKind {
        self.kind
    }

    /// Returns `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the host, with its port.
    pub fn host(&self) -> &str {
        let rest = self.api.split_once("://").map_or(self.api.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Returns the URL of something in the repository: `releases`.
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("{}/repos/{}/{rest}", self.api, self.repository)
    }

    /// Returns the number of things that are asked for at once.
    pub(crate) fn page(&self, number: usize) -> String {
        match self.kind {
            ForgeKind::GitHub => format!("per_page=100&page={number}"),
            ForgeKind::Gitea => format!("limit=50&page={number}"),
        }
    }

    /// Returns where an asset called `name` is sent. `told` is the template that GitHub gives of a release.
    pub(crate) fn upload_url(&self, release: u64, name: &str, told: Option<&str>) -> Result<String, ForgeError> {
        let name = percent_escaped(name);
        if self.kind == ForgeKind::Gitea {
            return Ok(self.url(&format!("releases/{release}/assets?name={name}")));
        }
        let told = told.unwrap_or_default();
        let url = told.split(['{', '?']).next().unwrap_or_default();
        if !self.takes_uploads(url) {
            let message = format!("{} wants assets sent to `{}`, which gets no token", self.host(), origin_of(url));
            return Err(ForgeError::Place(message));
        }
        Ok(format!("{url}?name={name}"))
    }

    /// Returns true if a request for `url` may carry the token.
    pub(crate) fn is_own(&self, url: &str) -> bool {
        origin_of(url) == origin_of(&self.api)
    }

    /// GitHub has another host for uploads: `uploads.github.com` beside `api.github.com`.
    fn takes_uploads(&self, url: &str) -> bool {
        let own = origin_of(&self.api);
        let beside = own.split_once("://api.").map(|(scheme, rest)| format!("{scheme}://uploads.{rest}"));
        let origin = origin_of(url);
        origin == own || beside.is_some_and(|beside| origin == beside)
    }
}

fn is_name(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(text, "" | "." | "..") && text.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_forges() {
        let place = Place::new(ForgeKind::GitHub, "https://api.github.com/", "me/app").unwrap();
        assert_eq!(place.url("releases"), "https://api.github.com/repos/me/app/releases");
        let told = "https://uploads.github.com/repos/me/app/releases/1/assets{?name,label}";
        let url = place.upload_url(1, "a b+c.deb", Some(told)).unwrap();
        assert_eq!(url, "https://uploads.github.com/repos/me/app/releases/1/assets?name=a%20b%2Bc.deb");
        for url in ["https://codeberg.org", "https://codeberg.org/", "https://codeberg.org/api/v1"] {
            let place = Place::new(ForgeKind::Gitea, url, "me/app").unwrap();
            let url = place.upload_url(7, "a.zip", None).unwrap();
            assert_eq!(url, "https://codeberg.org/api/v1/repos/me/app/releases/7/assets?name=a.zip");
        }
    }

    #[test]
    fn a_token_goes_to_the_declared_host_only() {
        for (url, sends) in [
            ("https://api.github.com", "https://uploads.github.com/x{?name}"),
            ("https://api.team.ghe.com", "https://uploads.team.ghe.com/x{?name}"),
            ("https://github.example/api/v3", "https://github.example/api/uploads/x{?name}"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/x"),
        ] {
            let place = Place::new(ForgeKind::GitHub, url, "me/app").unwrap();
            assert!(place.upload_url(1, "a", Some(sends)).is_ok(), "{url}");
            for other in
                ["https://evil.example/x", "http://uploads.github.com/x", "https://uploads.github.com.evil/", ""]
            {
                assert!(place.upload_url(1, "a", Some(other)).is_err(), "{url} {other}");
            }
        }
    }

    #[test]
    fn places_that_are_refused() {
        let new =
            |url: &str, repository: &str| Place::new(ForgeKind::GitHub, url, repository).map_err(|e| e.to_string());
        let clear = "`http://forge.example` would send the token in the clear: write `https://`";
        assert_eq!(new("http://forge.example", "me/app").unwrap_err(), clear);
        assert!(new("http://localhost:3000", "me/app").is_ok());
        assert!(new("http://localhost.evil.example", "me/app").is_err());
        for url in ["forge", "ftp://forge", "https://", "https://me:word@forge", "https://forge?x", "https://a b"] {
            let error = new(url, "me/app").unwrap_err();
            assert!(!error.contains("word"), "{error}");
        }
        for repository in ["app", "me/", "me/app/x", "../app", "me/a b", "me/a?b"] {
            assert!(new("https://forge.example", repository).is_err(), "{repository}");
        }
    }
}
