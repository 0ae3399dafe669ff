//! `ClosureQuery`: what is asked of `go list`. Knows nothing of the answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_cas::Digest;

/// Which files of the named packages a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What is compiled into an executable.
    Build,
    /// Tests too, and the files that build constraints exclude: `go vet` looks at their constraints.
    Vet,
    /// As `Vet`, and which of the files each package's test is made of.
    Test,
}

impl Scope {
    /// Returns true if tests belong to the packages.
    pub(crate) fn has_tests(self) -> bool {
        match self {
            Scope::Build => false,
            Scope::Vet | Scope::Test => true,
        }
    }
}

/// The whole question to `go list`: all that changes its answer, except the tree itself.
#[derive(Clone, Debug)]
pub struct ClosureQuery {
    /// Directory of go.mod.
    pub module: PathBuf,
    /// Where paths of build.ron begin: names in keys are relative to it, `examples/go.mod`.
    pub base: PathBuf,
    /// The go.work that is in force.
    pub go_work: Option<PathBuf>,
    /// Directory of build.ron: headers and libraries below it are inputs by their contents.
    pub workspace: PathBuf,
    /// Flags for C of the declared environment.
    pub c_flags: Vec<String>,
    /// Package patterns.
    pub packages: Vec<String>,
    /// Which files of the named packages belong to them.
    pub scope: Scope,
    /// Everything else by name: platform, tags, toolchain, mode.
    pub settings: BTreeMap<String, String>,
}

impl ClosureQuery {
    /// Digest of all of it.
    pub(crate) fn digest(&self) -> Digest {
        let own = (&self.module, &self.base, &self.go_work, &self.workspace);
        // The go command names files by where it really is: a link on the way that is set elsewhere is another question.
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let places = (real(&self.module), self.go_work.as_ref().map(real), real(&self.workspace));
        let asked = (&self.packages, self.scope as u8, &self.settings, &self.c_flags);
        let text = serde_json::to_string(&(7, own, places, asked));
        Digest::of(text.expect("plain data").as_bytes())
    }
}
