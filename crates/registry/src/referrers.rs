//! Documents about an image in its repository, as their manifests name it (OCI distribution specification 1.1): which
//! there are, and one more. A registry lists them itself, or they are listed in an index under a tag that is made of the
//! image's digest. It knows lists and manifests of documents, and not what a document says.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rondel_cas::Digest;
use rondel_fetch::{FetchError, Method, Request, Response};
use rondel_names::ImageReference;
use rondel_oci::{
    Artifact, ArtifactManifest, DOCUMENT_BYTES_MAX, DOCUMENT_NAME, EMPTY_CONFIG, INDEX, Referrer, list_with,
};

use crate::access::Endpoint;
use crate::authorization::Purpose;
use crate::client::{Registry, Watcher, is_from, reading, succeeded, unsound};
use crate::error::RegistryError;
use crate::upload::{Destination, Placed, absolute, refused};

/// Maximum numbers of pages of a list, and of entries in all of them.
const PAGES_MAX: usize = 100;
const REFERRERS_MAX: usize = 10_000;
/// How often a list is written that others write at the same time.
const TRIES_MAX: u32 = 8;
/// The time after which a list is read again. Whoever read it before it was written has written by then.
const SETTLE_LEAST: Duration = Duration::from_millis(300);
const SETTLE_MOST: Duration = Duration::from_secs(3);

/// What became of documents that were attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Number of blobs that were sent, and of their bytes.
    pub blobs: (usize, u64),
    /// Digests of earlier versions that the registry goes on listing.
    pub left: Vec<String>,
}

impl Registry {
    /// Returns the documents about the index or manifest `subject`, `sha256:…`, in the repository of `reference`, in the
    /// order of their digests: those that the registry lists, and those under the tag. Mirrors are not asked.
    pub fn referrers(
        &self,
        reference: &ImageReference,
        subject: &str,
        watcher: &Watcher<'_>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let endpoint = Endpoint::own(reference, &self.declared);
        let purpose = reading(&endpoint, reference);
        let mut found = self.listed(&purpose, subject, watcher)?.unwrap_or_default();
        found.extend(self.tagged(&purpose, subject, watcher)?);
        found.sort_by_key(|referrer| referrer.digest.oci());
        found.dedup_by_key(|referrer| referrer.digest);
        Ok(found)
    }

    /// Returns for each of `documents`, which are about one image, whether it is listed in a repository. If the registry
    /// lists all of them, nothing else is asked.
    pub fn attached(
        &self,
        to: &Destination,
        documents: &[&Artifact],
        watcher: &Watcher<'_>,
    ) -> Result<Vec<bool>, RegistryError> {
        let Some(first) = documents.first() else { return Ok(Vec::new()) };
        let subject = first.subject.digest.oci();
        let mut list = self.listed(&to.purpose(), &subject, watcher)?.unwrap_or_default();
        if !documents.iter().all(|document| is_among(document, &list)) {
            list.extend(self.tagged(&to.purpose(), &subject, watcher)?);
        }
        Ok(documents.iter().map(|document| is_among(document, &list)).collect())
    }

    /// Attaches documents to one image; `contents` gives the file of each. `scratch` is a directory for what is sent.
    /// Earlier versions of them disappear from the list, and nothing else does.
    pub fn attach(
        &self,
        to: &Destination,
        documents: &[(Artifact, PathBuf)],
        scratch: &Path,
        watcher: &Watcher<'_>,
    ) -> Result<Attached, RegistryError> {
        let mut attached = Attached::default();
        let Some((first, _)) = documents.first() else { return Ok(attached) };
        let subject = first.subject.digest.oci();
        let empty = scratch.join("empty.json");
        fs::write(&empty, EMPTY_CONFIG).map_err(RegistryError::Write)?;
        let blobs = documents.iter().map(|(document, path)| (document.contents, path.as_path()));
        for (blob, path) in [(Digest::of(EMPTY_CONFIG), empty.as_path())].into_iter().chain(blobs) {
            if self.push_blob(to, &blob, path, None, watcher)? == Placed::Sent {
                attached.blobs = (attached.blobs.0 + 1, attached.blobs.1 + blob.size());
            }
        }
        let mut is_listed = true;
        for (document, _) in documents {
            let (media_type, bytes) = document.manifest();
            let response = self.put(to, &Digest::of(&bytes).oci(), media_type, &bytes, watcher)?;
            is_listed &= response.header("oci-subject") == Some(subject.as_str());
        }
        let documents: Vec<Artifact> = documents.iter().map(|(document, _)| document.clone()).collect();
        // A registry that lists documents says so. Some forget to say it, and list them.
        let list = self.listed(&to.purpose(), &subject, watcher)?;
        let has_all = |list: &[Referrer]| documents.iter().all(|document| is_among(document, list));
        match list {
            Some(list) if is_listed || has_all(&list) => {
                attached.left = self.remove_earlier(to, &documents, &list, watcher)?;
            }
            _ if is_listed => {}
            _ => self.set_list(to, &subject, &documents, watcher)?,
        }
        Ok(attached)
    }

    /// Returns the documents that the registry lists; `None` if it has no such list. No filter is asked for, so that
    /// one that was applied is nothing to look for.
    fn listed(
        &self,
        purpose: &Purpose<'_>,
        subject: &str,
        watcher: &Watcher<'_>,
    ) -> Result<Option<Vec<Referrer>>, RegistryError> {
        let endpoint = purpose.endpoint;
        let what = format!("{}@{subject}", purpose.repository);
        let wrong = |message: String| unsound(&endpoint.host, &what, message);
        let mut found = Vec::new();
        let mut pages = vec![format!("{}/v2/{}/referrers/{subject}", endpoint.url, purpose.repository)];
        loop {
            let url = pages.last().expect("the first page").clone();
            let response = self.patiently(purpose, &what, watcher, &mut |headers| {
                let headers = [headers, &[("Accept", INDEX.to_owned())]].concat();
                let (method, url) = (Method::GET, url.clone());
                let request = Request { method, url, headers, body: Vec::new(), bytes_max: DOCUMENT_BYTES_MAX };
                let response = self.fetcher.call(request, &|| (watcher.progress)(0, 0))?;
                if has_no_list(&response) { Ok(response) } else { succeeded(response, &endpoint.url, &what) }
            })?;
            if has_no_list(&response) {
                return match pages.as_slice() {
                    [_] => Ok(None),
                    _ => Err(wrong("its list of documents breaks off".to_owned())),
                };
            }
            found.extend(Referrer::list(&response.body).map_err(|error| wrong(error.to_string()))?);
            if found.len() > REFERRERS_MAX {
                return Err(wrong(format!("more than {REFERRERS_MAX} documents")));
            }
            let Some(next) = next_page(&response) else { return Ok(Some(found)) };
            // The account is for this registry.
            if !is_from(&next, &endpoint.url) {
                return Err(wrong("its list of documents leads to another host".to_owned()));
            }
            if pages.contains(&next) || pages.len() >= PAGES_MAX {
                return Err(wrong("its list of documents has no end".to_owned()));
            }
            pages.push(next);
        }
    }

    /// Returns the documents that the index under the tag lists.
    fn tagged(
        &self,
        purpose: &Purpose<'_>,
        subject: &str,
        watcher: &Watcher<'_>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let bytes = self.list_under(purpose, &tag_of(subject), watcher)?;
        let list = bytes.map(|bytes| Referrer::list(&bytes));
        let wrong = |error: rondel_oci::DocumentError| {
            unsound(&purpose.endpoint.host, &format!("{}:{}", purpose.repository, tag_of(subject)), error.to_string())
        };
        list.transpose().map(Option::unwrap_or_default).map_err(wrong)
    }

    fn list_under(
        &self,
        purpose: &Purpose<'_>,
        tag: &str,
        watcher: &Watcher<'_>,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let what = format!("{}:{tag}", purpose.repository);
        match self.document_at(purpose, &what, tag, watcher) {
            Ok(document) if document.media_type == INDEX => Ok(Some(document.bytes)),
            Ok(document) => {
                let message = format!("no list of documents, but `{}`", document.media_type.escape_debug());
                Err(unsound(&purpose.endpoint.host, &what, message))
            }
            Err(RegistryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds documents to the index under the tag. Others may do the same at the same time, and no registry has a way to
    /// do it in one step. So the list is read again when whoever read the former one has written.
    fn set_list(
        &self,
        to: &Destination,
        subject: &str,
        documents: &[Artifact],
        watcher: &Watcher<'_>,
    ) -> Result<(), RegistryError> {
        let tag = tag_of(subject);
        let what = format!("{}:{tag}", to.repository);
        for _ in 0..TRIES_MAX {
            let begun = Instant::now();
            let there = self.list_under(&to.purpose(), &tag, watcher)?;
            let list = list_with(there.as_deref(), documents)
                .map_err(|error| unsound(&to.endpoint.host, &what, error.to_string()))?;
            if there.as_ref() == Some(&list) {
                return Ok(());
            }
            if list.len() as u64 > DOCUMENT_BYTES_MAX {
                let message = format!("its list of documents would have {} bytes", list.len());
                return Err(RegistryError::Failed { host: to.endpoint.host.clone(), what, message });
            }
            self.put_document(to, &tag, INDEX, &list, watcher)?;
            pause((begun.elapsed() * 2).clamp(SETTLE_LEAST, SETTLE_MOST), watcher)?;
        }
        let message = "others write its list of documents again and again".to_owned();
        Err(RegistryError::Failed { host: to.endpoint.host.clone(), what, message })
    }

    /// Removes earlier versions of documents from a registry that lists them itself. What it says of them is not
    /// believed: the manifest has to be Rondel's, and about this image. Returns those that it keeps.
    fn remove_earlier(
        &self,
        to: &Destination,
        documents: &[Artifact],
        list: &[Referrer],
        watcher: &Watcher<'_>,
    ) -> Result<Vec<String>, RegistryError> {
        let mut left = Vec::new();
        for document in documents {
            let others = list.iter().filter(|referrer| documents.iter().all(|own| !is_same(own, referrer)));
            for referrer in others.filter(|referrer| referrer.annotations.get(DOCUMENT_NAME) == Some(&document.name)) {
                let name = referrer.digest.oci();
                let Some(found) = self.document_there(to, &name, watcher)? else { continue };
                let is_earlier = ArtifactManifest::parse(&found.bytes).is_ok_and(|manifest| {
                    manifest.artifact_type == document.artifact_type
                        && manifest.subject == Some(document.subject.digest.oci())
                        && manifest.annotations.get(DOCUMENT_NAME) == Some(&document.name)
                });
                if is_earlier && !self.remove(to, &name, watcher)? {
                    left.push(name);
                }
            }
        }
        Ok(left)
    }

    /// Removes a manifest; returns false if the registry does not let it.
    fn remove(&self, to: &Destination, digest: &str, watcher: &Watcher<'_>) -> Result<bool, RegistryError> {
        let outcome = self.patiently(&to.purpose(), digest, watcher, &mut |headers| {
            let (method, url) = (Method::DELETE, to.url(&format!("manifests/{digest}")));
            let request = Request { method, url, headers: headers.to_vec(), body: Vec::new(), bytes_max: 1 << 20 };
            let response = self.fetcher.call(request, &|| (watcher.progress)(0, 0))?;
            match response.status {
                200..=299 => Ok(()),
                404 | 410 => Err(FetchError::NotFound(digest.to_owned())),
                _ => Err(refused(&response)),
            }
        });
        match outcome {
            Ok(()) | Err(RegistryError::NotFound(_)) => Ok(true),
            Err(RegistryError::Failed { .. } | RegistryError::Denied { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Returns true if a list of referrers has this document, as it is.
fn is_among(document: &Artifact, list: &[Referrer]) -> bool {
    list.iter().any(|referrer| is_same(document, referrer))
}

fn is_same(document: &Artifact, referrer: &Referrer) -> bool {
    Digest::of(&document.manifest().1) == referrer.digest
}

/// Returns the tag under which the documents about `subject`, `sha256:…`, are listed.
fn tag_of(subject: &str) -> String {
    subject.replace(':', "-")
}

/// Returns true for an answer of a registry without lists of documents: it knows no such path, or answers everything.
fn has_no_list(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    let is_index = kind.split(';').next().is_some_and(|kind| kind.trim() == INDEX);
    matches!(response.status, 400 | 404 | 405 | 406 | 410 | 501)
        || ((200..=299).contains(&response.status) && !is_index)
}

/// Returns the URL of the next page, if there is one (RFC 8288).
fn next_page(response: &Response) -> Option<String> {
    let headers = response.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    headers.flat_map(|value| value.split('<').skip(1)).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let mut parameters = parameters.split(',').next().unwrap_or_default().split(';').map(str::trim);
        let is_next = parameters.any(|parameter| matches!(parameter, "rel=next" | "rel=\"next\""));
        is_next.then(|| absolute(&response.url, target))
    })
}

fn pause(time: Duration, watcher: &Watcher<'_>) -> Result<(), RegistryError> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if !(watcher.progress)(0, 0) {
            return Err(RegistryError::Interrupted);
        }
        std::thread::sleep(Duration::from_millis(20).min(time.saturating_sub(begun.elapsed())));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
