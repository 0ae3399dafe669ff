//! Images in registries: manifests, blobs and documents about images, by the OCI distribution specification (1.1) and
//! Docker's token authentication.
//!
//! It knows registries, the accounts of Docker's configuration, and which bytes were asked for. It knows no target, no
//! image as a whole and no build.lock: callers say what they want, and keep what they get.

mod access;
mod accounts;
mod authorization;
mod challenge;
mod client;
mod error;
mod referrers;
mod upload;

pub use access::{Access, Endpoint};
pub use accounts::{Account, Accounts};
pub use client::{FetchedDocument, Registry, Watcher};
pub use error::RegistryError;
pub use referrers::Attached;
pub use upload::{Destination, Placed};
