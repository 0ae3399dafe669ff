//! What a supervisor tells: its caller here, or the Rondel that started it, by lines of JSON.

use serde::{Deserialize, Serialize};

/// Something happened to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It printed a line, without secrets.
    Line(String),
    /// It is ready.
    Ready {
        /// Time since its start, in milliseconds.
        after_ms: u64,
    },
    /// It ended, and starts again.
    Restarts {
        /// How it ended, in words.
        status: String,
        /// How often it has started again, with this time.
        count: u32,
    },
    /// It did not become ready, and runs no more.
    Failed {
        /// What happened, in words.
        status: String,
    },
}
