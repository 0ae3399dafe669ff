//! Inputs that nobody has looked at, since somebody vouches for their tree. They are listed only if somebody wants to know them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rondel_cas::{Digest, Entry, RelativePath};
use rondel_tree::{Fingerprint, GlobSet, Listing, StatSnapshot, process_umask};
use serde::{Deserialize, Serialize};

use crate::inputs::{Input, InputSet, KnownInputs, Listed};

/// What a look at inputs has found, and what all that is not a list needs to know.
#[derive(Serialize, Deserialize)]
pub(crate) struct Finding {
    /// Digest of the tree, if there is one.
    root: Option<Digest>,
    stat_digest: u64,
    /// As text: it is longer than a number of JSON.
    newest_ns: String,
    blind_spot: Option<String>,
    idle_glob: Option<String>,
}

/// What is looked at.
pub(crate) struct Look<'a> {
    pub globs: &'a GlobSet,
    pub root: &'a Path,
    pub prefix: Option<&'a RelativePath>,
    pub snapshot: &'a StatSnapshot,
}

impl Look<'_> {
    /// Returns the name of its finding: everything that decides what is found, but the files.
    fn key(&self) -> Option<Digest> {
        let prefix = self.prefix.map(ToString::to_string);
        let umask = process_umask();
        finding_key(&serde_json::json!(["inputs 1", self.root, self.globs.texts(), prefix, umask]))
    }

    /// Returns the inputs, if somebody vouches for them.
    pub fn vouched_for(&self) -> Option<InputSet> {
        let found = self.snapshot.vouch()?.find(&self.key()?)?;
        let finding: Finding = serde_json::from_slice(&found).ok()?;
        let inputs = Vouched {
            globs: self.globs.clone(),
            root: self.root.to_owned(),
            prefix: self.prefix.cloned(),
            snapshot: self.snapshot.file().to_owned(),
            stat_digest: finding.stat_digest,
            newest_ns: finding.newest_ns.parse().ok()?,
            listed: OnceLock::new(),
        };
        let set = InputSet::known(finding.root, Arc::new(inputs));
        Some(set.with_doubts(finding.blind_spot, finding.idle_glob))
    }

    /// Tells what was found. Inputs with links among them are not: what they lead to is somewhere else.
    pub fn tell(&self, inputs: &InputSet) {
        let Some(vouch) = self.snapshot.vouch() else { return };
        let (mut has_links, mut places) = (false, BTreeSet::new());
        inputs.each_known(&mut |input| {
            has_links |= matches!(input.entry, Entry::Symlink { .. });
        });
        let Ok(root) = inputs.root_digest() else { return };
        if has_links {
            return;
        }
        inputs.each_place_to_watch(&mut |place| {
            if !places.contains(place) {
                places.insert(place.to_owned());
            }
        });
        let finding = Finding {
            root,
            stat_digest: inputs.stat_digest(),
            newest_ns: inputs.newest_known_ns().to_string(),
            blind_spot: inputs.blind_link().map(str::to_owned),
            idle_glob: inputs.idle_glob().map(str::to_owned),
        };
        let bytes = serde_json::to_vec(&finding).expect("numbers and texts");
        if let Some(key) = self.key() {
            vouch.keep(&key, bytes, places);
        }
    }
}

/// Returns the name of a finding: `words` are everything that decides what is found, but the files and the program that looks. `None` where the latter
/// can't be told.
pub fn finding_key(words: &serde_json::Value) -> Option<Digest> {
    let words = serde_json::json!([words, own_program()?]);
    Some(Digest::of(words.to_string().as_bytes()))
}

/// Which program looks: another one may look otherwise. `None` where that can't be known, since its file has gone for example.
fn own_program() -> Option<[i128; 3]> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
        let written = i128::from(own.mtime()) * 1_000_000_000 + i128::from(own.mtime_nsec());
        Some([own.dev().into(), own.ino().into(), written])
    }
    #[cfg(not(unix))]
    None
}

struct Vouched {
    globs: GlobSet,
    root: PathBuf,
    prefix: Option<RelativePath>,
    snapshot: PathBuf,
    stat_digest: u64,
    newest_ns: i128,
    listed: OnceLock<Option<Listed>>,
}

impl Vouched {
    /// Looks, after all.
    fn listed(&self) -> Option<&Listed> {
        let list = || -> Option<Listed> {
            let listing: Listing = StatSnapshot::open(&self.snapshot).list(&self.root, &self.globs).ok()?;
            Some(Listed { listing, prefix: self.prefix.clone() })
        };
        self.listed.get_or_init(list).as_ref()
    }
}

fn now_ns() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos())
}

impl KnownInputs for Vouched {
    fn each(&self, visit: &mut dyn FnMut(Input)) {
        match self.listed() {
            Some(listed) => listed.each(visit),
            // They can't be read any more. A key made of this input is found nowhere, so the step looks again.
            None => visit(Input {
                path: RelativePath::new("inputs that can't be listed").expect("a plain name"),
                absolute: self.root.clone(),
                entry: Entry::file(Digest::of(&now_ns().to_le_bytes()), false),
            }),
        }
    }

    fn stat_digest(&self) -> u64 {
        self.stat_digest
    }

    fn each_directory(&self, visit: &mut dyn FnMut(&Path, &Fingerprint)) {
        if let Some(listed) = self.listed() {
            listed.each_directory(visit);
        }
    }

    fn newest_ns(&self) -> i128 {
        self.newest_ns
    }
}
