//! Fetching over HTTP: resumed downloads, proxies, certificates, credentials.
//!
//! It knows URLs and bytes. It does not know what is fetched or why: toolchains and images bring their own addresses
//! and check what has come against their own pins.

mod credentials;
mod fetcher;
mod partial;
mod url;

pub use credentials::Credentials;
pub use fetcher::{FetchError, Fetcher};
pub use partial::PartialDownload;
pub use url::without_password;
