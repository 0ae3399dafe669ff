//! Programs of this machine that go on until they are stopped: started, ready, restarted, stopped.
//!
//! A `Service` is everything about one. It runs below a supervisor: this process while it is in the foreground
//! (`run_here`), or a process of its own in the background (`start_in_background`, which starts this program again, as
//! `supervise`). A `Record` beside the log says which processes those are, so that another Rondel finds them. It does not know
//! build.ron, targets or steps.

mod background;
mod events;
mod log;
mod place;
mod probe;
mod proxies;
mod proxy;
mod record;
mod run;
mod service;
mod stop;
mod turn;

pub use background::{StartError, Started, start_in_background, supervise};
pub use events::Event;
pub use log::{LOG_MAX, LogReader, last_lines};
pub use place::Place;
pub use probe::http_answers;
pub use proxies::Proxies;
pub use proxy::Proxy;
pub use record::{Holder, Phase, Record};
pub use run::{DRAIN, End, run_here};
pub use service::{Ready, Service};
pub use stop::{Stopped, stop};
pub use turn::Turn;

/// The first argument of a supervisor in the background. No verb and no target can have this name.
pub const SUPERVISE: &str = ":supervise";
