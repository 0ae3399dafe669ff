//! Which releases of Go there are, as the module proxies or the download page list them. What they say is hostile until
//! checked: only versions of the usual form are taken.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use rondel_engine::StepError;
use rondel_fetch::{FetchError, Fetcher, PartialDownload, without_password};
use serde::Deserialize;

use crate::go_mod::go_version_of;
use crate::provision::Provision;
use rondel_cas::{Digest, MEMORY_MAX, read_text_at_most};

/// The oldest Go that builds, tests and vets with Rondel: `-pgo` of `go build` came with it, `go list -json=FIELDS` and
/// `-buildvcs` shortly before.
pub const OLDEST_GO: &str = "1.20";

/// An entry of the download page's list.
#[derive(Deserialize)]
struct Published {
    version: String,
}

impl Provision<'_> {
    /// Returns all releases that there are for the host, oldest first, without betas and release candidates. Calls
    /// `goes_on` now and then; it returns whether to go on.
    pub fn releases(&self, goes_on: &dyn Fn() -> bool) -> Result<Vec<String>, StepError> {
        let Some(proxies) = self.settings.proxies() else {
            let page = self.download_page.trim_end_matches('/');
            let text = self.listed(&format!("{page}/?mode=json&include=all"), goes_on).map_err(|error| told(&error))?;
            let published: Vec<Published> = serde_json::from_str(&text)
                .map_err(|error| StepError::environment(format!("the list of Go's releases can't be read: {error}")))?;
            return Ok(sorted(published.iter().filter_map(|release| release.version.strip_prefix("go"))));
        };
        let ending = format!(".{}-{}", self.host.os(), self.host.architecture());
        let mut last = StepError::environment("GOPROXY names no proxy that could list the releases of Go");
        for entry in proxies {
            match self.listed(&format!("{}/golang.org/toolchain/@v/list", entry.url), goes_on) {
                Ok(text) => {
                    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("v0.0.1-go"));
                    return Ok(sorted(lines.filter_map(|line| line.strip_suffix(&ending))));
                }
                Err(FetchError::Interrupted) => return Err(StepError::Interrupted),
                Err(error @ FetchError::NotFound(_)) => last = told(&error),
                Err(error) if entry.falls_through_on_error => last = told(&error),
                Err(error) => return Err(told(&error)),
            }
        }
        Err(last)
    }

    fn listed(&self, url: &str, goes_on: &dyn Fn() -> bool) -> Result<String, FetchError> {
        self.fetched(url, &|path| read_text_at_most(path, MEMORY_MAX), &|done, _| done <= MEMORY_MAX && goes_on())
    }

    /// Fetches a file, whatever of it was fetched before, and returns what `read` makes of it.
    pub(crate) fn fetched<T>(
        &self,
        url: &str,
        read: &dyn Fn(&Path) -> io::Result<T>,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<T, FetchError> {
        let fetcher = Fetcher::new(self.settings.get("SSL_CERT_FILE").map(Into::into), self.credentials.clone());
        let name = format!("asked-{}", &Digest::of(url.as_bytes()).hex()[..16]);
        let partial = PartialDownload::open(self.toolchains, &name, &|| progress(0, 0)).map_err(FetchError::Write)?;
        let Some(mut partial) = partial else { return Err(FetchError::Interrupted) };
        partial.restart(url, None).map_err(FetchError::Write)?;
        let found = fetcher.fetch(url, &mut partial, progress).and_then(|()| {
            let failed = |error: io::Error| FetchError::Failed {
                url: without_password(url),
                message: error.to_string(),
                refusal: None,
            };
            read(partial.path()).map_err(failed)
        });
        partial.discard();
        found
    }
}

fn told(error: &FetchError) -> StepError {
    StepError::environment(format!("the releases of Go could not be listed: {error}"))
}

/// Returns the releases among these texts, each once, oldest first.
fn sorted<'a>(versions: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_release = |version: &&str| {
        let parts: Vec<&str> = version.split('.').collect();
        let is_number = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        (2..=3).contains(&parts.len()) && parts.iter().all(is_number)
    };
    let all: BTreeSet<(_, String)> =
        versions.filter(is_release).map(|version| (go_version_of(version), version.to_owned())).collect();
    all.into_iter().map(|(_, version)| version).collect()
}

/// Returns those of `releases` that are later patch releases of `version`: of the same line, and newer.
pub fn later_patches(releases: &[String], version: &str) -> Vec<String> {
    let line = |version: &str| go_version_of(version).map(|(major, minor, ..)| (major, minor));
    let is_later =
        |release: &&String| line(release) == line(version) && go_version_of(release) > go_version_of(version);
    releases.iter().filter(is_later).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_others() {
        let listed =
            ["1.22.2", "1.22.10", "1.22.0", "1.23rc1", "1.22.2", "1.20", "..", "1.22.x", "1", "1.2.3.4", "1.99999"];
        let releases = sorted(listed.into_iter());
        assert_eq!(releases, ["1.20", "1.22.0", "1.22.2", "1.22.10"]);
        assert_eq!(later_patches(&releases, "1.22.0"), ["1.22.2", "1.22.10"]);
        assert_eq!(later_patches(&releases, "1.22.9"), ["1.22.10"]);
        assert_eq!(later_patches(&releases, "1.20"), [""; 0]);
    }
}
