//! Progress of work that is no build: what is looked up now, and since when.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cli::groups::{GlobalOptions, Progress};
use crate::session::ProcessContext;
use crate::ui::columns::{cut, plain};
use crate::ui::progress::HEARTBEAT;
use crate::ui::ticker::Ticker;
use crate::ui::times::clock_text;
use crate::ui::{print_line, screen};

/// Work that goes on, until this is dropped.
pub(crate) struct Working {
    now: Arc<Mutex<Now>>,
    is_live: bool,
    _ticker: Option<Ticker>,
}

/// What is done now.
struct Now {
    what: String,
    begun: Instant,
    /// When people last read of it.
    seen: Instant,
}

impl Working {
    /// Shows nothing yet.
    pub fn new(context: &ProcessContext, global: &GlobalOptions) -> Working {
        let begun = Instant::now();
        let now = Arc::new(Mutex::new(Now { what: String::new(), begun, seen: begun }));
        let is_shown = !global.quiet && global.progress != Progress::None;
        let is_terminal = screen::is_terminal() && context.get("TERM") != Some("dumb");
        let is_live = is_shown && is_terminal && global.progress != Progress::Plain;
        let ticker = is_shown.then(|| {
            let (now, interval) = (Arc::clone(&now), Duration::from_millis(if is_live { 120 } else { 1000 }));
            Ticker::every(interval, move || now.lock().expect("no panic while locked").tick(is_live))
        });
        Working { now, is_live, _ticker: ticker }
    }

    /// Returns true if a terminal shows each change.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Says what is done from now on; an empty text is nothing. The time goes on if it is the same with other amounts.
    pub fn on(&self, what: &str) {
        let mut now = self.now.lock().expect("no panic while locked");
        let begin = |text: &str| text.split(": ").next().unwrap_or_default().to_owned();
        if begin(&now.what) != begin(what) {
            (now.begun, now.seen) = (Instant::now(), Instant::now());
        }
        what.clone_into(&mut now.what);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.on("");
        if self.is_live {
            screen::show(Vec::new());
        }
    }
}

impl Now {
    fn tick(&mut self, is_live: bool) {
        let took = clock_text(self.begun.elapsed());
        if is_live {
            let columns = screen::size().columns.saturating_sub(1);
            let line = format!("{:>12} {} {took}", "Working", plain(&self.what));
            screen::show(if self.what.is_empty() { Vec::new() } else { vec![cut(&line, columns)] });
        } else if !self.what.is_empty() && self.seen.elapsed() >= HEARTBEAT {
            self.seen = Instant::now();
            print_line(&format!("{:>12} {}: {took}", "Working", plain(&self.what)));
        }
    }
}
