//! `Fetcher`: gets one URL into a file, by `https:`, `http:` or `file:`, with certificates and timeouts.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::credentials::Credentials;
use crate::partial::PartialDownload;
use crate::url::without_password;

/// Usual places of the system's certificates; the first that exists is used.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Maximum size of an answer in bytes; larger ones are refused.
const SIZE_MAX: u64 = 1024 * 1024 * 1024;

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
    },
    /// The answer could not be written to disk.
    #[error("failed to write the download: {0}")]
    Write(io::Error),
    /// The build was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// An HTTP client with the user's certificates and credentials.
pub struct Fetcher {
    agent: Agent,
    credentials: Credentials,
}

impl Fetcher {
    /// Returns a client. `certificates` is a PEM file named by the user (`SSL_CERT_FILE`). Without it the system's
    /// certificates are used, or Mozilla's if the system has none.
    pub fn new(certificates: Option<PathBuf>, credentials: Credentials) -> Fetcher {
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots(certificates))).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("rondel/", env!("CARGO_PKG_VERSION")))
            .build();
        Fetcher { agent: config.new_agent(), credentials }
    }

    /// Downloads `url` into `partial`. Resumes an earlier attempt if the server can and the file is still the same.
    /// Calls `progress` with (done, total) bytes; it returns whether to continue.
    pub fn fetch(
        &self,
        url: &str,
        partial: &mut PartialDownload,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), FetchError> {
        if let Some(path) = url.strip_prefix("file://") {
            let failed = |message: String| FetchError::Failed { url: url.to_owned(), message };
            let mut source = File::open(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FetchError::NotFound(url.to_owned()),
                _ => failed(error.to_string()),
            })?;
            let total = source.metadata().map_or(0, |metadata| metadata.len());
            partial.restart(url, None).map_err(FetchError::Write)?;
            return copy(&mut source, partial, total, progress, &failed);
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let before = partial.done();
            match self.attempt(url, partial, progress) {
                // The connection broke while bytes were coming: the received ones are kept.
                Err(FetchError::Failed { .. }) if attempt < ATTEMPTS_MAX && partial.done() > before => {}
                outcome => return outcome,
            }
        }
    }

    fn attempt(
        &self,
        url: &str,
        partial: &mut PartialDownload,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), FetchError> {
        let failed = |message: String| FetchError::Failed { url: without_password(url), message };
        let mut request = self.agent.get(without_password(url));
        if let Some(value) = self.credentials.authorization(url) {
            request = request.header("Authorization", value);
        }
        let resume = partial.validator_for(url).map(|validator| (partial.done(), validator.to_owned()));
        if let Some((done, validator)) = &resume {
            request = request.header("Range", format!("bytes={done}-")).header("If-Range", validator.as_str());
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::StatusCode(416)) if resume.is_some() => {
                partial.restart(url, None).map_err(FetchError::Write)?;
                return self.attempt(url, partial, progress);
            }
            Err(ureq::Error::StatusCode(404 | 410)) => return Err(FetchError::NotFound(without_password(url))),
            Err(ureq::Error::StatusCode(status @ (401 | 403))) => {
                return Err(failed(format!("the server answered {status}: check the credentials (netrc)")));
            }
            Err(ureq::Error::StatusCode(status)) => return Err(failed(format!("the server answered {status}"))),
            Err(error) => return Err(failed(error.to_string())),
        };
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let goes_on = resume.as_ref().is_some_and(|(done, _)| {
            response.status() == 206
                && header("content-range").is_some_and(|range| range.starts_with(&format!("bytes {done}-")))
        });
        if !goes_on {
            if response.status() == 206 {
                partial.restart(url, None).map_err(FetchError::Write)?;
                return Err(failed("the server sent the wrong part of the file".to_owned()));
            }
            // A weak tag says nothing of bytes.
            let validator = header("etag").filter(|tag| !tag.starts_with("W/")).or_else(|| header("last-modified"));
            partial.restart(url, validator.as_deref()).map_err(FetchError::Write)?;
        }
        let total = response.body().content_length().map_or(0, |length| length + partial.done());
        let mut body = response.body_mut().with_config().limit(SIZE_MAX).reader();
        copy(&mut body, partial, total, progress, &failed)
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
        let Ok(pem) = std::fs::read(&file) else { continue };
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
