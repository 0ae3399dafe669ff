//! What a resident `watch` of this workspace vouches for: the look at inputs that a build spares.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rondel_cas::Digest;
use rondel_engine::{Vouch, Workspace};

/// The `watch` of a workspace.
struct Resident {
    voucher: rondel_watch::Voucher,
    root: PathBuf,
}

/// Lets a build ask the `watch` of its workspace, if there is one.
pub(crate) fn rely_on_watch(workspace: &Workspace) {
    if let Some(voucher) = rondel_watch::Voucher::at(&workspace.state) {
        workspace.snapshot.rely_on(Arc::new(Resident { voucher, root: workspace.root.clone() }));
    }
}

/// A digest is its hash with its size; the hash alone names a finding.
fn key_of(digest: &Digest) -> rondel_watch::Key {
    *digest.hash()
}

impl Vouch for Resident {
    fn find(&self, key: &Digest) -> Option<Vec<u8>> {
        self.voucher.find(&key_of(key))
    }

    fn keep(&self, key: &Digest, finding: Vec<u8>, mut places: BTreeSet<PathBuf>) {
        // Each directory on the way can be exchanged. The socket is in the workspace itself, and goes with it.
        for place in places.clone() {
            let above = place.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
            places.extend(above.map(PathBuf::from));
        }
        if places.iter().all(|place| place.starts_with(&self.root)) {
            self.voucher.keep(&key_of(key), finding, places);
        }
    }
}
