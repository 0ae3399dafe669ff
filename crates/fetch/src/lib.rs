//! Fetching over HTTP: resumed downloads, proxies, certificates, credentials.
//!
//! It knows URLs and bytes, not their purpose: toolchains and images bring their own addresses and check the bytes
//! against their own pins.

mod credentials;
mod fetcher;
mod partial;
mod transfer;
mod url;

pub use credentials::Credentials;
pub use fetcher::{FetchError, Fetcher, Refusal, Request, Response, Upload};
pub use partial::PartialDownload;
pub use ureq::http::Method;
pub use url::{is_loopback, origin_of, percent_escaped, without_password};
