//! Download settings of the user: `GOPROXY` and related variables. Never in a key, since go.sum pins the modules.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_cas::{TEXT_MAX, read_text_at_most};

/// Variables that affect downloads only, and no build.
const NAMES: &[&str] = &[
    "GOPROXY",
    "GONOPROXY",
    "GOPRIVATE",
    "GOSUMDB",
    "GONOSUMDB",
    "GOINSECURE",
    "GOAUTH",
    "GOVCS",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
];

/// The user's effective download settings.
#[derive(Clone, Debug, Default)]
pub struct DownloadSettings {
    values: BTreeMap<String, String>,
}

/// One entry of `GOPROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyEntry {
    /// URL, without a slash at its end.
    pub url: String,
    /// `|`: true to try the next proxy after any error. `,`: false to try it only if this one lacks the module.
    pub falls_through_on_error: bool,
}

impl DownloadSettings {
    /// Returns the variables that it is made of.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    /// Reads the environment, then the file that `go env -w` writes; the environment wins, as with Go.
    pub fn new(environment: &BTreeMap<String, String>, go_env_file: Option<&Path>) -> DownloadSettings {
        let mut values = BTreeMap::new();
        let written = go_env_file.and_then(|path| read_text_at_most(path, TEXT_MAX).ok()).unwrap_or_default();
        for (name, value) in written.lines().filter_map(|line| line.split_once('=')) {
            if NAMES.contains(&name.trim()) {
                values.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        for name in NAMES {
            if let Some(value) = environment.get(*name).filter(|value| !value.is_empty()) {
                values.insert((*name).to_owned(), value.clone());
            }
        }
        DownloadSettings { values }
    }

    /// Returns the value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Adds missing values from the output of an installed `go env` or a toolchain's own `go.env`.
    pub fn fill_in(&mut self, text: &str) {
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim().trim_matches(['\'', '"']);
            if NAMES.contains(&name.trim()) && !value.is_empty() {
                self.values.entry(name.trim().to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }

    /// Returns the module proxies of `GOPROXY`, in order. `direct` is left out, since it runs version control programs,
    /// and the list ends at `off`. Returns `None` if no proxy is known.
    pub fn proxies(&self) -> Option<Vec<ProxyEntry>> {
        let mut rest = self.get("GOPROXY")?;
        let mut entries = Vec::new();
        loop {
            let end = rest.find([',', '|']);
            let word = rest[..end.unwrap_or(rest.len())].trim();
            if word == "off" {
                return Some(entries);
            }
            if !word.is_empty() && word != "direct" {
                entries.push(ProxyEntry {
                    url: word.trim_end_matches('/').to_owned(),
                    falls_through_on_error: end.is_some_and(|end| rest.as_bytes()[end] == b'|'),
                });
            }
            match end {
                Some(end) => rest = &rest[end + 1..],
                None => return Some(entries),
            }
        }
    }

    /// Returns the variables for `go mod download`. `direct` is dropped from `GOPROXY`, so that no module path can
    /// choose a program to run. Modules in `GOPRIVATE` or `GONOPROXY` are still fetched directly.
    pub fn for_process(&self) -> Vec<(String, String)> {
        let mut values = self.values.clone();
        if let Some(proxies) = self.proxies() {
            let mut text = String::new();
            for (index, entry) in proxies.iter().enumerate() {
                text.push_str(&entry.url);
                if index + 1 < proxies.len() {
                    text.push(if entry.falls_through_on_error { '|' } else { ',' });
                }
            }
            let only_direct = text.is_empty() && self.get("GOPROXY").is_some_and(|value| value.contains("direct"));
            values.insert(
                "GOPROXY".to_owned(),
                if only_direct {
                    "direct"
                } else if text.is_empty() {
                    "off"
                } else {
                    &text
                }
                .to_owned(),
            );
        }
        values.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> DownloadSettings {
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        DownloadSettings::new(&environment, None)
    }

    #[test]
    fn proxy_lists() {
        let urls = |text: &str| {
            let proxies = settings(&[("GOPROXY", text)]).proxies().unwrap();
            proxies.into_iter().map(|entry| (entry.url, entry.falls_through_on_error)).collect::<Vec<_>>()
        };
        assert_eq!(urls("https://a/,direct"), [("https://a".to_owned(), false)]);
        assert_eq!(
            urls("https://a|file:///b,off,https://c"),
            [("https://a".to_owned(), true), ("file:///b".to_owned(), false)]
        );
        assert!(urls("off").is_empty());
        assert!(settings(&[]).proxies().is_none());
    }

    #[test]
    fn only_download_settings_are_taken_and_direct_is_dropped() {
        let settings =
            settings(&[("GOPROXY", "https://a,direct"), ("GOFLAGS", "-toolexec=x"), ("GOPRIVATE", "corp.example")]);
        let pairs = settings.for_process();
        assert!(pairs.contains(&("GOPROXY".to_owned(), "https://a".to_owned())));
        assert!(pairs.contains(&("GOPRIVATE".to_owned(), "corp.example".to_owned())));
        assert!(!pairs.iter().any(|(name, _)| name == "GOFLAGS"));
    }
}
