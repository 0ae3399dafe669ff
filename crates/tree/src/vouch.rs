//! `Vouch`: somebody who knows that nothing has changed since a look.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rondel_cas::Digest;

/// Somebody who is told what a look at directories has found, and gives it back as long as a look would find the same.
pub trait Vouch: Send + Sync {
    /// Returns what was found under a key, if it holds still.
    fn find(&self, key: &Digest) -> Option<Vec<u8>>;

    /// Tells what a look has found that began after `find` had no answer. It depends on nothing but the names in `places`, and on the files
    /// in them.
    fn keep(&self, key: &Digest, finding: Vec<u8>, places: BTreeSet<PathBuf>);
}
