//! `Registry`: manifests and blobs of images, checked byte by byte, with accounts, mirrors, patience and a clear word
//! when a registry fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rondel_cas::Digest;
use rondel_fetch::{FetchError, Fetcher, Method, PartialDownload, Refusal, Request, Response, origin_of};
use rondel_names::ImageReference;
use rondel_oci::{DOCUMENT_BYTES_MAX, DOCUMENT_TYPES};

use crate::access::{Access, Endpoint};
use crate::accounts::Accounts;
use crate::authorization::{Asker, Purpose, denied, words};
use crate::error::RegistryError;

/// How often a question is asked while the registry is busy or fails.
const ATTEMPTS_MAX: u32 = 4;
/// Tokens last for at least a minute, as Docker's token authentication has it; less by the time of a request.
const TOKEN_LASTS: Duration = Duration::from_secs(30);
/// How often a token is renewed during one request and its repetitions: a large blob takes hours on a slow line.
const RENEWALS_MAX: u32 = 100;
/// The longest wait that a registry may ask for at once.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The registries that images come from and go to.
pub struct Registry {
    pub(crate) fetcher: Fetcher,
    accounts: Accounts,
    pub(crate) declared: BTreeMap<String, Access>,
    /// The `Authorization` header for a server and a repository, to read or to write, once it is known.
    known: Mutex<BTreeMap<(String, String, bool), String>>,
}

/// A manifest or an index, with its checked digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedDocument {
    /// What the registry calls it.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// The bytes, as they came.
    pub bytes: Vec<u8>,
}

/// One request with these headers.
pub(crate) type Ask<'a, T> = dyn FnMut(&[(&'static str, String)]) -> Result<T, FetchError> + 'a;

/// What happens to the user while a registry is asked.
pub struct Watcher<'a> {
    /// Gets the bytes that came and those in all; returns whether to go on.
    pub progress: &'a (dyn Fn(u64, u64) -> bool + Sync),
    /// Gets a sentence, if something takes longer than it should.
    pub say: &'a (dyn Fn(String) + Sync),
}

impl Registry {
    /// Returns the registries as the user and build.ron have them. `declared` is by host.
    pub fn new(fetcher: Fetcher, accounts: Accounts, declared: BTreeMap<String, Access>) -> Registry {
        Registry { fetcher, accounts, declared, known: Mutex::default() }
    }

    /// Returns what a reference leads to: by its digest, if it has one, else by its tag.
    pub fn document(
        &self,
        reference: &ImageReference,
        watcher: &Watcher<'_>,
    ) -> Result<FetchedDocument, RegistryError> {
        let name = reference.digest().or(reference.tag()).unwrap_or("latest");
        self.document_named(reference, name, watcher)
    }

    /// Returns the document with this digest in the repository of `reference`.
    pub fn document_of(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        watcher: &Watcher<'_>,
    ) -> Result<FetchedDocument, RegistryError> {
        let document = self.document_named(reference, &digest.oci(), watcher)?;
        if document.digest.size() != digest.size() {
            let message = format!("{} bytes instead of {}", document.digest.size(), digest.size());
            return Err(unsound(reference.registry(), &digest.oci(), message));
        }
        Ok(document)
    }

    fn document_named(
        &self,
        reference: &ImageReference,
        name: &str,
        watcher: &Watcher<'_>,
    ) -> Result<FetchedDocument, RegistryError> {
        let what = match name.starts_with("sha256:") {
            true => format!("{}@{name}", reference.repository()),
            false => reference.to_string(),
        };
        self.anywhere(reference, watcher, &mut |endpoint| {
            self.document_at(&reading(endpoint, reference), &what, name, watcher)
        })
    }

    /// Returns the document of this name, a tag or a digest, from one server; people know it as `what`.
    pub(crate) fn document_at(
        &self,
        purpose: &Purpose<'_>,
        what: &str,
        name: &str,
        watcher: &Watcher<'_>,
    ) -> Result<FetchedDocument, RegistryError> {
        let endpoint = purpose.endpoint;
        let url = format!("{}/v2/{}/manifests/{name}", endpoint.url, purpose.repository);
        let response = self.patiently(purpose, what, watcher, &mut |headers| {
            let mut headers = headers.to_vec();
            headers.push(("Accept", DOCUMENT_TYPES.join(", ")));
            let (method, url) = (Method::GET, url.clone());
            let request = Request { method, url, headers, body: Vec::new(), bytes_max: DOCUMENT_BYTES_MAX };
            let response = self.fetcher.call(request, &|| (watcher.progress)(0, 0))?;
            succeeded(response, &endpoint.url, what)
        })?;
        let digest = Digest::of(&response.body);
        let told = response.header("docker-content-digest").map(str::to_owned);
        let expected = if name.starts_with("sha256:") { Some(name.to_owned()) } else { told };
        match expected.filter(|expected| expected.starts_with("sha256:") && *expected != digest.oci()) {
            Some(expected) => {
                Err(unsound(&endpoint.host, what, format!("its digest is {}, not {expected}", digest.oci())))
            }
            None => {
                let media_type = response.header("content-type").unwrap_or_default();
                let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
                Ok(FetchedDocument { media_type, digest, bytes: response.body })
            }
        }
    }

    /// Downloads a blob into `directory`, checked, and returns its path; the caller moves it away. What an earlier run
    /// left there is taken up again. `digest` says how many bytes there are: more are not read.
    pub fn blob(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        directory: &Path,
        watcher: &Watcher<'_>,
    ) -> Result<PathBuf, RegistryError> {
        let what = digest.oci();
        let go_on = || (watcher.progress)(0, digest.size());
        let partial = PartialDownload::open(directory, &digest.hex(), &go_on).map_err(RegistryError::Write)?;
        let mut partial = partial.ok_or(RegistryError::Interrupted)?.named_by_contents();
        let path = self.anywhere(reference, watcher, &mut |endpoint| {
            let url = format!("{}/v2/{}/blobs/{what}", endpoint.url, reference.repository());
            let outcome = self.download(endpoint, reference, &url, digest, &mut partial, watcher);
            let found = outcome.and_then(|()| {
                let found = Digest::of_file(partial.path()).map_err(RegistryError::Write)?;
                match found == *digest {
                    true => Ok(partial.path().to_owned()),
                    false => Err(unsound(&endpoint.host, &what, difference(&found, digest))),
                }
            });
            if matches!(found, Err(RegistryError::Unsound { .. })) {
                partial.restart(&url, None).map_err(RegistryError::Write)?;
            }
            found
        })?;
        let whole = directory.join(digest.hex());
        fs::rename(&path, &whole).map_err(RegistryError::Write)?;
        partial.discard();
        Ok(whole)
    }

    /// Returns the bytes of a blob that fits into memory, checked.
    pub fn small_blob(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        watcher: &Watcher<'_>,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = digest.oci();
        self.anywhere(reference, watcher, &mut |endpoint| {
            let url = format!("{}/v2/{}/blobs/{what}", endpoint.url, reference.repository());
            let response = self.patiently(&reading(endpoint, reference), &what, watcher, &mut |headers| {
                let (method, url, bytes_max) = (Method::GET, url.clone(), digest.size());
                let request = Request { method, url, headers: headers.to_vec(), body: Vec::new(), bytes_max };
                succeeded(self.fetcher.call(request, &|| (watcher.progress)(0, 0))?, &endpoint.url, &what)
            })?;
            match Digest::of(&response.body) {
                found if found == *digest => Ok(response.body),
                found => Err(unsound(&endpoint.host, &what, difference(&found, digest))),
            }
        })
    }

    fn download(
        &self,
        endpoint: &Endpoint,
        reference: &ImageReference,
        url: &str,
        digest: &Digest,
        partial: &mut PartialDownload,
        watcher: &Watcher<'_>,
    ) -> Result<(), RegistryError> {
        let what = digest.oci();
        let too_long = std::cell::Cell::new(false);
        let outcome = self.patiently(&reading(endpoint, reference), &what, watcher, &mut |headers| {
            if partial.done() >= digest.size() {
                partial.restart(url, None).map_err(FetchError::Write)?;
            }
            self.fetcher.fetch_with(url, headers, partial, &|done, _| {
                too_long.set(done > digest.size());
                !too_long.get() && (watcher.progress)(done, digest.size())
            })
        });
        match outcome {
            Err(RegistryError::Interrupted) if too_long.get() => {
                Err(unsound(&endpoint.host, &what, format!("more than its {} bytes", digest.size())))
            }
            outcome => outcome,
        }
    }

    /// Asks each server that may have it, until one has. The error is that of the registry itself, the last.
    fn anywhere<T>(
        &self,
        reference: &ImageReference,
        watcher: &Watcher<'_>,
        ask: &mut dyn FnMut(&Endpoint) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let endpoints = Endpoint::of(reference, &self.declared);
        let (own, mirrors) = endpoints.split_last().expect("the registry itself is among them");
        for mirror in mirrors {
            match ask(mirror) {
                Err(error) if error.may_be_elsewhere() => {
                    if !matches!(error, RegistryError::NotFound(_)) {
                        (watcher.say)(format!("{error}; {} is asked instead", own.host));
                    }
                }
                outcome => return outcome,
            }
        }
        ask(own)
    }

    /// Makes a request until it succeeds: with an account where one is wanted, and again while the registry is busy.
    pub(crate) fn patiently<T>(
        &self,
        purpose: &Purpose<'_>,
        what: &str,
        watcher: &Watcher<'_>,
        make: &mut Ask<'_, T>,
    ) -> Result<T, RegistryError> {
        let Purpose { endpoint, repository, .. } = *purpose;
        let key = (endpoint.url.clone(), repository.to_owned(), purpose.writes.is_some());
        // A token that was got a moment ago and is refused opens nothing; an older one has run out.
        let (mut got, mut renewals, mut attempt): (Option<Instant>, u32, u32) = (None, 0, 0);
        loop {
            let header = self.known.lock().expect("no panic while locked").get(&key).cloned();
            let headers: Vec<(&'static str, String)> =
                header.iter().map(|header| ("Authorization", header.clone())).collect();
            let error = match make(&headers) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            attempt += 1;
            let FetchError::Failed { refusal, message, .. } = &error else {
                return Err(RegistryError::of_fetch(error, &endpoint.host, what));
            };
            // A redirect leads to hosts that get no account of this one, whatever they ask for.
            let is_own = refusal.as_ref().is_none_or(|refusal| is_from(&refusal.url, &endpoint.url));
            match refusal.as_ref().map(|refusal| refusal.status) {
                Some(status @ (401 | 403)) if !is_own => {
                    let host = refusal.as_ref().map(|refusal| origin_of(&refusal.url)).unwrap_or_default();
                    let message = format!("it leads to {host}, which answered {status}");
                    return Err(RegistryError::Failed { host: endpoint.host.clone(), what: what.to_owned(), message });
                }
                Some(401) if renewals < RENEWALS_MAX && got.is_none_or(|got| got.elapsed() > TOKEN_LASTS) => {
                    (got, renewals, attempt) = (Some(Instant::now()), renewals + 1, attempt - 1);
                    let headers = refusal.iter().flat_map(|refusal| refusal.headers.get_all("www-authenticate"));
                    let challenges: Vec<&str> = headers.filter_map(|value| value.to_str().ok()).collect();
                    let header = self.authorization(purpose, &challenges, &|| (watcher.progress)(0, 0))?;
                    self.known.lock().expect("no panic while locked").insert(key.clone(), header);
                }
                Some(401 | 403) => return Err(denied(&self.accounts, purpose, message)),
                status if attempt < ATTEMPTS_MAX && status.is_none_or(|status| status == 429 || status >= 500) => {
                    self.wait(endpoint, (refusal.as_deref(), message), attempt, watcher)?;
                }
                _ => return Err(RegistryError::of_fetch(error, &endpoint.host, what)),
            }
        }
    }

    /// Returns the header that answers one of the challenges.
    fn authorization(
        &self,
        purpose: &Purpose<'_>,
        challenges: &[&str],
        go_on: &dyn Fn() -> bool,
    ) -> Result<String, RegistryError> {
        let ask = |purpose: Purpose<'_>| {
            Asker { fetcher: &self.fetcher, accounts: &self.accounts, purpose }.authorization(challenges, go_on)
        };
        match ask(*purpose) {
            // Who may not read another repository may well write here.
            Err(RegistryError::Denied { .. }) if purpose.writes.is_some_and(|sources| !sources.is_empty()) => {
                ask(Purpose { writes: Some(&[]), ..*purpose })
            }
            outcome => outcome,
        }
    }

    /// Waits as long as the registry asks for, or a little longer each time, and says so.
    fn wait(
        &self,
        endpoint: &Endpoint,
        (refusal, message): (Option<&Refusal>, &str),
        attempt: u32,
        watcher: &Watcher<'_>,
    ) -> Result<(), RegistryError> {
        let asked = refusal.and_then(Refusal::retry_after);
        let wait = asked.unwrap_or(Duration::from_millis(250 << attempt)).min(WAIT_MAX);
        if wait >= Duration::from_secs(1) {
            let why = match refusal.map(|refusal| refusal.status) {
                Some(429) => "limits how often it is asked".to_owned(),
                Some(status) => format!("answered {status}"),
                None => format!("failed ({message})"),
            };
            (watcher.say)(format!("{} {why}: waiting {} s", endpoint.host, wait.as_secs()));
        }
        let begun = Instant::now();
        while begun.elapsed() < wait {
            if !(watcher.progress)(0, 0) {
                return Err(RegistryError::Interrupted);
            }
            std::thread::sleep(Duration::from_millis(50).min(wait.saturating_sub(begun.elapsed())));
        }
        Ok(())
    }
}

pub(crate) fn reading<'a>(endpoint: &'a Endpoint, reference: &'a ImageReference) -> Purpose<'a> {
    Purpose { endpoint, repository: reference.repository(), writes: None }
}

/// Returns an answer that is a success; any other is an error, with the registry's own words.
pub(crate) fn succeeded(response: Response, url: &str, what: &str) -> Result<Response, FetchError> {
    match response.status {
        200..=299 => Ok(response),
        404 | 410 => Err(FetchError::NotFound(what.to_owned())),
        status => Err(FetchError::Failed {
            url: url.to_owned(),
            message: format!("it answered {status}{}", words(&response.body)),
            refusal: Some(Box::new(Refusal { url: response.url, status, headers: response.headers })),
        }),
    }
}

pub(crate) fn is_from(url: &str, endpoint: &str) -> bool {
    origin_of(url) == origin_of(endpoint)
}

pub(crate) fn unsound(host: &str, what: &str, message: String) -> RegistryError {
    RegistryError::Unsound { host: host.to_owned(), what: what.to_owned(), message }
}

fn difference(found: &Digest, expected: &Digest) -> String {
    match found.size() == expected.size() {
        true => format!("its digest is {}", found.oci()),
        false => format!("{} bytes instead of {}", found.size(), expected.size()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
