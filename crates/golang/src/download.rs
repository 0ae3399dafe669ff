//! `Fetcher`: gets one URL into a file. `https:`, `http:` and `file:`; certificates and timeouts included.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Where systems keep their certificates; the first that exists is used.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Larger answers are refused, in bytes.
const SIZE_MAX: u64 = 1024 * 1024 * 1024;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server has no such thing (404 or 410).
    #[error("`{0}` is not there")]
    NotFound(String),
    /// The server or the way to it failed.
    #[error("failed to fetch `{url}`: {message}")]
    Failed {
        /// What was asked for; user and password removed.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// The answer could not be written down.
    #[error("failed to write the download: {0}")]
    Write(io::Error),
    /// The build was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// An HTTP client with the user's certificates.
pub struct Fetcher {
    agent: Agent,
}

impl Fetcher {
    /// `certificates` is a PEM file that the user names (`SSL_CERT_FILE`); without it the system's are used,
    /// and Mozilla's where the system has none.
    pub fn new(certificates: Option<PathBuf>) -> Fetcher {
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots(certificates))).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("rondel/", env!("CARGO_PKG_VERSION")))
            .build();
        Fetcher { agent: config.new_agent() }
    }

    /// Writes what is at `url` to `destination`. `progress` is told (done, total) bytes and says whether to go on.
    pub fn fetch(
        &self,
        url: &str,
        destination: &mut File,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), FetchError> {
        let failed = |message: String| FetchError::Failed { url: without_password(url), message };
        if let Some(path) = url.strip_prefix("file://") {
            let mut source = File::open(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FetchError::NotFound(url.to_owned()),
                _ => failed(error.to_string()),
            })?;
            let total = source.metadata().map_or(0, |metadata| metadata.len());
            return copy(&mut source, destination, total, progress, &failed);
        }
        let mut response = match self.agent.get(url).call() {
            Ok(response) => response,
            Err(ureq::Error::StatusCode(404 | 410)) => return Err(FetchError::NotFound(without_password(url))),
            Err(ureq::Error::StatusCode(status)) => return Err(failed(format!("the server answered {status}"))),
            Err(error) => return Err(failed(error.to_string())),
        };
        let total = response.body().content_length().unwrap_or(0);
        let mut body = response.body_mut().with_config().limit(SIZE_MAX).reader();
        copy(&mut body, destination, total, progress, &failed)
    }
}

fn copy(
    source: &mut dyn Read,
    destination: &mut File,
    total: u64,
    progress: &dyn Fn(u64, u64) -> bool,
    failed: &dyn Fn(String) -> FetchError,
) -> Result<(), FetchError> {
    let mut buffer = vec![0_u8; 128 * 1024];
    let mut done = 0_u64;
    loop {
        if !progress(done, total) {
            return Err(FetchError::Interrupted);
        }
        match source.read(&mut buffer) {
            Ok(0) if total > 0 && done < total => {
                return Err(failed(format!("the answer ended after {done} of {total} bytes")));
            }
            Ok(0) => return Ok(()),
            Ok(count) => {
                destination.write_all(&buffer[..count]).map_err(FetchError::Write)?;
                done += count as u64;
            }
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

/// `https://user:secret@host/x` without what stands before the `@`.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}/{path}"),
        None => url.to_owned(),
    }
}
