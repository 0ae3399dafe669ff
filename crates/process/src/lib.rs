//! The only door to other programs: closed environments, process groups, output by lines, cancellation.
//!
//! It does not know why a program runs and prints nothing: its callers get lines and a status.

mod cancellation;
mod command_line;
mod detached;
mod foreground;
mod identity;
mod listeners;
mod orphans;
mod redaction;
mod run;
mod sandbox;
mod tool;
mod user;

pub(crate) use cancellation::Receiver;
pub use cancellation::{Cancellation, Finishing};
pub use command_line::{CommandLine, quote};
pub use detached::{Detached, leave_session, let_stay, start_detached};
#[cfg(unix)]
pub use foreground::keep_terminal_modes;
pub use foreground::{is_at_terminal, run_in_foreground};
pub use identity::ProcessIdentity;
pub use listeners::{Listener, listener_at};
pub use orphans::{become_subreaper, inherit_lock, kill_lock_holders, kill_orphans};
pub use redaction::Redactor;
pub use run::{Captured, Finished, ProcessError, Stream, Told, capture, capture_redacted, run, run_and_tell};
pub use sandbox::{Sandbox, SandboxSupport, sandbox_support};
pub use tool::{ToolMissing, find_tool};
pub use user::effective_user;
