//! `rebuild` of a bundle, which brings its own build.ron: no checkout is needed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rondel_process::Cancellation;

use super::Options;
use crate::bundle::{Caller, is_bundle, rebuild};
use crate::cli::verb::Call;
use crate::exit::{Exit, Failure};
use crate::ui::{Shown, sink};

/// Returns the bundle that is asked about, if it is one.
pub(super) fn bundle_of(call: &Call<'_, Options>) -> Option<PathBuf> {
    let path = call.context.directory.join(call.words.first()?);
    (path.is_file() && is_bundle(&path)).then_some(path)
}

/// Builds what is in it, and compares.
pub(super) fn run(call: &Call<'_, Options>, path: &Path) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let cancellation = Cancellation::new();
    let sink = sink(call.context, call.global, &call.options.build, Shown::AsUsual);
    let caller = Caller::of(call, &call.options.build, (&cancellation, sink.as_ref()));
    let exit = rebuild(&caller, path)?;
    sink.finished(exit, begun.elapsed());
    Ok(exit)
}
