//! `Service`: everything about a program that goes on. A supervisor in the background gets it over a pipe, never by a file or
//! an argument, since its environment may hold secrets.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rondel_process::CommandLine;
use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::record::Holder;

/// A program that goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Name for people, and of its record.
    pub name: String,
    /// Where its record and its log are.
    pub place: Place,
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Working directory.
    pub directory: PathBuf,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Values that no log may hold.
    pub secrets: Vec<String>,
    /// Digest of everything that it is started from; empty if that is not known.
    pub key: String,
    /// When it is ready; `None`: once it has run for half a second.
    pub ready: Option<Ready>,
    /// The longest that it may take to become ready.
    pub ready_timeout: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// True if it starts again after a failure.
    pub restarts: bool,
    /// The Rondel that holds it, if one does.
    pub holder: Option<Holder>,
    /// The address that its supervisor holds for it, if one does.
    pub proxy: Option<SocketAddr>,
    /// The address that its holder holds for it, if one does.
    pub held: Option<SocketAddr>,
}

/// What tells that a program is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ready {
    /// It listens at this port of the loopback.
    Port(u16),
    /// It answers a GET request there with a status of 2xx.
    Http {
        /// The port.
        port: u16,
        /// Path of the request.
        path: String,
    },
    /// A line of its output holds this text.
    Line(String),
    /// This command ends with 0.
    Command(Vec<String>),
}

impl Ready {
    /// Returns the port that it is to listen at.
    pub fn port(&self) -> Option<u16> {
        match self {
            Ready::Port(port) | Ready::Http { port, .. } => Some(*port),
            Ready::Line(_) | Ready::Command(_) => None,
        }
    }

    /// Returns where the service is itself, for whoever holds an address for it.
    pub fn own_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()?)))
    }
}

impl Service {
    /// Returns the address that it answers at, for people: that of its supervisor, if that holds one.
    pub fn address(&self) -> Option<String> {
        self.proxy.or_else(|| self.own_address()).map(|at| self.at(at))
    }

    /// Returns the address that its holder holds for it, for people.
    pub fn held_address(&self) -> Option<String> {
        self.held.map(|at| self.at(at))
    }

    fn at(&self, at: SocketAddr) -> String {
        match &self.ready {
            Some(Ready::Http { path, .. }) => format!("http://{at}{path}"),
            Some(Ready::Port(_) | Ready::Line(_) | Ready::Command(_)) | None => at.to_string(),
        }
    }

    /// Returns where it is itself, for whoever holds an address for it.
    pub fn own_address(&self) -> Option<SocketAddr> {
        self.ready.as_ref()?.own_address()
    }

    /// Returns its command.
    pub(crate) fn line(&self) -> CommandLine {
        let mut line = CommandLine::new(&self.program, &self.directory)
            .arguments(self.arguments.iter().cloned())
            .environment(self.environment.iter().cloned());
        line.is_merged = true;
        line
    }
}
