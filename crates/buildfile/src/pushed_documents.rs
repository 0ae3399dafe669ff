//! What a `Push` says of documents about its image, which the image then writes.

use crate::types::Bills;
use crate::{TargetKind, TargetName, Targets};

/// Lets each image write the documents that a `Push` attaches to it, as if its own fields said so.
pub(crate) fn write_pushed_documents(targets: &mut Targets) {
    let pushed: Vec<(TargetName, Bills, bool)> = targets
        .iter()
        .filter_map(|target| {
            let TargetKind::Push(push) = &target.kind else { return None };
            Some((push.image.value.clone(), push.sbom.clone(), push.provenance))
        })
        .collect();
    for (name, sbom, provenance) in pushed {
        for target in targets.iter_mut().filter(|target| target.name.value == name) {
            if let TargetKind::Image(image) = &mut target.kind {
                image.sbom.add(&sbom);
                image.provenance |= provenance;
            }
        }
    }
}
