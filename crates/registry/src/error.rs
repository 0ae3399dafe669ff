//! Why a registry did not give or take what it was asked: what, where, and what next.

use rondel_fetch::FetchError;

/// Why an image is not had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such repository, tag or blob.
    #[error("`{0}` was not found")]
    NotFound(String),
    /// The registry wants another account, or any.
    #[error("{host} does not let {who} {verb} `{what}`{message}")]
    Denied {
        /// The registry.
        host: String,
        /// `` `user` `` or `anyone`.
        who: String,
        /// `read` or `write to`.
        verb: &'static str,
        /// The repository.
        what: String,
        /// Its own words, behind a colon; empty if it has none.
        message: String,
    },
    /// What came is not what was asked for.
    #[error("{host} sent something else for `{what}`: {message}")]
    Unsound {
        /// The registry.
        host: String,
        /// The reference or digest.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// The registry or the connection failed, also when it was tried again.
    #[error("{host} failed for `{what}`: {message}")]
    Failed {
        /// The registry.
        host: String,
        /// The reference or digest.
        what: String,
        /// The cause.
        message: String,
    },
    /// Docker's configuration or a credential helper is of no use.
    #[error("{0}")]
    Account(String),
    /// The bytes could not be written to disk.
    #[error("failed to write the download: {0}")]
    Write(std::io::Error),
    /// What is to be sent could not be read.
    #[error("failed to read what is sent: {0}")]
    Read(std::io::Error),
    /// The build was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl RegistryError {
    /// Returns what to do next, if anything is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            RegistryError::NotFound(_) => Some("check the name and the tag".to_owned()),
            RegistryError::Denied { host, .. } => Some(format!("log in with `docker login {host}`, or check the name")),
            RegistryError::Unsound { .. } => Some("ask the registry's owner; nothing of it was kept".to_owned()),
            RegistryError::Failed { .. } => Some("check the registry and the network, then run again".to_owned()),
            RegistryError::Account(_) => Some("see `config.json` in DOCKER_CONFIG or ~/.docker".to_owned()),
            RegistryError::Read(_) => Some("run again".to_owned()),
            RegistryError::Write(_) | RegistryError::Interrupted => None,
        }
    }

    /// Returns true if another place may have what this one does not give.
    pub(crate) fn may_be_elsewhere(&self) -> bool {
        match self {
            RegistryError::NotFound(_)
            | RegistryError::Denied { .. }
            | RegistryError::Unsound { .. }
            | RegistryError::Failed { .. } => true,
            RegistryError::Account(_)
            | RegistryError::Write(_)
            | RegistryError::Read(_)
            | RegistryError::Interrupted => false,
        }
    }

    /// Returns the error of a request for `what` that brought no answer.
    pub(crate) fn of_fetch(error: FetchError, host: &str, what: &str) -> RegistryError {
        match error {
            FetchError::NotFound(_) => RegistryError::NotFound(what.to_owned()),
            FetchError::Failed { message, .. } => {
                RegistryError::Failed { host: host.to_owned(), what: what.to_owned(), message }
            }
            FetchError::Write(error) => RegistryError::Write(error),
            FetchError::Read(error) => RegistryError::Read(error),
            FetchError::Interrupted => RegistryError::Interrupted,
        }
    }
}
