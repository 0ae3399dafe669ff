//! The part of `lock` that pins base images: what a reference leads to now, for each platform that needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rondel_buildfile::{LockFile, LockedImage};
use rondel_engine::{StepError, Workspace};
use rondel_targets::{BaseRequest, Bases, Registries, declared_bases};

use crate::exit::Failure;
use crate::session::Session;
use crate::ui::{Working, bytes_text, print_line};

/// Pins the bases of all targets in `lock`. Existing pins are kept, unless `moves` is set. Pins that no target needs are
/// removed.
pub(super) fn lock_bases(
    session: &Session<'_>,
    moves: bool,
    offline: bool,
    (workspace, working): (&Workspace, &Working),
    lock: &mut LockFile,
) -> Result<(), Failure> {
    let bases = Bases::new(&BaseRequest {
        registries: Arc::new(Registries::new(&session.file, &session.context.environment)),
        lock: &LockFile::empty(),
        workspace: &session.root,
        cache: &session.cache,
        offline,
        locked: false,
    });
    let mut pinned: BTreeMap<String, BTreeMap<String, LockedImage>> = BTreeMap::new();
    for (reference, platforms) in declared_bases(&session.file) {
        let name = reference.to_string();
        for platform in platforms {
            let place = platform.to_string();
            let former = session.lock.images.get(&name).and_then(|platforms| platforms.get(&place));
            let image = match former {
                Some(former) if !moves => {
                    print_line(&format!("{:>12} {name} for {place}", "Unchanged"));
                    former.clone()
                }
                former => {
                    working.on(&format!("{name} for {place}"));
                    let say = |text: String| print_line(&format!("{:>12} {text}", "Note"));
                    let found = bases.look(&reference, &platform, &workspace.results, &say).map_err(failure)?;
                    report(&name, &place, former, &found);
                    found
                }
            };
            pinned.entry(name.clone()).or_default().insert(place, image);
        }
    }
    for (name, platforms) in &session.lock.images {
        for place in platforms.keys() {
            if !pinned.get(name).is_some_and(|platforms| platforms.contains_key(place)) {
                print_line(&format!("{:>12} {name} for {place}: no target needs it", "Removed"));
            }
        }
    }
    lock.images = pinned;
    Ok(())
}

fn size(image: &LockedImage) -> u64 {
    image.layers.iter().fold(0, |sum, layer| layer.size.saturating_add(sum))
}

fn report(name: &str, place: &str, former: Option<&LockedImage>, found: &LockedImage) {
    let describe = |image: &LockedImage| {
        let created = if image.created.is_empty() { "no date".to_owned() } else { image.created.clone() };
        format!("{} ({created}, {})", image.manifest.digest, bytes_text(size(image)))
    };
    match former {
        Some(former) if former == found => print_line(&format!("{:>12} {name} for {place}", "Unchanged")),
        None => print_line(&format!("{:>12} {name} for {place}: {}", "Pinned", describe(found))),
        Some(former) => {
            print_line(&format!("{:>12} {name} for {place}", "Moved"));
            print_line(&format!("  old: {}\n  new: {}", describe(former), describe(found)));
            let differs = |one: &LockedImage, other: &LockedImage, sign: char| {
                for layer in one.layers.iter().filter(|layer| !other.layers.contains(layer)) {
                    print_line(&format!("  {sign} layer {} {}", layer.digest, bytes_text(layer.size)));
                }
            };
            differs(former, found, '-');
            differs(found, former, '+');
            let kept = found.layers.iter().filter(|layer| former.layers.contains(layer)).count();
            print_line(&format!("    {kept} of {} layers are the same", found.layers.len()));
        }
    }
}

/// Returns the failure of a step that is none of a build.
pub(super) fn failure(error: StepError) -> Failure {
    match error {
        StepError::User(error) => Failure::User(error),
        other @ (StepError::Command { .. } | StepError::Foreground { .. } | StepError::Interrupted) => {
            Failure::environment(other.to_string())
        }
    }
}
