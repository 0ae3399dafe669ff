//! The build engine: a graph of steps, their actions and keys, a parallel scheduler, events, explanations.
//!
//! It knows steps, files and digests. It knows neither Go nor Docker nor build.ron, reads no variable of the
//! caller's environment, and prints nothing: what happens goes up as `Event`s.

mod action;
mod context;
mod durations;
mod environment;
mod error;
mod event;
mod execute;
mod facts;
mod graph;
mod inputs;
mod locks;
mod materialize;
mod plan;
mod reason;
mod record;
mod retry;
mod scheduler;
mod workspace;

pub use action::{ActionSpec, EncodedAction, KEY_FORMAT, OutputKind, OutputSpec};
pub use context::{Artefact, Sources, StepContext, UpstreamResult};
pub use environment::{Class, Environment, EnvironmentValue};
pub use error::{Category, StepError, UserError};
pub use event::{Event, NodeId, Outcome, OutputReport};
pub use graph::{Freshness, Graph, Node, Plan, Pool, RunReport, Step};
pub use inputs::{Input, InputSet, KnownInputs, collect, files_below};
pub use plan::{Planned, plan, planned_sources};
pub use reason::Reason;
pub use record::{LastRun, StepRecord, read_record, read_record_file, records};
pub use scheduler::{BuildOptions, Summary, build};
pub use workspace::Workspace;
