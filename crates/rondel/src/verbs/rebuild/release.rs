//! `rebuild` of the directory of a release, or of one of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondel_buildfile::{TargetKind, TargetName};
use rondel_cas::{CONTENTS_MAX, Digest, Entry, open_at_most};
use rondel_diff::{Difference, Traces, diff_files};
use rondel_engine::Artefact;
use rondel_evidence::{Statement, VerificationSummary};

use super::attest::Attester;
use super::published_files::{PublishedFiles, provenance_in, read_statement};
use super::{Outcome, Run, plan::Plan};
use crate::build_diff::unreadable;
use crate::exit::{Exit, Failure};
use crate::second_build::SecondBuild;
use crate::ui::Verified;

/// How much larger than the same file of this build a published one may be for its difference to be explained: what is
/// packed in it comes from outside.
const LARGER_MAX: u64 = 64 << 20;

/// Rebuilds all files of a directory.
pub(super) fn rebuild_directory(run: &Run<'_>, directory: &Path) -> Result<Exit, Failure> {
    let provenance = run.provenance_path().map_or_else(|| provenance_in(directory), Ok)?;
    let statement = read_statement(&provenance)?;
    let published = PublishedFiles::list(directory)?;
    let plan = plan(run, &statement)?;
    let attester = Attester::of(run, &plan)?;
    let (exit, same) = run.rebuild(&plan, Some(directory), &|built| {
        let made = made_files(built, run, &plan.target)?;
        let traces = built.place.traces(run.session);
        let mut outcome = Outcome::default();
        for (name, artefact) in &made {
            match published.files.get(name) {
                Some(path) => outcome.compared.push(compare(name, path, artefact, &traces)?),
                None => outcome.unproven.push((shown(name), "it is not in the directory".to_owned())),
            }
        }
        outcome.compared.extend(subjects_that_differ(&statement, &made, &outcome.compared));
        for name in published.files.keys().filter(|name| !made.contains_key(*name)) {
            outcome.unproven.push((shown(name), "the target does not make it".to_owned()));
        }
        let others = published.others.iter().map(|name| (shown(name), "it is no file".to_owned()));
        outcome.unproven.extend(others);
        outcome.same = same(&outcome.compared);
        Ok(outcome)
    })?;
    if let Some(attester) = attester.filter(|_| exit == Exit::Done) {
        attester.write(run, directory, None, &summary(run, same, &provenance)?)?;
    }
    Ok(exit)
}

/// Rebuilds one file, by the provenance beside it.
pub(super) fn rebuild_file(run: &Run<'_>, path: &Path) -> Result<Exit, Failure> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let provenance = run.provenance_path().map_or_else(|| provenance_in(directory), Ok)?;
    let statement = read_statement(&provenance)?;
    let digest = digest_of(path)?;
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Somebody may have given it another name.
    let renamed = statement.subjects.iter().find(|(_, hash)| *hash == digest.hex()).map(|(name, _)| name.clone());
    let is_named = |name: &str| statement.subjects.iter().any(|(subject, _)| subject == name);
    let name = if is_named(&own) { own } else { renamed.unwrap_or(own) };
    let plan = plan(run, &statement)?;
    let attester = Attester::of(run, &plan)?;
    let (exit, same) = run.rebuild(&plan, Some(directory), &|built| {
        let made = made_files(built, run, &plan.target)?;
        let Some(artefact) = made.get(&name) else {
            let files: Vec<&str> = made.keys().map(String::as_str).collect();
            return Err(Failure::usage(format!("the target makes no file `{}`", shown(&name)))
                .hint(format!("it makes {}", files.join(", "))));
        };
        let compared = vec![compare(&name, path, artefact, &built.place.traces(run.session))?];
        let others = made.len() - 1;
        let unproven = vec![(format!("{others} other files of the release"), "one was asked about".to_owned())];
        let same = same(&compared);
        Ok(Outcome { compared, same, unproven: if others > 0 { unproven } else { Vec::new() } })
    })?;
    if let Some(attester) = attester.filter(|_| exit == Exit::Done) {
        let file = path.file_name().and_then(|name| name.to_str());
        attester.write(run, directory, file, &summary(run, same, &provenance)?)?;
    }
    Ok(exit)
}

/// Returns the files that are the same, each with its SHA-256.
fn same(compared: &[Verified]) -> BTreeSet<(String, String)> {
    let same = compared.iter().filter(|one| one.difference.is_none());
    same.filter_map(|one| Some((one.label.clone(), one.summary.strip_prefix("sha256:")?.to_owned()))).collect()
}

fn summary(
    run: &Run<'_>,
    subjects: BTreeSet<(String, String)>,
    provenance: &Path,
) -> Result<VerificationSummary, Failure> {
    let name = provenance.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let resource = format!("pkg:generic/{}", run.session.file.project.value);
    Ok(VerificationSummary { subjects, resource, provenance: (name, Some(digest_of(provenance)?)) })
}

fn plan(run: &Run<'_>, statement: &Statement) -> Result<Plan, Failure> {
    let stated = statement.build().map_err(|error| Failure::usage(format!("the provenance can't be used: {error}")))?;
    Plan::of(run, &stated, &|target| matches!(target.kind, TargetKind::Release(_)))
}

/// Returns the files in the directory of the release that was built again, by their paths there.
fn made_files<'a>(
    built: &'a SecondBuild,
    run: &Run<'_>,
    target: &TargetName,
) -> Result<BTreeMap<String, &'a Artefact>, Failure> {
    let outputs = run.session.target(target.as_str()).map(|target| run.session.file.outputs_of(target));
    let directories: Vec<PathBuf> =
        outputs.into_iter().flatten().map(|output| built.place.root.join(&output.path)).collect();
    let mut made = BTreeMap::new();
    for artefact in built.summary.results.values().flat_map(|result| &result.artefacts) {
        let below = directories.iter().find_map(|directory| artefact.path.strip_prefix(directory).ok());
        if let Some(name) = below.and_then(Path::to_str) {
            made.insert(name.to_owned(), artefact);
        }
    }
    match made.is_empty() {
        true => Err(Failure::usage("the target made no files")),
        false => Ok(made),
    }
}

/// Compares a published file with the one that was made; the published one is the first of a difference.
fn compare(name: &str, path: &Path, artefact: &Artefact, traces: &Traces) -> Result<Verified, Failure> {
    let digest = digest_of(path)?;
    let summary = digest.oci();
    let label = shown(name);
    let Entry::File { digest: made, .. } = &artefact.entry else {
        let difference =
            Some(Difference { place: Vec::new(), what: vec!["a file, and the target makes none".to_owned()] });
        return Ok(Verified { label, is_hidden: false, summary, difference });
    };
    let difference = match digest == *made {
        true => None,
        false if digest.size() > made.size() + LARGER_MAX => Some(sizes(&digest, made)),
        false => diff_files(path, &artefact.path, traces).map_err(unreadable)?.or_else(|| Some(sizes(&digest, made))),
    };
    Ok(Verified { label, is_hidden: false, summary, difference })
}

fn sizes(one: &Digest, other: &Digest) -> Difference {
    let what = format!("{} bytes with {}, and {} bytes with {}", one.size(), one.oci(), other.size(), other.oci());
    Difference { place: Vec::new(), what: vec![what] }
}

/// Returns what the provenance states of files and this build does not confirm, unless the file itself differs.
fn subjects_that_differ(
    statement: &Statement,
    made: &BTreeMap<String, &Artefact>,
    compared: &[Verified],
) -> Vec<Verified> {
    let is_told = |name: &str| compared.iter().any(|one| one.label == shown(name) && one.difference.is_some());
    let mut found = Vec::new();
    for (name, hash) in &statement.subjects {
        let here = made.get(name).and_then(|artefact| artefact.entry.contents());
        let what = match here {
            Some(digest) if digest.hex() == *hash => continue,
            Some(digest) => format!("the provenance says sha256:{hash}, and the target makes {}", digest.oci()),
            None => "the provenance names it, and the target does not make it".to_owned(),
        };
        if !is_told(name) {
            let difference = Some(Difference { place: Vec::new(), what: vec![what] });
            found.push(Verified { label: shown(name), is_hidden: false, summary: String::new(), difference });
        }
    }
    found
}

fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let found = open_at_most(path, CONTENTS_MAX).and_then(|(file, metadata)| Digest::of_open(&file, metadata.len()));
    found.map_err(|error| Failure::usage(format!("failed to read `{}`: {error}", path.display())))
}

/// Returns a name as it can be shown.
fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}
