//! `ImageConfig`: what an image is started with, as far as it sets that itself.

use std::collections::BTreeMap;

use serde_json::Value;

/// Settings of a container started from the image.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// `uid:gid` or a name.
    pub user: String,
    /// `8080/tcp`
    pub ports: Vec<String>,
    /// `NAME=value`, in order.
    pub environment: Vec<(String, String)>,
    /// Program and arguments.
    pub entrypoint: Vec<String>,
    /// Default arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub directory: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Docker's extension of the configuration.
    pub health: Option<Health>,
    /// That of the base, as it is, if the image sets none.
    pub inherited_health: Option<Value>,
    /// Paths of volumes.
    pub volumes: Vec<String>,
    /// Signal that ends a container; the engine's own if empty.
    pub stop_signal: String,
    /// Shell of the base for commands in one string (Docker's extension).
    pub shell: Vec<String>,
    /// Seconds since 1970.
    pub created_s: u64,
}

/// Docker's `HEALTHCHECK`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Health {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Seconds between checks.
    pub interval_s: u64,
    /// Seconds for one check.
    pub timeout_s: u64,
    /// Seconds during which failures do not count.
    pub start_period_s: u64,
    /// Failures that make it unhealthy.
    pub retries: u64,
}
