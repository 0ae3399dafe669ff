//! Why a release is not where it should be: what, where, and what next. None of it holds a token.

use std::io;

use rondel_cas::Digest;

/// Why a release was not published.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The declared place is of no use.
    #[error("{0}")]
    Place(String),
    /// The token is of no use.
    #[error("{0}")]
    Token(String),
    /// Something of the release is of no use at this forge.
    #[error("{0}")]
    Asset(String),
    /// The forge knows no such repository, or the token may not see it.
    #[error("{host} has no `{what}` for this token")]
    NotFound {
        /// The forge.
        host: String,
        /// `owner/name`, or a part of it.
        what: String,
    },
    /// The token opens nothing, or too little.
    #[error("{host} answered {status} for `{what}`{message}")]
    Denied {
        /// The forge.
        host: String,
        /// `owner/name`.
        what: String,
        /// 401 or 403.
        status: u16,
        /// Its own words, behind a colon; empty if it has none.
        message: String,
        /// What the token needs.
        hint: String,
    },
    /// The forge is asked too often.
    #[error("{host} limits how often it is asked, for another {seconds} s")]
    Limited {
        /// The forge.
        host: String,
        /// How long the limit lasts.
        seconds: u64,
    },
    /// The forge does not take what it was sent.
    #[error("{host} refused {what} ({status}{message})")]
    Refused {
        /// The forge.
        host: String,
        /// What it refused.
        what: String,
        /// `422`
        status: u16,
        /// Its own words, behind a colon; empty if it has none.
        message: String,
    },
    /// The forge or the connection failed, also when it was tried again.
    #[error("{host} failed for {what}: {message}")]
    Failed {
        /// The forge.
        host: String,
        /// What was wanted of it.
        what: String,
        /// The cause.
        message: String,
    },
    /// Something else has the name of a file.
    #[error("{place} has another `{name}`: {there} there, {} here", here.oci())]
    Differs {
        /// The release or the directory.
        place: String,
        /// The file.
        name: String,
        /// The digest of the bytes of this release.
        here: Digest,
        /// The digest of the other bytes.
        there: String,
        /// True if people download the other one already.
        is_published: bool,
    },
    /// A file here could not be read.
    #[error("failed to read `{path}`: {error}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        error: io::Error,
    },
    /// A file could not be written.
    #[error("failed to write `{path}`: {error}")]
    Write {
        /// The file.
        path: String,
        /// The cause.
        error: io::Error,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ForgeError {
    /// Returns what to do next, if anything is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            ForgeError::NotFound { .. } => {
                Some("check its name; a forge also answers so if the token may not see the repository".to_owned())
            }
            ForgeError::Denied { hint, .. } => Some(hint.clone()),
            ForgeError::Limited { .. } => Some("run again then: what is there already is kept".to_owned()),
            ForgeError::Refused { .. } | ForgeError::Failed { .. } => {
                Some("check the forge and the network, then run again: what is there already is kept".to_owned())
            }
            ForgeError::Differs { is_published: true, .. } => {
                Some("what is published is never changed: give the release another version".to_owned())
            }
            ForgeError::Differs { .. } => {
                Some("remove it there if it is of no use, or give the release another version".to_owned())
            }
            ForgeError::Read { .. } => Some("run again".to_owned()),
            ForgeError::Place(_)
            | ForgeError::Token(_)
            | ForgeError::Asset(_)
            | ForgeError::Write { .. }
            | ForgeError::Interrupted => None,
        }
    }
}
