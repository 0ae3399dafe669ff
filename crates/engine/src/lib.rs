//! The build engine: a graph of steps, their actions and keys, a parallel scheduler, events, explanations.
//!
//! It knows steps, files and digests. It knows neither Go nor Docker nor build.ron, reads no variable of the caller's
//! environment, and prints nothing: it emits `Event`s.

mod action;
mod clean;
mod context;
mod declared_inputs;
mod durations;
mod entries;
mod environment;
mod error;
mod event;
mod execute;
mod former;
mod graph;
mod inputs;
mod kept;
mod locks;
mod manifest;
mod materialize;
mod moving;
mod output_log;
mod output_use;
mod own_writes;
mod ownership;
mod place;
mod placed;
mod plan;
mod reason;
mod record;
mod removal;
mod retry;
mod scheduler;
mod seal;
mod stale;
mod state;
mod state_directory;
mod step;
mod step_key;
mod storing;
mod strangers;
mod workspace;

pub use action::{ActionSpec, EncodedAction, KEY_FORMAT, OutputKind, OutputSpec, entry_text};
pub use clean::Cleanable;
pub use context::{Artefact, Sources, StepContext, UpstreamResult};
pub use declared_inputs::{DeclaredInputs, LeftOut, Owner};
pub use environment::{Class, Environment, EnvironmentValue};
pub use error::{Category, PROGRAM, StepError, UserError};
pub use event::{Event, NodeId, Outcome, OutputReport};
pub use graph::{Graph, Node, Pool, Shown};
pub use inputs::{Input, InputSet, KnownInputs, files_below, hash_inputs};
pub use kept::keep_file;
pub use moving::copy_tree;
pub use output_use::{OutputRole, OutputUse};
pub use plan::{Planned, plan, planned_sources, question};
pub use reason::Reason;
pub use record::{LastRun, StepRecord, read_record, read_record_file, records};
pub use rondel_cas::{Metadata, MetadataType};
pub use rondel_tree::set_process_umask;
pub use scheduler::{BuildOptions, Summary, build};
pub use seal::Seal;
pub use state_directory::not_own;
pub use step::{AnyStep, Freshness, Job, Prepared, PreparedAction, Query, Report, Step, TreeAccess};
pub use step_key::{Role, StepKey};
pub use workspace::{DeclaredTargets, Workspace};
