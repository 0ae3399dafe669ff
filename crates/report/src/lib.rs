//! Records of runs, and the page that shows the last one of them.
//!
//! It knows neither steps nor events: who runs a build fills a [`Run`]. All texts of a record are hostile here, since
//! commands print them and a file can be edited: the page escapes each of them, and allows no script but its own.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test reads the files that it has made"))]

mod diagram;
mod images;
mod log;
mod page;
mod path;
mod run;
mod store;
mod text;
mod trend;
mod view;

pub use images::{Image, Layer, LayersOf};
pub use log::Log;
pub use page::page;
pub use run::{End, Output, Run, Step, StepError, Tested};
pub use store::{RECORDS, Records, read_runs, write_run};
