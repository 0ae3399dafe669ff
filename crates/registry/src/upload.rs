//! Images on their way to a registry: what it has already, blobs with resumed uploads and mounts, manifests and tags, by
//! the OCI distribution specification (1.1). It knows one blob and one document at a time; callers know the image.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::Digest;
use rondel_fetch::{FetchError, Method, Refusal, Request, Response, Upload, origin_of};
use rondel_names::ImageReference;
use rondel_oci::DOCUMENT_TYPES;

use crate::access::Endpoint;
use crate::authorization::{Purpose, words};
use crate::client::{FetchedDocument, Registry, Watcher, is_from, succeeded, unsound};
use crate::error::RegistryError;

/// The number of bytes that a series of broken uploads has to bring, so that another one is tried.
const STEP_LEAST: u64 = 1 << 18;
/// How many series of uploads that broke off, and brought less, are followed by another one.
const IDLE_MAX: u32 = 2;
/// How many redirects of an upload are followed.
const REDIRECTS_MAX: u32 = 5;

/// A repository that takes an image.
#[derive(Clone, Debug)]
pub struct Destination {
    pub(crate) endpoint: Endpoint,
    pub(crate) repository: String,
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
    pub(crate) fn purpose(&self) -> Purpose<'_> {
        Purpose { endpoint: &self.endpoint, repository: &self.repository, writes: Some(&self.sources) }
    }

    pub(crate) fn url(&self, rest: &str) -> String {
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
            Some(digest) if name.starts_with("sha256:") && digest != name => {
                Err(unsound(&to.endpoint.host, name, format!("it says that its digest is {digest}")))
            }
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
        if self.has_blob(to, blob, watcher)? {
            return Ok(Placed::Present);
        }
        let from = Cell::new(from.filter(|from| *from != to.repository));
        let sending = Sending {
            registry: self,
            to,
            blob,
            path,
            from,
            session: RefCell::new(None),
            is_gone: Cell::new(false),
            is_broken: Cell::new(false),
            watcher,
        };
        let (mut best, mut idle) = (0, 0);
        loop {
            let outcome = self.patiently(&to.purpose(), &what, watcher, &mut |headers| sending.attempt(headers));
            // A line that breaks now and then brings a large blob there nevertheless.
            match (&outcome, sending.done()) {
                (Err(RegistryError::Failed { .. }), done) if done >= best + STEP_LEAST => (best, idle) = (done, 0),
                // The registry may have lost what it had.
                (Err(RegistryError::Failed { .. }), _) if sending.is_broken.take() && idle < IDLE_MAX => idle += 1,
                _ => return outcome,
            }
        }
    }

    /// Returns true if the repository has a blob of this digest and size.
    fn has_blob(&self, to: &Destination, blob: &Digest, watcher: &Watcher<'_>) -> Result<bool, RegistryError> {
        let response = self.head(to, &format!("blobs/{}", blob.oci()), Vec::new(), watcher)?;
        Ok(response.is_some_and(|response| is_of(&response, blob)))
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
        self.put(to, name, media_type, bytes, watcher).map(drop)
    }

    /// Does the same; returns the registry's answer.
    pub(crate) fn put(
        &self,
        to: &Destination,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        watcher: &Watcher<'_>,
    ) -> Result<Response, RegistryError> {
        let (digest, what) = (Digest::of(bytes).oci(), format!("{}:{name}", to.repository));
        let response = self.patiently(&to.purpose(), &what, watcher, &mut |headers| {
            let mut headers = headers.to_vec();
            headers.push(("Content-Type", media_type.to_owned()));
            let (method, url) = (Method::PUT, to.url(&format!("manifests/{name}")));
            let request = Request { method, url, headers, body: bytes.to_vec(), bytes_max: 1 << 20 };
            let response = self.fetcher.call(request, &|| (watcher.progress)(0, 0))?;
            match response.status {
                201 => Ok(response),
                _ => Err(refused(&response)),
            }
        })?;
        check_told(to, &what, &response, &digest)?;
        Ok(response)
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
    /// Another repository of the registry that has it, unless it turned out that it can't be taken from there.
    from: Cell<Option<&'a str>>,
    /// The upload that was begun.
    session: RefCell<Option<Session>>,
    /// True if the registry has lost the upload, or has something else of it.
    is_gone: Cell<bool>,
    /// True if the last try broke off while bytes were sent.
    is_broken: Cell<bool>,
    watcher: &'a Watcher<'a>,
}

impl Sending<'_> {
    /// Returns the number of bytes that the registry is known to have.
    fn done(&self) -> u64 {
        self.session.borrow().as_ref().map_or(0, |session| session.done)
    }

    /// Begins the upload, or goes on with the one that broke off.
    fn attempt(&self, headers: &[(&'static str, String)]) -> Result<Placed, FetchError> {
        let known = self.session.take();
        let resumed = match known {
            Some(known) => match self.resume(&known, headers) {
                // What a slow registry was still checking is there meanwhile.
                Ok(None) if self.is_there(headers)? => return Ok(Placed::Sent),
                Ok(resumed) => resumed,
                Err(error) => {
                    self.session.replace(Some(known));
                    return Err(error);
                }
            },
            None => None,
        };
        let session = match resumed {
            Some(session) => session,
            None => match self.begin(headers)? {
                Some(session) => session,
                None => return Ok(Placed::Mounted),
            },
        };
        let outcome = self.send(&session, headers);
        self.is_broken.set(matches!(&outcome, Err(FetchError::Failed { refusal: None, .. })));
        // An upload that was refused is not taken up again: if there is another try, it begins at the first byte.
        let is_refused = matches!(&outcome, Err(FetchError::Failed { refusal: Some(refusal), .. })
            if refusal.status < 500 && refusal.status != 429 && refusal.status != 401);
        self.session.replace((!self.is_gone.take() && !is_refused).then_some(session));
        outcome
    }

    fn is_there(&self, headers: &[(&'static str, String)]) -> Result<bool, FetchError> {
        let url = self.to.url(&format!("blobs/{}", self.blob.oci()));
        let response = self.call(Method::HEAD, url, headers.to_vec())?;
        Ok(response.status == 200 && is_of(&response, self.blob))
    }

    /// Opens an upload; `None` if the registry had the blob in another repository.
    fn begin(&self, headers: &[(&'static str, String)]) -> Result<Option<Session>, FetchError> {
        let url = self.to.url("blobs/uploads/");
        let mut headers = headers.to_vec();
        headers.push(("Content-Length", "0".to_owned()));
        if let Some(from) = self.from.get() {
            let mount = format!("{url}?mount={}&from={}", self.blob.oci(), rondel_fetch::percent_escaped(from));
            let response = self.call(Method::POST, mount, headers.clone())?;
            match response.status {
                201 => return Ok(None),
                202 => return self.opened(&response).map(Some),
                429 | 500.. => return Err(refused(&response)),
                // It may be forbidden to read there: then it is sent.
                _ => self.from.set(None),
            }
        }
        let response = self.call(Method::POST, url, headers)?;
        match response.status {
            202 => self.opened(&response).map(Some),
            _ => Err(refused(&response)),
        }
    }

    fn opened(&self, response: &Response) -> Result<Session, FetchError> {
        Ok(Session { location: self.location(response)?, done: 0 })
    }

    /// Asks how far an upload got; `None` if it has to begin again.
    fn resume(&self, session: &Session, headers: &[(&'static str, String)]) -> Result<Option<Session>, FetchError> {
        let headers = self.own_headers(&session.location, headers);
        let response = self.call(Method::GET, session.location.clone(), headers)?;
        if matches!(response.status, 401 | 429 | 500..) {
            return Err(refused(&response));
        }
        // `0-0` is said of nothing and of one byte.
        let last = response.header("range").and_then(|range| range.trim().strip_prefix("0-")?.parse::<u64>().ok());
        let done = last.filter(|last| *last > 0 && *last < self.blob.size()).map(|last| last + 1);
        let location = self.location(&response).unwrap_or_else(|_| session.location.clone());
        Ok(done.filter(|_| response.status == 204).map(|done| Session { location, done }))
    }

    fn send(&self, session: &Session, headers: &[(&'static str, String)]) -> Result<Placed, FetchError> {
        let size = self.blob.size();
        // Nothing that was touched is sent: the registry would be blamed for it.
        let found = fs::metadata(self.path).map_err(FetchError::Read)?.len();
        if found != size {
            let message = format!("`{}` has {found} bytes instead of {size}", self.path.display());
            return Err(FetchError::Read(io::Error::other(message)));
        }
        let separator = if session.location.contains('?') { '&' } else { '?' };
        let mut url = format!("{}{separator}digest={}", session.location, self.blob.oci());
        for _ in 0..REDIRECTS_MAX {
            let mut headers = self.own_headers(&url, headers);
            headers.push(("Content-Type", "application/octet-stream".to_owned()));
            if session.done > 0 && session.done < size {
                headers.push(("Content-Range", format!("{}-{}", session.done, size - 1)));
            }
            let (method, path, skip) = (Method::PUT, self.path, session.done);
            let upload = Upload { method, url: url.clone(), headers, path, skip };
            let progress = |sent: u64| (self.watcher.progress)(session.done + sent, size);
            let response =
                self.registry.fetcher.send(upload, &progress).map_err(|error| self.elsewhere(&url, error))?;
            match response.status {
                307 | 308 => url = self.location(&response)?,
                200 | 201 | 204 => {
                    let told = response.header("docker-content-digest").filter(|told| told.starts_with("sha256:"));
                    return match told.filter(|told| *told != self.blob.oci()) {
                        None => Ok(Placed::Sent),
                        // Nothing gets better by sending it once more.
                        Some(told) => {
                            let answer = Response { status: 400, ..response.clone() };
                            Err(failed(format!("it says that its digest is {told}"), Some(&answer)))
                        }
                    };
                }
                // The upload is gone, or the registry has something else of it: it begins again.
                status if matches!(status, 404 | 410 | 416) || (session.done > 0 && (400..500).contains(&status)) => {
                    self.is_gone.set(true);
                    return Err(failed(format!("it answered {status}{}", words(&response.body)), None));
                }
                _ => return Err(refused(&response)),
            }
        }
        Err(failed("it leads from one place to the next without end".to_owned(), None))
    }

    /// Names the host that failed, if it is not the registry.
    fn elsewhere(&self, url: &str, error: FetchError) -> FetchError {
        match error {
            FetchError::Failed { url: place, message, refusal } if !is_from(url, &self.to.endpoint.url) => {
                let message = format!("it leads to {}: {message}", origin_of(url));
                FetchError::Failed { url: place, message, refusal }
            }
            error => error,
        }
    }

    fn call(&self, method: Method, url: String, headers: Vec<(&'static str, String)>) -> Result<Response, FetchError> {
        let request = Request { method, url, headers, body: Vec::new(), bytes_max: 1 << 20 };
        self.registry.fetcher.call(request, &|| (self.watcher.progress)(0, 0))
    }

    /// Returns where an answer leads. It may be another host, which gets no account.
    fn location(&self, response: &Response) -> Result<String, FetchError> {
        // Nothing gets better by asking once more.
        let wrong = |message: String| failed(message, Some(&Response { status: 400, ..response.clone() }));
        let missing = || wrong("it does not say where to send".to_owned());
        let told = response.header("location").ok_or_else(missing)?;
        let told = absolute(&response.url, told.split('#').next().unwrap_or(told));
        if !told.starts_with("http://") && !told.starts_with("https://") {
            return Err(missing());
        }
        if told.starts_with("http://") && scheme(&self.to.endpoint.url) == "https" {
            return Err(wrong(format!("it wants the image sent in the clear, to {}", origin_of(&told))));
        }
        Ok(told)
    }

    fn own_headers(&self, url: &str, headers: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        if is_from(url, &self.to.endpoint.url) { headers.to_vec() } else { Vec::new() }
    }
}

/// Returns true if an answer to `HEAD` can be of this blob: a page that answers everything is no registry.
fn is_of(response: &Response, blob: &Digest) -> bool {
    let size = response.header("content-length").and_then(|length| length.parse::<u64>().ok());
    let told = response.header("docker-content-digest");
    size.is_none_or(|size| size == blob.size()) && told.is_none_or(|told| told == blob.oci())
}

fn failed(message: String, answer: Option<&Response>) -> FetchError {
    let refusal = answer.map(|answer| {
        let Response { url, status, headers, .. } = answer.clone();
        Box::new(Refusal { url, status, headers })
    });
    FetchError::Failed { url: String::new(), message, refusal }
}

/// Returns the error of an answer that is no success, with the registry's own words.
pub(crate) fn refused(answer: &Response) -> FetchError {
    failed(format!("it answered {}{}", answer.status, words(&answer.body)), Some(answer))
}

/// Returns where a `Location` leads from `url` (RFC 3986, section 5.2).
pub(crate) fn absolute(url: &str, location: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    match location {
        location if location.contains("://") => location.to_owned(),
        location if location.starts_with("//") => format!("{}:{location}", scheme(url)),
        location if location.starts_with('/') => format!("{}{location}", origin_of(url)),
        location if location.starts_with('?') || location.is_empty() => format!("{path}{location}"),
        location => match path.rfind('/').filter(|slash| *slash > scheme(url).len() + 2) {
            Some(slash) => format!("{}/{location}", &path[..slash]),
            None => format!("{path}/{location}"),
        },
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
