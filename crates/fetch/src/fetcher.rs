//! `Fetcher`: gets one URL into a file, by `https:`, `http:` or `file:`, or asks a server one question, with certificates
//! and timeouts.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rondel_cas::{MEMORY_MAX, open_regular, read_at_most};
use ureq::Agent;
use ureq::http::{HeaderMap, Method};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::credentials::Credentials;
use crate::partial::PartialDownload;
use crate::transfer::{Answer, Patience, Question, Sent, Transfer, TransferError};
use crate::url::without_password;

/// Usual places of the system's certificates; the first that exists is used.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Maximum size of the answer to an upload in bytes.
const ANSWER_TO_UPLOAD_MAX: u64 = 1 << 20;

/// Number of times that a broken download is resumed, as long as each attempt brings some bytes.
const ATTEMPTS_MAX: u32 = 5;

/// Why a URL could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server does not have it (404 or 410).
    #[error("`{0}` was not found")]
    NotFound(String),
    /// The server or the connection failed.
    #[error("failed to fetch `{url}`: {message}")]
    Failed {
        /// The URL without user and password.
        url: String,
        /// The cause.
        message: String,
        /// The server's answer, if there was one.
        refusal: Option<Box<Refusal>>,
    },
    /// The answer could not be written to disk.
    #[error("failed to write the download: {0}")]
    Write(io::Error),
    /// What was to be sent could not be read.
    #[error("failed to read what is sent: {0}")]
    Read(io::Error),
    /// The build was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The head of an answer that is no success.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who refuses, after all redirects.
    pub url: String,
    /// `503`
    pub status: u16,
    /// Names and values.
    pub headers: HeaderMap,
}

impl Refusal {
    /// Returns the wait that the server asks for; dates are not read.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        seconds.map(Duration::from_secs)
    }
}

/// A question whose answer fits into memory.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: Method,
    /// `https:` or `http:`, without user and password.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// For methods that send something.
    pub body: Vec<u8>,
    /// Maximum size of the answer in bytes.
    pub bytes_max: u64,
}

/// A file that is sent to a server.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    /// `PUT`, …
    pub method: Method,
    /// `https:` or `http:`, without user and password.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The file.
    pub path: &'a Path,
    /// Number of its first bytes that the server has already.
    pub skip: u64,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// Who answered, after all redirects.
    pub url: String,
    /// `200`
    pub status: u16,
    /// Names and values.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An HTTP client with the user's certificates and credentials.
pub struct Fetcher {
    agent: Agent,
    credentials: Credentials,
    patience: Patience,
}

impl Fetcher {
    /// Returns a client. `certificates` is a PEM file named by the user (`SSL_CERT_FILE`). Without it the system's
    /// certificates are used, or Mozilla's if the system has none.
    pub fn new(certificates: Option<PathBuf>, credentials: Credentials) -> Fetcher {
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots(certificates))).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // These end threads that nobody waits for any more; `Patience` decides before.
            .timeout_resolve(Some(Duration::from_secs(30)))
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .user_agent(concat!("rondel/", env!("CARGO_PKG_VERSION")))
            .build();
        Fetcher { agent: config.new_agent(), credentials, patience: Patience::default() }
    }

    /// Downloads `url` into `partial`. Resumes an earlier attempt if the server can and the file is still the same.
    /// Calls `progress` with (done, total) bytes; it returns whether to continue.
    pub fn fetch(
        &self,
        url: &str,
        partial: &mut PartialDownload,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), FetchError> {
        let authorization = self.credentials.authorization(url).map(|value| ("Authorization", value));
        self.fetch_with(url, &authorization.into_iter().collect::<Vec<_>>(), partial, progress)
    }

    /// Asks a server one question; only `GET` and `HEAD` follow redirects. Calls `goes_on` now and then; it returns whether to go on. Only a server that gives no
    /// answer is an error.
    pub fn call(&self, request: Request, goes_on: &dyn Fn() -> bool) -> Result<Response, FetchError> {
        let Request { method, url, headers, body, bytes_max } = request;
        let shown = without_password(&url);
        let failed = |message: String| failure(&shown, message);
        let told = |error| told(error, &failed);
        let question = Question { method, url, headers, body: Sent::Bytes(body) };
        let transfer = Transfer::start(&self.agent, question, self.patience);
        let answer = transfer.answer(goes_on).map_err(told)?;
        whole(&transfer, answer, bytes_max, goes_on, &failed)
    }

    /// Sends the bytes of a file behind its first `skip`. Calls `progress` with the number of bytes sent; it returns
    /// whether to go on. A redirect is an answer: nothing is sent twice by itself.
    pub fn send(&self, upload: Upload<'_>, progress: &dyn Fn(u64) -> bool) -> Result<Response, FetchError> {
        let Upload { method, url, headers, path, skip } = upload;
        let shown = without_password(&url);
        let failed = |message: String| failure(&shown, message);
        let (mut file, metadata) = open_regular(path).map_err(FetchError::Read)?;
        file.seek(SeekFrom::Start(skip)).map_err(FetchError::Read)?;
        let length = metadata.len().saturating_sub(skip);
        let body = Sent::File { file, length };
        let transfer = Transfer::start(&self.agent, Question { method, url, headers, body }, self.patience);
        let goes_on = || progress(transfer.sent());
        let answer = transfer.answer_to_upload(length, &goes_on).map_err(|error| told(error, &failed))?;
        // A short upload ends before anybody looks.
        if !goes_on() {
            return Err(FetchError::Interrupted);
        }
        whole(&transfer, answer, ANSWER_TO_UPLOAD_MAX, &goes_on, &failed)
    }

    /// As `fetch`, with these headers in place of the user's credentials.
    pub fn fetch_with(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        partial: &mut PartialDownload,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), FetchError> {
        if let Some(path) = url.strip_prefix("file://") {
            let failed = |message: String| failure(url, message);
            let (mut source, metadata) = open_regular(Path::new(path)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FetchError::NotFound(url.to_owned()),
                _ => failed(error.to_string()),
            })?;
            let total = metadata.len();
            partial.restart(url, None).map_err(FetchError::Write)?;
            return copy(&mut source, partial, total, progress, &failed);
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let before = partial.done();
            match self.attempt(url, headers, partial, progress) {
                // The connection broke while bytes were coming: the received ones are kept.
                Err(FetchError::Failed { .. }) if attempt < ATTEMPTS_MAX && partial.done() > before => {}
                outcome => return outcome,
            }
        }
    }

    fn attempt(
        &self,
        url: &str,
        own: &[(&'static str, String)],
        partial: &mut PartialDownload,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), FetchError> {
        let failed = |message: String| failure(&without_password(url), message);
        let mut headers = own.to_vec();
        let validator = partial.validator_for(url).map(str::to_owned).filter(|_| !partial.goes_on_anyway());
        let resume = (validator.is_some() || partial.goes_on_anyway()).then(|| partial.done());
        headers.extend(resume.map(|done| ("Range", format!("bytes={done}-"))));
        headers.extend(validator.map(|validator| ("If-Range", validator)));
        let question =
            Question { method: Method::GET, url: without_password(url), headers, body: Sent::Bytes(Vec::new()) };
        let transfer = Transfer::start(&self.agent, question, self.patience);
        let before = partial.done();
        let answer = transfer.answer(&|| progress(before, 0)).map_err(|error| told(error, &failed))?;
        match answer.status {
            200..=299 => {}
            416 if resume.is_some() => {
                partial.restart(url, None).map_err(FetchError::Write)?;
                return self.attempt(url, own, partial, progress);
            }
            _ => return Err(refused(&answer, url)),
        }
        if !goes_on(&answer, resume) {
            if answer.status == 206 {
                partial.restart(url, None).map_err(FetchError::Write)?;
                return Err(failed("the server sent the wrong part of the file".to_owned()));
            }
            partial.restart(url, answer.validator()).map_err(FetchError::Write)?;
        }
        let total = answer.length.map_or(0, |length| length + partial.done());
        loop {
            let done = partial.done();
            if !progress(done, total) {
                return Err(FetchError::Interrupted);
            }
            match transfer.piece(&|| progress(done, total)).map_err(|error| told(error, &failed))? {
                Some(bytes) => partial.append(&bytes).map_err(FetchError::Write)?,
                None if total > 0 && done < total => {
                    return Err(failed(format!("the answer ended after {done} of {total} bytes")));
                }
                None => return Ok(()),
            }
        }
    }
}

/// Returns an answer with its whole body.
fn whole(
    transfer: &Transfer,
    answer: Answer,
    bytes_max: u64,
    goes_on: &dyn Fn() -> bool,
    failed: &dyn Fn(String) -> FetchError,
) -> Result<Response, FetchError> {
    let mut body = Vec::new();
    while let Some(bytes) = transfer.piece(goes_on).map_err(|error| told(error, failed))? {
        body.extend_from_slice(&bytes);
        if body.len() as u64 > bytes_max {
            return Err(failed(format!("the answer has more than {bytes_max} bytes")));
        }
    }
    Ok(Response { url: answer.url, status: answer.status, headers: answer.headers, body })
}

/// Returns true if the answer is the rest of a file of which `done` bytes are here.
fn goes_on(answer: &Answer, done: Option<u64>) -> bool {
    let rest = |range: &str| done.is_some_and(|done| range.starts_with(&format!("bytes {done}-")));
    answer.status == 206 && answer.range().is_some_and(rest)
}

/// Returns the error of a server that answers with anything but success.
fn refused(answer: &Answer, url: &str) -> FetchError {
    let url = without_password(url);
    let message = match answer.status {
        404 | 410 => return FetchError::NotFound(url),
        status @ (401 | 403) => format!("the server answered {status}: check the credentials (netrc)"),
        status => format!("the server answered {status}"),
    };
    let refusal = Refusal { url: answer.url.clone(), status: answer.status, headers: answer.headers.clone() };
    FetchError::Failed { url, message, refusal: Some(Box::new(refusal)) }
}

fn failure(url: &str, message: String) -> FetchError {
    FetchError::Failed { url: url.to_owned(), message, refusal: None }
}

fn told(error: TransferError, failed: &dyn Fn(String) -> FetchError) -> FetchError {
    match error {
        TransferError::Failed(message) => failed(message),
        TransferError::Interrupted => FetchError::Interrupted,
    }
}

fn copy(
    source: &mut dyn Read,
    partial: &mut PartialDownload,
    total: u64,
    progress: &dyn Fn(u64, u64) -> bool,
    failed: &dyn Fn(String) -> FetchError,
) -> Result<(), FetchError> {
    let mut buffer = vec![0_u8; 128 * 1024];
    loop {
        let done = partial.done();
        if !progress(done, total) {
            return Err(FetchError::Interrupted);
        }
        match source.read(&mut buffer) {
            Ok(0) if total > 0 && done < total => {
                return Err(failed(format!("the answer ended after {done} of {total} bytes")));
            }
            Ok(0) => return Ok(()),
            Ok(count) => partial.append(&buffer[..count]).map_err(FetchError::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}

fn roots(named: Option<PathBuf>) -> Vec<Certificate<'static>> {
    let files = named.into_iter().chain(SYSTEM_BUNDLES.iter().map(PathBuf::from));
    for file in files {
        let Ok(pem) = read_at_most(&file, MEMORY_MAX) else { continue };
        let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if !certificates.is_empty() {
            return certificates;
        }
    }
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}
