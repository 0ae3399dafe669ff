//! The record of what Rondel placed in the workspace: path, contents and permissions of each output, and its step.
//!
//! Only what is recorded and still has the recorded contents is replaced or removed; the rest is the user's. The record
//! is `.rondel/placed.1/log`, to which lines are appended under a lock; the contents of an output directory are in a
//! file of their own beside it. A line is written before anything is placed, and one after it: whenever a process dies,
//! what stands is one of the recorded contents. It knows no file's present contents; `strangers` compares.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_cas::{
    Digest, Entry, MEMORY_MAX, RelativePath, open_at_most, read_text_at_most, temporary_name, write_atomically,
};

use crate::manifest::{Manifest, decode, encode};
use crate::record::{push_escaped, unescaped};
use crate::step_key::StepKey;

/// Directory of the record, below `.rondel`.
const PLACED: &str = "placed.1";
/// Length of the log's first line.
const IDENTITY_LENGTH: usize = 17;
/// Length from which the log is rewritten if most of it is outdated.
const COMPACT_FROM: u64 = 256 * 1024;

/// The step that placed an output, and the file that declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Name of the build file in the workspace.
    pub file: String,
    pub step: StepKey,
}

impl Owner {
    /// Returns the step of a build file as an owner.
    pub fn new(build_file: &str, step: &StepKey) -> Owner {
        Owner { file: build_file.to_owned(), step: step.clone() }
    }
}

/// What is recorded of one output.
#[derive(Clone, Debug)]
pub(crate) struct PlacedOutput {
    pub owner: Owner,
    /// The action whose result it is, once it stands.
    pub action: Option<Digest>,
    /// Contents that may stand there: more than one while it is replaced.
    contents: Vec<Contents>,
}

/// A manifest, or the digest of the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Contents {
    Here(String),
    File(Digest),
}

/// A change of the record.
pub(crate) enum Change<'a> {
    /// These contents are about to be placed.
    Intend { destination: &'a RelativePath, owner: &'a Owner, manifest: &'a Manifest },
    /// These contents stand there.
    Settle { destination: &'a RelativePath, owner: &'a Owner, action: Option<Digest>, manifest: &'a Manifest },
    /// Nothing of Rondel's stands there any more.
    Forget { destination: &'a RelativePath },
}

/// What is recorded of some outputs, by destination.
pub(crate) struct Recorded(BTreeMap<RelativePath, Vec<Arc<Manifest>>>);

impl Recorded {
    /// Returns the entries that are recorded for `path`, of all outputs that hold it, with their destinations.
    pub fn at(&self, path: &RelativePath) -> Vec<(&RelativePath, &Entry)> {
        let mut found = Vec::new();
        let mut output = Some(path.clone());
        while let Some(destination) = output {
            let below = path.as_str()[destination.as_str().len()..].trim_start_matches('/');
            if let Some((destination, manifests)) = self.0.get_key_value(&destination) {
                found.extend(manifests.iter().filter_map(|manifest| Some((destination, manifest.get(below)?))));
            }
            output = destination.parent();
        }
        found
    }
}

/// The record of a workspace. Read when it is first asked.
pub(crate) struct Placed {
    state: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    outputs: BTreeMap<RelativePath, PlacedOutput>,
    manifests: HashMap<Digest, Arc<Manifest>>,
    /// Identity of the log, and how much of it is read.
    log: Option<([u8; IDENTITY_LENGTH], u64)>,
    lines: usize,
}

impl Placed {
    /// Returns the record below `state` (`.rondel`). Reads and writes nothing yet.
    pub fn open(state: &Path) -> Placed {
        Placed { state: state.to_owned(), known: Mutex::default() }
    }

    fn log(&self) -> PathBuf {
        self.state.join(PLACED).join("log")
    }

    fn tree_path(&self, digest: &Digest) -> PathBuf {
        self.state.join(PLACED).join(digest.hex())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().expect("no panic while locked");
        known.catch_up(&self.log());
        look(&mut known)
    }

    /// Returns what is recorded of the output at `destination`.
    pub fn output(&self, destination: &RelativePath) -> Option<PlacedOutput> {
        self.with(|known| known.outputs.get(destination).cloned())
    }

    /// Returns true if the output is recorded as the result of this action, placed by this step. Other processes'
    /// newer lines are not looked at.
    pub fn is_settled(&self, destination: &RelativePath, owner: &Owner, action: Option<Digest>) -> bool {
        let mut known = self.known.lock().expect("no panic while locked");
        if known.log.is_none() {
            known.catch_up(&self.log());
        }
        let is_it =
            |output: &PlacedOutput| output.action == action && output.owner == *owner && output.contents.len() == 1;
        known.outputs.get(destination).is_some_and(is_it)
    }

    /// Returns all outputs and their owners.
    pub fn owners(&self) -> Vec<(RelativePath, Owner)> {
        self.with(|known| known.outputs.iter().map(|(path, output)| (path.clone(), output.owner.clone())).collect())
    }

    /// Returns what is recorded of the output at `destination`, of those inside of it, and of those that hold it.
    pub fn around(&self, destination: &RelativePath) -> Recorded {
        let related: Vec<RelativePath> = self.with(|known| {
            let is_related = |other: &&RelativePath| other.is_within(destination) || destination.is_within(other);
            known.outputs.keys().filter(is_related).cloned().collect()
        });
        Recorded(related.into_iter().map(|path| (path.clone(), self.manifests(&path))).collect())
    }

    /// Returns the contents that may stand at `destination`.
    pub fn manifests(&self, destination: &RelativePath) -> Vec<Arc<Manifest>> {
        let contents = self.output(destination).map(|output| output.contents).unwrap_or_default();
        contents.iter().filter_map(|contents| self.manifest(contents)).collect()
    }

    fn manifest(&self, contents: &Contents) -> Option<Arc<Manifest>> {
        let digest = match contents {
            Contents::Here(text) => return decode(text).map(Arc::new),
            Contents::File(digest) => digest,
        };
        if let Some(manifest) = self.known.lock().expect("no panic while locked").manifests.get(digest) {
            return Some(manifest.clone());
        }
        let text = read_text_at_most(&self.tree_path(digest), MEMORY_MAX).ok()?;
        let manifest = Arc::new(decode(&text).filter(|_| Digest::of(text.as_bytes()) == *digest)?);
        self.known.lock().expect("no panic while locked").manifests.insert(*digest, manifest.clone());
        Some(manifest)
    }

    /// Appends changes to the record.
    pub fn record(&self, changes: &[Change<'_>]) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let log = self.log();
        fs::create_dir_all(self.state.join(PLACED))?;
        let lock = File::create(self.state.join(PLACED).join("lock"))?;
        // Without locks (some network file systems) a short append is still whole.
        while lock.lock().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        let mut text = String::new();
        for change in changes {
            let line = self.line(change)?;
            text.push_str(&format!("{}\t{line}\n", checksum(&line)));
        }
        let mut file = OpenOptions::new().append(true).read(true).create(true).open(&log)?;
        if file.metadata()?.len() == 0 {
            text.insert_str(0, &identity_line());
        } else if ends_torn(&mut file)? {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())?;
        let length = file.metadata()?.len();
        if length > COMPACT_FROM {
            self.with(|known| self.compact(known))?;
        }
        Ok(())
    }

    fn line(&self, change: &Change<'_>) -> io::Result<String> {
        let (mark, destination, owner, action, manifest) = match change {
            Change::Intend { destination, owner, manifest } => ('+', destination, *owner, None, *manifest),
            Change::Settle { destination, owner, action, manifest } => ('=', destination, *owner, *action, *manifest),
            Change::Forget { destination } => {
                let mut line = String::from("-\t");
                push_escaped(&mut line, destination.as_str());
                return Ok(line);
            }
        };
        let text = encode(manifest);
        let contents = if manifest.len() == 1 && manifest.contains_key("") {
            Contents::Here(text)
        } else {
            let digest = Digest::of(text.as_bytes());
            let path = self.tree_path(&digest);
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == digest.size()) {
                Contents::File(digest)
            } else {
                write_atomically(&self.state.join("tmp"), &path, text.as_bytes())?;
                Contents::File(digest)
            }
        };
        Ok(written(mark, destination, owner, action, &contents))
    }

    /// Rewrites the log if most of its lines are outdated. Called with the lock.
    fn compact(&self, known: &mut Known) -> io::Result<()> {
        let live: usize = known.outputs.values().map(|output| output.contents.len()).sum();
        if known.lines < 4 * live.max(64) {
            return Ok(());
        }
        let mut text = identity_line();
        for (destination, output) in &known.outputs {
            for (index, contents) in output.contents.iter().enumerate() {
                let mark = if index == 0 && output.contents.len() == 1 { '=' } else { '+' };
                let line = written(mark, destination, &output.owner, output.action, contents);
                text.push_str(&format!("{}\t{line}\n", checksum(&line)));
            }
        }
        write_atomically(&self.state.join("tmp"), &self.log(), text.as_bytes())?;
        let named = |name: &str| {
            let mut all = known.outputs.values().flat_map(|output| &output.contents);
            name == "log"
                || name == "lock"
                || all.any(|contents| matches!(contents, Contents::File(digest) if digest.hex() == name))
        };
        for entry in fs::read_dir(self.state.join(PLACED))?.flatten() {
            if entry.file_name().to_str().is_none_or(|name| !named(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

impl Known {
    /// Reads what was appended since the last time.
    fn catch_up(&mut self, log: &Path) {
        let Ok((mut file, metadata)) = open_at_most(log, MEMORY_MAX) else {
            *self = Known::default();
            return;
        };
        let mut identity = [0; IDENTITY_LENGTH];
        let _ = file.read_exact(&mut identity);
        let mut begin = 0;
        match self.log {
            Some((known, length)) if known == identity && length == metadata.len() => return,
            Some((known, length)) if known == identity && length < metadata.len() => begin = length,
            _ => *self = Known::default(),
        }
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(begin)).and_then(|_| file.read_to_end(&mut bytes)).is_err() {
            return;
        }
        // A line that is being written is read when it has its end.
        let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |place| place + 1);
        self.log = Some((identity, begin + end as u64));
        for line in String::from_utf8_lossy(&bytes[..end]).lines() {
            self.lines += 1;
            // A torn or damaged line says nothing.
            let _ = self.apply(line);
        }
    }

    fn apply(&mut self, line: &str) -> Option<()> {
        let (sum, line) = line.split_once('\t')?;
        if checksum(line) != sum {
            return None;
        }
        let mut parts = line.split('\t');
        let mark = parts.next()?;
        let destination = RelativePath::new(&unescaped(parts.next()?)).ok()?;
        if mark == "-" {
            self.outputs.remove(&destination);
            return Some(());
        }
        let file = unescaped(parts.next()?);
        let owner = Owner { file, step: serde_json::from_str(&unescaped(parts.next()?)).ok()? };
        let action = parts.next()?.parse().ok();
        let contents = unescaped(parts.next()?);
        let contents = match contents.strip_prefix('@') {
            Some(digest) => Contents::File(digest.parse().ok()?),
            None => Contents::Here(contents.strip_prefix('.')?.to_owned()),
        };
        if mark == "=" {
            // What was an output inside of it went with the former directory.
            self.outputs.retain(|other, _| !other.is_within(&destination) || *other == destination);
            self.outputs.insert(destination, PlacedOutput { owner, action, contents: vec![contents] });
            return Some(());
        }
        let output = self.outputs.entry(destination).or_insert_with(|| PlacedOutput {
            owner: owner.clone(),
            action: None,
            contents: Vec::new(),
        });
        output.owner = owner;
        output.action = None;
        if !output.contents.contains(&contents) {
            output.contents.push(contents);
        }
        Some(())
    }
}

fn written(
    mark: char,
    destination: &RelativePath,
    owner: &Owner,
    action: Option<Digest>,
    contents: &Contents,
) -> String {
    let step = serde_json::to_string(&owner.step).expect("keys are plain data");
    let action = action.map(|action| action.to_string()).unwrap_or_default();
    let contents = match contents {
        Contents::Here(text) => format!(".{text}"),
        Contents::File(digest) => format!("@{digest}"),
    };
    let mut line = String::from(mark);
    for part in [destination.as_str(), &owner.file, &step, &action, &contents] {
        line.push('\t');
        push_escaped(&mut line, part);
    }
    line
}

fn checksum(line: &str) -> String {
    Digest::of(line.as_bytes()).hex()[..16].to_owned()
}

/// Returns true if the last line has no end: its writer died.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Returns a first line that no other log has, so that a reader notices that the log was rewritten.
fn identity_line() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}\n", checksum(&format!("{} {now}", temporary_name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_cas::messages::UnixMode;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    fn owner(name: &str) -> Owner {
        Owner { file: "build.ron".to_owned(), step: StepKey::shared(name) }
    }

    fn file(text: &str) -> Manifest {
        [(String::new(), Entry::file(Digest::of(text.as_bytes()), false))].into()
    }

    fn tree() -> Manifest {
        let link = Entry::Symlink { target: "with\ttab".to_owned() };
        let private = Entry::File { digest: Digest::of(b"x"), executable: true, mode: UnixMode::new(0o700) };
        [
            (String::new(), Entry::Directory { mode: UnixMode::new(0o750) }),
            ("a/link".to_owned(), link),
            ("b\nc".to_owned(), private),
            ("empty".to_owned(), Entry::directory()),
        ]
        .into()
    }

    /// Two processes see each other's lines; what is intended stands beside what stood before until it is settled.
    #[test]
    fn lines_of_two_processes() {
        let state = std::env::temp_dir().join(format!("rondel-placed-{}", std::process::id()));
        let (one, other) = (Placed::open(&state), Placed::open(&state));
        let (dist, gen_directory) = (path("dist/x"), path("gen"));
        assert!(one.output(&dist).is_none());
        let me = owner("me");
        let intend = |manifest| Change::Intend { destination: &dist, owner: &me, manifest };
        one.record(&[Change::Settle { destination: &dist, owner: &me, action: None, manifest: &file("1") }]).unwrap();
        other.record(&[intend(&file("2"))]).unwrap();
        assert_eq!(one.around(&dist).at(&dist).len(), 2, "either may stand there");
        let settle = Change::Settle { destination: &dist, owner: &me, action: None, manifest: &file("2") };
        other
            .record(&[
                settle,
                Change::Settle { destination: &gen_directory, owner: &me, action: None, manifest: &tree() },
            ])
            .unwrap();
        assert_eq!(one.manifests(&dist).iter().map(|it| (**it).clone()).collect::<Vec<_>>(), [file("2")]);
        assert_eq!(*one.manifests(&gen_directory)[0], tree());
        assert_eq!(one.around(&gen_directory).at(&path("gen/a/link")).len(), 1);
        one.record(&[Change::Forget { destination: &dist }]).unwrap();
        assert!(other.output(&dist).is_none());
        fs::remove_dir_all(state).unwrap();
    }

    /// A torn line, a flipped byte, a lost file of contents: that output is not recorded, and the others are.
    #[test]
    fn damage_makes_nothing_rondels_own() {
        let state = std::env::temp_dir().join(format!("rondel-placed-damage-{}", std::process::id()));
        let (one, two, me) = (path("one"), path("two"), owner("me"));
        let manifest = file("1");
        let settle = |destination| Change::Settle { destination, owner: &me, action: None, manifest: &manifest };
        Placed::open(&state).record(&[settle(&one)]).unwrap();
        let log = state.join(PLACED).join("log");
        let whole = rondel_cas::read_at_most(&log, MEMORY_MAX).unwrap();
        for length in 0..whole.len() {
            fs::write(&log, &whole[..length]).unwrap();
            assert!(Placed::open(&state).output(&one).is_none(), "cut at {length}");
            Placed::open(&state).record(&[settle(&two)]).unwrap();
            assert!(Placed::open(&state).output(&two).is_some(), "cut at {length}");
        }
        for place in IDENTITY_LENGTH..whole.len() - 1 {
            let mut bad = whole.clone();
            bad[place] ^= 1;
            fs::write(&log, bad).unwrap();
            assert!(Placed::open(&state).output(&one).is_none(), "flipped at {place}");
        }
        fs::remove_file(&log).unwrap();
        let placed = Placed::open(&state);
        placed.record(&[Change::Settle { destination: &one, owner: &me, action: None, manifest: &tree() }]).unwrap();
        for entry in fs::read_dir(state.join(PLACED)).unwrap().flatten() {
            if entry.file_name().len() == 64 {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        assert!(placed.manifests(&one).is_empty());
        fs::remove_dir_all(state).unwrap();
    }

    /// The log does not grow without end, and what it says stays the same.
    #[test]
    fn outdated_lines_go() {
        let state = std::env::temp_dir().join(format!("rondel-placed-compact-{}", std::process::id()));
        let (placed, me, paths) = (Placed::open(&state), owner("me"), ["one", "two"].map(path));
        for round in 0..2000 {
            let manifest = file(&round.to_string());
            let settle = |destination| Change::Settle { destination, owner: &me, action: None, manifest: &manifest };
            placed.record(&[settle(&paths[0]), settle(&paths[1])]).unwrap();
        }
        assert!(fs::metadata(state.join(PLACED).join("log")).unwrap().len() < 2 * COMPACT_FROM);
        for placed in [&placed, &Placed::open(&state)] {
            assert_eq!(*placed.manifests(&paths[1])[0], file("1999"));
        }
        fs::remove_dir_all(state).unwrap();
    }
}
