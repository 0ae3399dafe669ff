//! The release interface that GitHub and Gitea share: releases by tag, drafts among them, and their assets. Each call is
//! one thing at the forge; `release` knows the order.

use std::path::Path;

use rondel_cas::{Digest, TemporaryDirectory};
use rondel_fetch::{FetchError, Method, PartialDownload, Response, Upload, percent_escaped};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::announcement::Announcement;
use crate::client::{Client, Question, Trouble, Watcher};
use crate::error::ForgeError;
use crate::place::ForgeKind;

/// How many pages of something are asked for: GitHub lists 10 000 releases.
const PAGES_MAX: usize = 200;

/// A release at the forge.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReleaseAnswer {
    pub id: u64,
    #[serde(default)]
    pub tag_name: String,
    #[serde(default)]
    pub draft: bool,
    #[serde(default)]
    pub prerelease: bool,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub upload_url: Option<String>,
    #[serde(default)]
    pub html_url: Option<String>,
}

/// A file of a release at the forge.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AssetAnswer {
    pub id: u64,
    pub name: String,
    #[serde(default)]
    pub size: u64,
    /// GitHub's: `uploaded`, or `starter` where the bytes did not come.
    #[serde(default)]
    state: Option<String>,
    /// GitHub's since 2025: `sha256:…`.
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    browser_download_url: Option<String>,
}

impl AssetAnswer {
    /// Returns true if all of its bytes came.
    pub fn is_whole(&self) -> bool {
        self.state.as_deref().is_none_or(|state| state == "uploaded")
    }

    /// Returns the digest that the forge tells of it.
    pub fn told_digest(&self) -> Option<&str> {
        self.digest.as_deref().filter(|digest| digest.starts_with("sha256:"))
    }

    /// Returns true if nothing that the forge tells of it speaks against these bytes.
    pub fn may_be(&self, digest: &Digest) -> bool {
        self.is_whole() && self.size == digest.size() && self.told_digest().is_none_or(|told| told == digest.oci())
    }
}

impl Client {
    /// Returns the release of a tag: a published one, or else a draft.
    pub(crate) fn find(&self, tag: &str, watcher: &Watcher<'_>) -> Result<Option<ReleaseAnswer>, ForgeError> {
        let what = format!("the release {tag}");
        let url = self.place.url(&format!("releases/tags/{}", percent_escaped(tag)));
        match self.get::<ReleaseAnswer>(url, &what, watcher) {
            Ok((found, _)) => return Ok(Some(found)),
            // So it is with drafts, and with a repository that is not there.
            Err(ForgeError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut found = self.pages("releases", "the list of releases", watcher, |one: &ReleaseAnswer| one.id)?;
        found.retain(|release| release.tag_name == tag);
        if found.len() > 1 && found.iter().all(|release| release.draft) {
            let message = format!("it has {} drafts of {tag}: remove all but one", found.len());
            return Err(ForgeError::Failed { host: self.place.host().to_owned(), what, message });
        }
        found.sort_by_key(|release| release.draft);
        Ok(found.into_iter().next())
    }

    /// Makes a draft. Another one may come of it, should it be made twice.
    pub(crate) fn create(&self, release: &Announcement, watcher: &Watcher<'_>) -> Result<ReleaseAnswer, ForgeError> {
        let mut body = json!({
            "tag_name": release.tag,
            "name": release.name,
            "body": release.notes(),
            "draft": true,
            "prerelease": release.is_prerelease,
        });
        if let Some(commit) = &release.commit {
            body["target_commitish"] = Value::from(commit.as_str());
        }
        let (method, url) = (Method::POST, self.place.url("releases"));
        let what = format!("the release {}", release.tag);
        let question = Question { method, url, body: Some(body), what: &what, is_repeatable: false };
        self.read(&self.ask(&question, watcher)?, &what)
    }

    /// Changes what is said of a release, and publishes it if it stays no draft.
    pub(crate) fn update(
        &self,
        id: u64,
        release: &Announcement,
        is_draft: bool,
        watcher: &Watcher<'_>,
    ) -> Result<ReleaseAnswer, ForgeError> {
        let mut body = json!({
            "tag_name": release.tag,
            "name": release.name,
            "body": release.notes(),
            "draft": is_draft,
            "prerelease": release.is_prerelease,
        });
        if self.place.kind() == ForgeKind::GitHub {
            // A release of an older line is not the latest one because it came last.
            body["make_latest"] = Value::from("legacy");
        }
        let (method, url) = (Method::PATCH, self.place.url(&format!("releases/{id}")));
        let what = format!("the release {}", release.tag);
        let question = Question { method, url, body: Some(body), what: &what, is_repeatable: true };
        self.read(&self.ask(&question, watcher)?, &what)
    }

    /// Returns all assets of a release, half uploaded ones too.
    pub(crate) fn assets(&self, release: u64, watcher: &Watcher<'_>) -> Result<Vec<AssetAnswer>, ForgeError> {
        self.pages(&format!("releases/{release}/assets"), "the list of assets", watcher, |one: &AssetAnswer| one.id)
    }

    /// Removes an asset; one that is gone is none the less removed.
    pub(crate) fn delete(&self, release: u64, asset: &AssetAnswer, watcher: &Watcher<'_>) -> Result<(), ForgeError> {
        let url = self.asset_url(release, asset);
        let what = format!("the removal of `{}`", asset.name);
        let question = Question { method: Method::DELETE, url, body: None, what: &what, is_repeatable: true };
        match self.ask(&question, watcher) {
            Ok(_) | Err(ForgeError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a file. It is sent once: whether it came is seen in the list of assets.
    pub(crate) fn upload(
        &self,
        release: &ReleaseAnswer,
        (name, path): (&str, &Path),
        progress: &dyn Fn(u64) -> bool,
        watcher: &Watcher<'_>,
    ) -> Result<AssetAnswer, ForgeError> {
        let url = self.place.upload_url(release.id, name, release.upload_url.as_deref())?;
        let what = format!("`{name}`");
        let response = self.patiently(&what, false, watcher, &mut || {
            let mut headers = self.headers();
            headers.push(("Content-Type", "application/octet-stream".to_owned()));
            let upload = Upload { method: Method::POST, url: url.clone(), headers, path, skip: 0 };
            let response = self.fetcher.send(upload, progress).map_err(Trouble::Fetch)?;
            if matches!(response.status, 200..=299) { Ok(response) } else { Err(Trouble::Answer(Box::new(response))) }
        })?;
        self.read(&response, &what)
    }

    /// Returns the digest of an asset: what the forge tells of it, or that of its bytes, which are downloaded for it.
    pub(crate) fn digest_there(
        &self,
        release: u64,
        asset: &AssetAnswer,
        watcher: &Watcher<'_>,
    ) -> Result<String, ForgeError> {
        if let Some(told) = asset.told_digest() {
            return Ok(told.to_owned());
        }
        let url = match (self.place.kind(), &asset.browser_download_url) {
            (ForgeKind::Gitea, Some(url)) => url.clone(),
            _ => self.asset_url(release, asset),
        };
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let message = "it gives no address for its bytes".to_owned();
            return Err(ForgeError::Failed { host: self.host(), what: format!("`{}`", asset.name), message });
        }
        let write = |error| ForgeError::Write { path: self.scratch.display().to_string(), error };
        let directory = TemporaryDirectory::new_in(&self.scratch).map_err(write)?;
        let goes_on = || (watcher.progress)(0, 0);
        let partial = PartialDownload::open(directory.path(), "asset", &goes_on).map_err(write)?;
        let mut partial = partial.ok_or(ForgeError::Interrupted)?;
        partial.restart(&url, None).map_err(write)?;
        self.download(&url, asset, &mut partial, watcher)
    }

    fn download(
        &self,
        url: &str,
        asset: &AssetAnswer,
        partial: &mut PartialDownload,
        watcher: &Watcher<'_>,
    ) -> Result<String, ForgeError> {
        let is_too_long = std::cell::Cell::new(false);
        let outcome = self.patiently(&format!("`{}`", asset.name), true, watcher, &mut || {
            let authorization = self.headers().into_iter().filter(|(name, _)| *name == "Authorization");
            let mut headers: Vec<_> = authorization.filter(|_| self.place.is_own(url)).collect();
            headers.push(("Accept", "application/octet-stream".to_owned()));
            let progress = |done, _| {
                is_too_long.set(done > asset.size);
                !is_too_long.get() && (watcher.progress)(0, 0)
            };
            self.fetcher.fetch_with(url, &headers, partial, &progress).map_err(|error| match error {
                FetchError::Failed { refusal: Some(refusal), .. } => {
                    let (url, status, headers) = (refusal.url.clone(), refusal.status, refusal.headers.clone());
                    Trouble::Answer(Box::new(Response { url, status, headers, body: Vec::new() }))
                }
                error => Trouble::Fetch(error),
            })
        });
        match outcome {
            Err(ForgeError::Interrupted) if is_too_long.get() => {
                let message = format!("it sends more than the {} bytes that it tells of", asset.size);
                Err(ForgeError::Failed { host: self.host(), what: format!("`{}`", asset.name), message })
            }
            Err(error) => Err(error),
            Ok(()) => {
                let digest = Digest::of_file(partial.path());
                let path = partial.path().display().to_string();
                digest.map(|digest| digest.oci()).map_err(|error| ForgeError::Read { path, error })
            }
        }
    }

    fn asset_url(&self, release: u64, asset: &AssetAnswer) -> String {
        self.place.url(&match self.place.kind() {
            ForgeKind::GitHub => format!("releases/assets/{}", asset.id),
            ForgeKind::Gitea => format!("releases/{release}/assets/{}", asset.id),
        })
    }

    /// Returns all entries of a list, page by page. A forge that has no pages gives the same ones again.
    fn pages<T: DeserializeOwned>(
        &self,
        rest: &str,
        what: &str,
        watcher: &Watcher<'_>,
        id: impl Fn(&T) -> u64,
    ) -> Result<Vec<T>, ForgeError> {
        let (mut all, mut known) = (Vec::new(), std::collections::BTreeSet::new());
        for number in 1..=PAGES_MAX {
            let url = self.place.url(&format!("{rest}?{}", self.place.page(number)));
            let (page, response) = self.get::<Vec<T>>(url, what, watcher)?;
            let before = all.len();
            all.extend(page.into_iter().filter(|entry| known.insert(id(entry))));
            let link = response.header("link").map(|link| link.contains("rel=\"next\""));
            // Without a word of a next page there may be one.
            if all.len() == before || link == Some(false) {
                return Ok(all);
            }
        }
        let message = format!("it has more than {PAGES_MAX} pages");
        Err(ForgeError::Failed { host: self.host(), what: what.to_owned(), message })
    }

    fn get<T: DeserializeOwned>(
        &self,
        url: String,
        what: &str,
        watcher: &Watcher<'_>,
    ) -> Result<(T, Response), ForgeError> {
        let question = Question { method: Method::GET, url, body: None, what, is_repeatable: true };
        let response = self.ask(&question, watcher)?;
        Ok((self.read(&response, what)?, response))
    }

    fn read<T: DeserializeOwned>(&self, response: &Response, what: &str) -> Result<T, ForgeError> {
        serde_json::from_slice(&response.body).map_err(|_| {
            let message = "its answer is not that of a forge: check `url`".to_owned();
            ForgeError::Failed { host: self.host(), what: what.to_owned(), message }
        })
    }

    pub(crate) fn host(&self) -> String {
        self.place.host().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of GitHub's answer, by its documentation.
    const GITHUB: &str = r#"{
        "url": "https://api.github.com/repos/octocat/Hello-World/releases/assets/1", "id": 1, "node_id": "MDEy",
        "browser_download_url": "https://github.com/octocat/Hello-World/releases/download/v1.0.0/example.zip",
        "name": "example.zip", "label": null, "state": "STATE", "content_type": "application/zip", "size": 3,
        "digest": DIGEST, "download_count": 42, "uploader": {"login": "octocat", "id": 1, "site_admin": false}
    }"#;

    #[test]
    fn what_forges_say_of_an_asset() {
        let read = |state: &str, digest: &str| -> AssetAnswer {
            serde_json::from_str(&GITHUB.replace("STATE", state).replace("DIGEST", digest)).unwrap()
        };
        let own = Digest::of(b"own");
        let told = format!("\"{}\"", own.oci());
        assert!(read("uploaded", &told).may_be(&own));
        assert!(read("uploaded", "null").may_be(&own), "before 2025");
        assert!(read("uploaded", "\"sha512:ab\"").may_be(&own), "of another function");
        assert!(!read("uploaded", &told).may_be(&Digest::of(b"foo")));
        assert!(!read("uploaded", "null").may_be(&Digest::of(b"four")), "another size");
        assert!(!read("starter", "null").may_be(&own) && !read("starter", "null").is_whole());
        let gitea = r#"{"id": 7, "name": "a.zip", "size": 3, "download_count": 0, "created_at": "2026-11-29T00:00:00Z",
            "uuid": "0a1b", "browser_download_url": "https://codeberg.org/attachments/0a1b"}"#;
        assert!(serde_json::from_str::<AssetAnswer>(gitea).unwrap().may_be(&own));
    }

    #[test]
    fn what_forges_say_of_a_release() {
        let text = r#"{"url": "https://api.github.com/repos/o/r/releases/1", "id": 1, "tag_name": "v1.0.0", "draft": true,
            "upload_url": "https://uploads.github.com/repos/o/r/releases/1/assets{?name,label}", "tarball_url": null,
            "target_commitish": "master", "name": null, "body": null, "prerelease": false, "published_at": null,
            "immutable": false, "assets": []}"#;
        let release: ReleaseAnswer = serde_json::from_str(text).unwrap();
        assert_eq!((release.id, release.draft, release.name), (1, true, None));
        // An error in the form of an answer is none.
        assert!(serde_json::from_str::<ReleaseAnswer>(r#"{"message": "Not Found"}"#).is_err());
    }
}
