//! Images on their way to a registry: what it has already, blobs with resumed uploads and mounts, manifests and tags, by
//! the OCI distribution specification (1.1). It knows one blob and one document at a time; callers know the image.

use std::cell::Cell;
use std::path::Path;

use rondel_cas::Digest;
use rondel_fetch::{FetchError, Method, Refusal, Request, Response, Upload};
use rondel_names::ImageReference;
use rondel_oci::DOCUMENT_TYPES;

use crate::access::Endpoint;
use crate::authorization::{Purpose, words};
use crate::client::{FetchedDocument, Registry, Watcher, is_from, origin_of, succeeded, unsound};
use crate::error::RegistryError;

/// How many redirects of an upload are followed.
const REDIRECTS_MAX: u32 = 5;

/// A repository that takes an image.
#[derive(Clone, Debug)]
pub struct Destination {
    endpoint: Endpoint,
    repository: String,
    /// Repositories of the same registry whose blobs may be used again.
    sources: Vec<String>,
}

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Sent,
}

/// Where an upload stands.
struct Session {
    location: String,
    /// Number of bytes that the registry has.
    done: u64,
}

impl Destination {
    fn purpose(&self) -> Purpose<'_> {
        Purpose { endpoint: &self.endpoint, repository: &self.repository, writes: Some(&self.sources) }
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.endpoint.url, self.repository)
    }
}

impl Registry {
    /// Returns the repository of `reference`. Blobs of the repositories `sources` in the same registry may be mounted.
    pub fn destination(&self, reference: &ImageReference, sources: Vec<String>) -> Destination {
        let endpoint = Endpoint::own(reference, &self.declared);
        Destination { endpoint, repository: reference.repository().to_owned(), sources }
    }

    /// Returns the digest, `sha256:…`, of what has the name in the repository: a tag or a digest. `None` if nothing has
    /// it.
    pub fn digest_at(
        &self,
        to: &Destination,
        name: &str,
        watcher: &Watcher<'_>,
    ) -> Result<Option<String>, RegistryError> {
        let headers = vec![("Accept", DOCUMENT_TYPES.join(", "))];
        let Some(response) = self.head(to, &format!("manifests/{name}"), headers, watcher)? else { return Ok(None) };
        match response.header("docker-content-digest").filter(|digest| digest.starts_with("sha256:")) {
            Some(digest) => Ok(Some(digest.to_owned())),
            // Not all registries tell it.
            None => Ok(self.document_there(to, name, watcher)?.map(|document| document.digest.oci())),
        }
    }

    /// Returns the document that has the name in the repository, a tag or a digest; `None` if nothing has it.
    pub fn document_there(
        &self,
        to: &Destination,
        name: &str,
        watcher: &Watcher<'_>,
    ) -> Result<Option<FetchedDocument>, RegistryError> {
        let what = format!("{}:{name}", to.repository);
        match self.document_at(&to.purpose(), &what, name, watcher) {
            Ok(document) => Ok(Some(document)),
            Err(RegistryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a blob is in the repository; `path` has its bytes. `from` names another repository of the
    /// registry that has it. `watcher` gets the bytes of this blob.
    pub fn push_blob(
        &self,
        to: &Destination,
        blob: &Digest,
        path: &Path,
        from: Option<&str>,
        watcher: &Watcher<'_>,
    ) -> Result<Placed, RegistryError> {
        let what = blob.oci();
        if self.head(to, &format!("blobs/{what}"), Vec::new(), watcher)?.is_some() {
            return Ok(Placed::Present);
        }
        let from = from.filter(|from| *from != to.repository);
        let sending = Sending { registry: self, to, blob, path, from, session: Cell::new(None), watcher };
        let mut best = 0;
        loop {
            let outcome = self.patiently(&to.purpose(), &what, watcher, &mut |headers| sending.attempt(headers));
            match (&outcome, sending.done()) {
                // A line that breaks now and then brings a large blob there nevertheless.
                (Err(RegistryError::Failed { .. }), done) if done > best => best = done,
                _ => return outcome,
            }
        }
    }

    /// Gives a document its name in the repository, a tag or its digest.
    pub fn put_document(
        &self,
        to: &Destination,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        watcher: &Watcher<'_>,
    ) -> Result<(), RegistryError> {
        let (digest, what) = (Digest::of(bytes).oci(), format!("{}:{name}", to.repository));
        let response = self.patiently(&to.purpose(), &what, watcher, &mut |headers| {
            let mut headers = headers.to_vec();
            headers.push(("Content-Type", media_type.to_owned()));
            let (method, url) = (Method::PUT, to.url(&format!("manifests/{name}")));
            let request = Request { method, url, headers, body: bytes.to_vec(), bytes_max: 1 << 20 };
            succeeded(self.fetcher.call(request, &|| (watcher.progress)(0, 0))?, &to.endpoint.url, &what)
        })?;
        check_told(to, &what, &response, &digest)
    }

    /// Asks for the head of something in the repository; `None` if it is not there.
    fn head(
        &self,
        to: &Destination,
        rest: &str,
        own: Vec<(&'static str, String)>,
        watcher: &Watcher<'_>,
    ) -> Result<Option<Response>, RegistryError> {
        let outcome = self.patiently(&to.purpose(), &to.repository, watcher, &mut |headers| {
            let headers = [headers, &own].concat();
            let request =
                Request { method: Method::HEAD, url: to.url(rest), headers, body: Vec::new(), bytes_max: 1 << 16 };
            succeeded(self.fetcher.call(request, &|| (watcher.progress)(0, 0))?, &to.endpoint.url, &to.repository)
        });
        match outcome {
            Ok(response) => Ok(Some(response)),
            Err(RegistryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One blob on its way.
struct Sending<'a> {
    registry: &'a Registry,
    to: &'a Destination,
    blob: &'a Digest,
    path: &'a Path,
    from: Option<&'a str>,
    /// The upload that was begun.
    session: Cell<Option<Session>>,
    watcher: &'a Watcher<'a>,
}

impl Sending<'_> {
    /// Returns the number of bytes that the registry is known to have.
    fn done(&self) -> u64 {
        let session = self.session.take();
        let done = session.as_ref().map_or(0, |session| session.done);
        self.session.set(session);
        done
    }

    /// Begins the upload, or goes on with the one that broke off.
    fn attempt(&self, headers: &[(&'static str, String)]) -> Result<Placed, FetchError> {
        let known = self.session.take();
        let resumed = known.map(|session| self.resume(&session, headers)).transpose()?.flatten();
        let session = match resumed {
            Some(session) => session,
            None => match self.begin(headers)? {
                Some(session) => session,
                None => return Ok(Placed::Mounted),
            },
        };
        let outcome = self.send(&session, headers);
        let is_final = matches!(&outcome, Err(FetchError::Failed { refusal: Some(refusal), .. })
            if refusal.status < 500 && refusal.status != 429);
        self.session.set((!is_final).then_some(session));
        outcome
    }

    /// Opens an upload; `None` if the registry had the blob in another repository.
    fn begin(&self, headers: &[(&'static str, String)]) -> Result<Option<Session>, FetchError> {
        let mut url = self.to.url("blobs/uploads/");
        if let Some(from) = self.from {
            url.push_str(&format!("?mount={}&from={}", self.blob.oci(), rondel_fetch::percent_escaped(from)));
        }
        let mut headers = headers.to_vec();
        headers.push(("Content-Length", "0".to_owned()));
        let response = self.call(Method::POST, url, headers)?;
        match response.status {
            201 => Ok(None),
            _ => {
                let location = self.location(&response)?;
                Ok(Some(Session { location, done: 0 }))
            }
        }
    }

    /// Asks how far an upload got; `None` if it has to begin again.
    fn resume(&self, session: &Session, headers: &[(&'static str, String)]) -> Result<Option<Session>, FetchError> {
        let headers = self.own_headers(&session.location, headers);
        let response = match self.call(Method::GET, session.location.clone(), headers) {
            Ok(response) => response,
            Err(FetchError::Interrupted) => return Err(FetchError::Interrupted),
            Err(_) => return Ok(None),
        };
        let last = response.header("range").and_then(|range| range.rsplit('-').next()?.trim().parse::<u64>().ok());
        let location = self.location(&response).unwrap_or_else(|_| session.location.clone());
        // `0-0` is said of nothing and of one byte.
        let done = last.filter(|last| *last > 0).map_or(0, |last| last + 1);
        Ok((response.status == 204 && done > 0 && done <= self.blob.size()).then_some(Session { location, done }))
    }

    fn send(&self, session: &Session, headers: &[(&'static str, String)]) -> Result<Placed, FetchError> {
        let separator = if session.location.contains('?') { '&' } else { '?' };
        let mut url = format!("{}{separator}digest={}", session.location, self.blob.oci());
        let size = self.blob.size();
        for _ in 0..REDIRECTS_MAX {
            let mut headers = self.own_headers(&url, headers);
            headers.push(("Content-Type", "application/octet-stream".to_owned()));
            if session.done > 0 && session.done < size {
                headers.push(("Content-Range", format!("{}-{}", session.done, size - 1)));
            }
            let (method, path, skip) = (Method::PUT, self.path, session.done);
            let upload = Upload { method, url: url.clone(), headers, path, skip };
            let progress = |sent: u64| (self.watcher.progress)(session.done + sent, size);
            let response = self.registry.fetcher.send(upload, &progress)?;
            match response.status {
                307 | 308 => url = self.location(&response)?,
                200 | 201 | 204 => {
                    let told = check_told(self.to, &self.blob.oci(), &response, &self.blob.oci());
                    // Nothing gets better by sending it once more.
                    let refused = |error: RegistryError| {
                        self.failed(error.to_string(), Some(Response { status: 400, ..response.clone() }))
                    };
                    return told.map(|()| Placed::Sent).map_err(refused);
                }
                // The upload is gone, or the registry has other bytes of it: it begins again.
                status @ (404 | 410 | 416) => {
                    return Err(self.failed(format!("it answered {status}{}", words(&response.body)), None));
                }
                status => {
                    let message = format!("it answered {status}{}", words(&response.body));
                    return Err(self.failed(message, Some(response)));
                }
            }
        }
        Err(self.failed("it leads from one place to the next without end".to_owned(), None))
    }

    fn call(&self, method: Method, url: String, headers: Vec<(&'static str, String)>) -> Result<Response, FetchError> {
        let request = Request { method, url, headers, body: Vec::new(), bytes_max: 1 << 20 };
        let response = self.registry.fetcher.call(request, &|| (self.watcher.progress)(0, 0))?;
        succeeded(response, &self.to.endpoint.url, &self.to.repository)
    }

    /// Returns where an answer leads. It may be another host, which gets no account.
    fn location(&self, response: &Response) -> Result<String, FetchError> {
        let missing = || self.failed("it does not say where to send".to_owned(), None);
        let told = response.header("location").ok_or_else(missing)?;
        let told = match told.starts_with('/') {
            true if told.starts_with("//") => format!("{}:{told}", scheme(&self.to.endpoint.url)),
            true => format!("{}{told}", origin_of(&response.url)),
            false => told.to_owned(),
        };
        let is_plain = told.starts_with("http://");
        if !is_plain && !told.starts_with("https://") {
            return Err(missing());
        }
        if is_plain && scheme(&self.to.endpoint.url) == "https" {
            let message = format!("it wants the image sent in the clear, to {}", origin_of(&told));
            return Err(self.failed(message, Some(Response { status: 400, ..response.clone() })));
        }
        Ok(told)
    }

    fn own_headers(&self, url: &str, headers: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        if is_from(url, &self.to.endpoint.url) { headers.to_vec() } else { Vec::new() }
    }

    fn failed(&self, message: String, answer: Option<Response>) -> FetchError {
        let refusal = answer.map(|Response { url, status, headers, .. }| Box::new(Refusal { url, status, headers }));
        FetchError::Failed { url: self.to.endpoint.url.clone(), message, refusal }
    }
}

fn scheme(url: &str) -> &str {
    url.split("://").next().unwrap_or_default()
}

/// Fails if the registry says that it got something else.
fn check_told(to: &Destination, what: &str, response: &Response, digest: &str) -> Result<(), RegistryError> {
    match response.header("docker-content-digest") {
        Some(told) if told.starts_with("sha256:") && told != digest => {
            Err(unsound(&to.endpoint.host, what, format!("it says that its digest is {told}, not {digest}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
