//! The only door to other programs: closed environments, process groups, output by lines, cancellation.
//!
//! It does not know why a program runs and prints nothing; whoever calls gets lines and a status.

mod cancellation;
mod command_line;
mod orphans;
mod redaction;
mod run;
mod tool;

pub use cancellation::Cancellation;
pub use command_line::{quote, CommandLine};
pub use orphans::{adopt_orphans, end_orphans};
pub use redaction::Redactor;
pub use run::{capture, run, Captured, Finished, ProcessError, Stream};
pub use tool::{find_tool, ToolMissing};
